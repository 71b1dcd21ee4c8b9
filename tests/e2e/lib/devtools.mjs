// The panel in a page: an instance over a backend in memory, and what a person does with the panel.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { blankPages, evaluate } from "./blank.mjs";

const KIT = `
import { Datum, DatumError } from "datum-sync";
import { MemoryRemote } from "./datum-sync/testing.js";
import { mountDevtools, defineDevtools } from "./datum-sync/devtools/index.js";
/** Makes the page visible or hidden, as far as its scripts can tell. */
export function appear(state) {
  for (const [name, value] of [["hidden", state === "hidden"], ["visibilityState", state]]) Object.defineProperty(document, name, { configurable: true, get: () => value });
  // A hidden page has no frames.
  window.requestAnimationFrame = (work) => setTimeout(() => work(performance.now()), 16);
  window.cancelAnimationFrame = clearTimeout;
}
/** Whether the browser draws this page. */
export const hasFrames = !document.hidden;
// WebKit's driver opens hidden tabs, which begin no cycles.
if (document.hidden) appear("visible");
export { Datum, DatumError, MemoryRemote, mountDevtools, defineDevtools };

/** Resolves once a condition holds; \`what\` says what is waited for. */
export async function until(what, condition) {
  const end = performance.now() + 25_000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error("not within 25 s: " + what + "; the panel shows: " + (panel() ? text().slice(0, 1500) : "nothing"));
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

export const remote = new MemoryRemote();
/** Opens an instance without automatic cycles, and the panel. */
export async function open(more = {}, options = {}) {
  const { entities = { tasks: {} }, mount = true, ...rest } = more;
  const datum = await Datum.initialize({ name: "app", entities, remote, initialUserId: "ada", flushOnLeave: false, retry: { maxAttempts: 1, initial: 1, max: 1 }, ...rest });
  const mounted = mount ? mountDevtools(datum, { open: true, dock: "bottom", ...options }) : undefined;
  return { datum, tasks: datum.manager("tasks"), mounted };
}

export const element = () => document.querySelector("datum-devtools");
export const panel = () => element()?.shadowRoot.querySelector(".dock");
export const all = (selector) => [...(element()?.shadowRoot.querySelectorAll(selector) ?? [])];
export const one = (selector) => until(selector, () => all(selector)[0]);
/** All that can be read in the panel. */
export const text = () => panel()?.textContent ?? "";
export const shows = (words) => until(words, () => text().includes(words));
export const detail = () => all(".detail")[0]?.textContent ?? "";
export const rows = () => all(".rows .row");
/** Disabled buttons keep the focus. */
export const isDisabled = (button) => button.getAttribute("aria-disabled") === "true";
const labelled = (words) => [...all(".detail button"), ...all("button")].find((button) => button.textContent === words && !isDisabled(button));
/** Presses a button by its words: of two, the one of what is selected. */
export async function press(words) {
  (await until("the button " + words, () => labelled(words))).click();
}
export async function show(name) {
  (await one("#tab-" + name)).click();
  await until(name, () => all(".panel." + name).length === 1);
}
/** Presses a key where the focus is. */
export function key(name, more = {}) {
  const target = element()?.shadowRoot.activeElement ?? document.activeElement ?? document.body;
  target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, composed: true, cancelable: true, ...more }));
}
export const toggle = () => key("D", { code: "KeyD", altKey: true, shiftKey: true });
/** Chooses the row that has these words. */
export async function choose(words) {
  (await until("the row " + words, () => rows().find((row) => row.textContent.includes(words)))).click();
}
`;

/** Starts an engine. `run(act, argument)` runs a function in a new page, as `(kit, argument)`. */
export async function devtoolsPages(engine) {
  const pages = await blankPages(engine);
  await writeFile(join(pages.path, "kit.js"), KIT);
  const wrapped = (act) => `async (_, given) => (${act})(await import(new URL("kit.js", location.href).href), given)`;
  return {
    stop: () => pages.stop(),
    tab: (of) => pages.tab(of),
    evaluate: (page, act, argument) => evaluate(page, wrapped(String(act)), argument),
    run: (act, argument) => pages.run(wrapped(String(act)), argument),
  };
}
