/** Parts that panels share. */

import { h, type Child, type View } from "./dom.js";
import { bytes, cut, shortId } from "./format.js";

/** How much of a value is shown at first, in characters. */
const SHOWN = 4_000;

export type Tone = "good" | "warn" | "bad" | "info" | "quiet";

/** Returns a short word with a colour. */
export const pill = (text: string, tone: Tone = "quiet"): View => h("span", { class: `pill ${tone}` }, text);

/** Returns a button. A disabled one keeps the focus, and with it the panel's keys: it only does nothing. `kind` is `"primary"` for what is usual, `"danger"` for what loses something. */
export const button = (text: string, click: () => void, more: { kind?: "primary" | "danger" | "link"; title?: string; disabled?: boolean; pressed?: boolean; key?: string } = {}): View =>
  h(
    "button",
    {
      type: "button",
      key: more.key,
      class: `button ${more.kind ?? ""}`,
      title: more.title,
      "aria-disabled": more.disabled ? "true" : undefined,
      "aria-pressed": more.pressed === undefined ? undefined : String(more.pressed),
      onclick: more.disabled ? () => {} : click,
    },
    text,
  );

/** Returns names and values, in two columns. */
export const facts = (...list: readonly (readonly [string, Child] | false | undefined)[]): View =>
  h(
    "dl",
    { class: "facts" },
    ...list.flatMap((fact) => (fact ? [h("div", {}, h("dt", {}, fact[0]), h("dd", {}, fact[1]))] : [])),
  );

/** Returns a table of texts. */
export const table = (heads: readonly string[], rows: readonly (readonly string[])[]): View =>
  h(
    "table",
    { class: "beside" },
    h("thead", {}, h("tr", {}, ...heads.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...rows.map(([first, ...cells]) => h("tr", {}, h("th", { scope: "row" }, first), ...cells.map((cell) => h("td", { class: "mono", title: cell }, cell))))),
  );

/** Returns what is said where there is nothing to show. */
export const empty = (title: string, text: string): View => h("div", { class: "empty" }, h("strong", {}, title), h("p", {}, text));

/** Returns a text whose parts between backticks are code. */
export const prose = (text: string): Child[] => text.split("`").map((part, index, parts) => (index % 2 === 1 && index < parts.length - 1 ? mono(part) : index % 2 === 1 ? `\`${part}` : part));

/** Returns an explanation with a colour, and what can be done. */
export const note = (tone: Tone, text: string, ...actions: readonly Child[]): View =>
  h("div", { class: `note ${tone}` }, h("p", {}, ...prose(text)), actions.some(Boolean) && h("div", { class: "actions" }, ...actions));

export const bar = (...children: readonly Child[]): View => h("div", { class: "bar" }, ...children);
export const heading = (text: string): View => h("h3", {}, text);

/** Returns an entity's id, short, with its space, for a row. */
export const idCell = (id: string, spaceId: string | undefined): View =>
  spaceId === undefined ? mono(shortId(id), id) : mono(`${shortId(id)} in ${shortId(spaceId)}`, `${id}, in the space ${spaceId}`);

export const mono = (text: string, title?: string): View => h("span", { class: "mono", title }, text);

/** Which values are shown as a whole, for as long as they are selected. */
export class Shown {
  #all = new Set<string>();
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Forgets which. */
  reset(): void {
    this.#all.clear();
  }

  /** Returns a value as indented JSON. Of a long one its beginning, with a button that shows all of it. */
  json(name: string, value: unknown): View {
    const text = JSON.stringify(value, null, 2) ?? "–";
    if (text.length <= SHOWN || this.#all.has(name)) return h("pre", { tabindex: 0, "aria-label": name }, text);
    return h(
      "div",
      {},
      h("pre", { tabindex: 0, "aria-label": name }, cut(text, SHOWN)),
      button(`Show all (${bytes(text.length)})`, () => (this.#all.add(name), this.#changed())),
    );
  }
}

/** Returns a list on the left, and on the right what is selected in it. */
export const split = (list: Child, detail: readonly Child[], name: string): View =>
  h("div", { class: "split" }, h("div", { class: "master" }, list), h("section", { class: "detail", tabindex: 0, "aria-label": name }, ...detail));
