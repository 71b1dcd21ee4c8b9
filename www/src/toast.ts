// Short notices that go away by themselves; the region is live, so they are also read out.

import { find, icon, make } from "./dom.ts";

const STAYS_MS = 7000;

export function toast(message: string, tone: "good" | "bad"): void {
  const dismiss = make("button", { type: "button", class: "toast-close", "aria-label": "Dismiss" }, icon("close"));
  const element = make("div", { class: "toast", "data-tone": tone, "data-testid": "toast" }, make("span", {}, message), dismiss);
  let timer = 0;
  const stay = (): void => window.clearTimeout(timer);
  const leave = (): void => {
    stay();
    timer = window.setTimeout(() => element.remove(), STAYS_MS);
  };
  dismiss.addEventListener("click", () => element.remove());
  // Whoever reads or reaches for it keeps it.
  element.addEventListener("pointerenter", stay);
  element.addEventListener("pointerleave", leave);
  element.addEventListener("focusin", stay);
  element.addEventListener("focusout", leave);
  find(document, "#toasts").append(element);
  leave();
}
