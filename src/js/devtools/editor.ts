/** A field for JSON, which says what is wrong with it, and when what it was made from has changed. */

import { h, type View } from "./dom.js";
import { parsedObject } from "./format.js";
import { bar, button, note } from "./parts.js";
import { isSame } from "./sides.js";

export interface Editing {
  text: string;
  /** What the text was made from. */
  readonly from: unknown;
}

/** What the field is for, and what its buttons do. */
export interface Editor {
  readonly label: string;
  /** What the text would be made from now. If it is something else, the text would undo what has come since. */
  readonly now: unknown;
  /** The words on the button that saves. */
  readonly yes: string;
  /** Gets what was written once it is an object. */
  save(value: { [field: string]: any }): void;
  /** Makes the text again from what is there now. */
  begin(): void;
  cancel(): void;
  changed(): void;
}

/** Returns the field with its buttons. */
export function editor(editing: Editing, { label, now, yes, save, begin, cancel, changed }: Editor): View {
  const result = parsedObject(editing.text);
  const isStale = !isSame(editing.from, now);
  // What was typed last may not have been drawn yet.
  const saveLatest = () => {
    const { value } = parsedObject(editing.text);
    if (value !== undefined) save(value);
  };
  return h(
    "div",
    { class: "editor", key: `editor ${label}` },
    isStale && note("warn", "It has changed since you began: this text would undo that.", button("Begin again", begin, { kind: "primary" })),
    h("textarea", {
      "aria-label": label,
      "aria-invalid": String(result.error !== undefined),
      spellcheck: "false",
      rows: 10,
      value: editing.text,
      oninput: (event: Event) => {
        editing.text = (event.target as HTMLTextAreaElement).value;
        changed();
      },
    }),
    h("p", { class: result.error === undefined ? "soft" : "wrong", role: "status" }, result.error ?? "A JSON object."),
    bar(
      button(yes, saveLatest, { kind: "primary", disabled: isStale || result.error !== undefined }),
      button("Cancel", cancel),
    ),
  );
}
