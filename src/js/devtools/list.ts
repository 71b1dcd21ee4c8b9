/** A list of any length: only the rows in view are elements. It is used like a list box, by pointer or by keys. */

import { Frame, h, patch, type Child, type Props, type View } from "./dom.js";

/** The height of a row in pixels, as in the styles. */
export const ROW = 26;
/** Rows above and below the view that are there already. */
const MARGIN = 6;

/** What a list shows. */
export interface ListSource {
  /** Names it for screen readers. */
  readonly label: string;
  /** The classes of its rows, which decide its columns. */
  readonly columns: string;
  /** The names of its columns. */
  readonly heads: readonly string[];
  /** The cells of a row; undefined if the row is not there yet. */
  row(index: number): readonly Child[] | undefined;
  /** Marks a row, such as `"bad"`. */
  tone?(index: number): string | undefined;
  /** Called when a row is chosen. */
  choose(index: number): void;
  /** Called when other rows come into view. */
  seen?(first: number, last: number): void;
}

let lists = 0;

export class VirtualList {
  readonly element: HTMLElement;
  readonly #source: ListSource;
  readonly #box = document.createElement("div");
  readonly #space = document.createElement("div");
  readonly #rows = document.createElement("div");
  readonly #frame = new Frame(() => this.#draw());
  readonly #name = `list-${++lists}`;
  #count = 0;
  #chosen = -1;
  /** The row from which the keys go on: the last that was chosen, also if it is not there any more. */
  #place = -1;
  #seen = "";

  constructor(source: ListSource) {
    this.#source = source;
    this.element = document.createElement("div");
    this.element.className = "list";
    const head = document.createElement("div");
    head.className = `row head ${source.columns}`;
    head.setAttribute("aria-hidden", "true");
    patch(head, source.heads.map((name) => h("span", {}, name)));
    this.#box.className = "rows";
    this.#box.tabIndex = 0;
    for (const [name, value] of Object.entries({ role: "listbox", "aria-label": source.label })) this.#box.setAttribute(name, value);
    this.#space.className = "space";
    this.#rows.className = "window";
    this.#space.append(this.#rows);
    this.#box.append(this.#space);
    this.element.append(head, this.#box);
    this.#box.addEventListener("scroll", () => this.#frame.ask(), { passive: true });
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("click", (event) => this.#click(event));
    // Its height follows the panel's.
    new ResizeObserver(() => this.#frame.ask()).observe(this.#box);
  }

  /** Shows `count` rows, of which one is chosen, or none: -1. */
  show(count: number, chosen: number): void {
    [this.#count, this.#chosen] = [count, chosen];
    if (chosen >= 0) this.#place = chosen;
    this.#draw();
  }

  /** Scrolls so that a row is in view. */
  reveal(index: number): void {
    const [top, height] = [index * ROW, this.#box.clientHeight];
    if (top < this.#box.scrollTop) this.#box.scrollTop = top;
    else if (top + ROW > this.#box.scrollTop + height) this.#box.scrollTop = top + ROW - height;
  }

  /** Scrolls to the beginning, of other rows. */
  rewind(): void {
    this.#place = -1;
    this.#box.scrollTop = 0;
  }

  focus(): void {
    this.#box.focus();
  }

  #draw(): void {
    this.#space.style.height = `${this.#count * ROW}px`;
    const first = Math.max(0, Math.floor(this.#box.scrollTop / ROW) - MARGIN);
    const last = Math.min(this.#count, Math.ceil((this.#box.scrollTop + this.#box.clientHeight) / ROW) + MARGIN);
    this.#rows.style.transform = `translateY(${first * ROW}px)`;
    const rows: View[] = [];
    for (let index = first; index < last; index++) rows.push(this.#row(index));
    patch(this.#rows, rows);
    const isInView = this.#chosen >= first && this.#chosen < last;
    if (isInView) this.#box.setAttribute("aria-activedescendant", `${this.#name}-${this.#chosen}`);
    else this.#box.removeAttribute("aria-activedescendant");
    const seen = `${first} ${last}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    if (last > first) this.#source.seen?.(first, last);
  }

  #row(index: number): View {
    const cells = this.#source.row(index);
    const props: Props = {
      class: `row ${this.#source.columns} ${this.#source.tone?.(index) ?? ""}`,
      role: "option",
      id: `${this.#name}-${index}`,
      "data-index": index,
      "aria-selected": String(index === this.#chosen),
      "aria-setsize": this.#count,
      "aria-posinset": index + 1,
    };
    return h("div", props, ...(cells ?? [h("span", { class: "soft" }, "…")]));
  }

  #choose(index: number): void {
    if (this.#count === 0) return;
    const next = Math.min(this.#count - 1, Math.max(0, index));
    this.#place = next;
    this.reveal(next);
    this.#source.choose(next);
  }

  #click(event: MouseEvent): void {
    const row = (event.target as Element).closest("[data-index]");
    if (row !== null) this.#choose(Number(row.getAttribute("data-index")));
  }

  #key(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.#box.clientHeight / ROW) - 1);
    const moves: Record<string, number> = {
      ArrowDown: this.#place + 1,
      ArrowUp: this.#place - 1,
      PageDown: this.#place + page,
      PageUp: this.#place - page,
      Home: 0,
      End: this.#count - 1,
    };
    const next = moves[event.key];
    if (next === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#choose(next);
  }
}
