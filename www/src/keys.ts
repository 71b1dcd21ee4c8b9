// Single-key shortcuts. They work while a device has the focus, but not in its text fields.

import type { Panel } from "./panel.ts";

const buttons: Record<string, string> = { s: "sync", f: "refresh", p: "pause", o: "network", t: "devtools" };

export function wireKeys(panel: Panel, other: () => Panel): void {
  panel.element.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (inTextField(event.target)) {
      if (event.key === "Escape") panel.element.focus({ preventScroll: true });
      return;
    }
    const key = event.key.toLowerCase();
    const button = buttons[key];
    if (button) panel.element.querySelector<HTMLButtonElement>(`[data-testid=${button}]`)?.click();
    else if (key === "n") panel.focusInput();
    else if (key === "d") other().element.focus();
    else return;
    event.preventDefault();
  });
}

function inTextField(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement && target.type === "text";
}
