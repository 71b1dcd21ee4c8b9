// Short messages that disappear after a while. Screen readers announce them: the region is live.

import { find, icon, make } from "./dom.ts";

const DURATION_MS = 7000;

export function toast(message: string, tone: "good" | "bad"): void {
  const dismiss = make("button", { type: "button", class: "icon-button toast-close", "aria-label": "Dismiss" }, icon("close"));
  const element = make("div", { class: "toast", "data-tone": tone, "data-testid": "toast" }, make("span", {}, message), dismiss);
  let timer = 0;
  const keep = (): void => window.clearTimeout(timer);
  const removeLater = (): void => {
    keep();
    timer = window.setTimeout(() => element.remove(), DURATION_MS);
  };
  dismiss.addEventListener("click", () => element.remove());
  // Stays while the pointer or the focus is on it.
  element.addEventListener("pointerenter", keep);
  element.addEventListener("pointerleave", removeLater);
  element.addEventListener("focusin", keep);
  element.addEventListener("focusout", removeLater);
  find(document, "#toasts").append(element);
  removeLater();
}
