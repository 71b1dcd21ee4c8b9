/** A dialog that asks before something happens. Only one is open at a time. */

import type { Question } from "./context.js";
import { h, patch } from "./dom.js";
import { bar, button } from "./parts.js";

/** One of several answers. */
export interface Answer {
  readonly words: string;
  readonly kind?: "primary" | "danger";
}

export class Dialog {
  readonly element = document.createElement("dialog");
  #settle: (answer: number | undefined) => void = () => {};

  constructor() {
    this.element.setAttribute("aria-labelledby", "question");
    this.element.addEventListener("close", () => this.#settle(undefined));
  }

  get isOpen(): boolean {
    return this.element.open;
  }

  /** Resolves with true if the answer is yes. */
  async ask({ title, text, yes, isGrave }: Question): Promise<boolean> {
    return (await this.choose(title, text, [{ words: yes, kind: isGrave ? "danger" : "primary" }])) === 0;
  }

  /** Resolves with the index of the answer; undefined for none. */
  choose(title: string, text: string, answers: readonly Answer[]): Promise<number | undefined> {
    this.#settle(undefined);
    const { promise, settle } = settleable<number | undefined>();
    this.#settle = (answer) => {
      this.#settle = () => {};
      if (this.element.open) this.element.close();
      settle(answer);
    };
    patch(this.element, [
      h("h2", { id: "question" }, title),
      h("p", {}, text),
      bar(
        // What changes nothing comes first, and has the focus.
        button("Cancel", () => this.#settle(undefined)),
        ...answers.map(({ words, kind }, index) => button(words, () => this.#settle(index), kind === undefined ? {} : { kind })),
      ),
    ]);
    this.element.showModal();
    return promise;
  }

  close(): void {
    this.#settle(undefined);
  }
}

function settleable<T>(): { promise: Promise<T>; settle: (value: T) => void } {
  let settle: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => (settle = resolve));
  return { promise, settle };
}
