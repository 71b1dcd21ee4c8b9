/** A field for JSON, which says what is wrong with it. */

import { h, type View } from "./dom.js";
import { parsedObject } from "./format.js";
import { bar, button } from "./parts.js";

export interface Editing {
  text: string;
}

/** Returns the field with its buttons. `save` gets what was written once it is an object. */
export function editor(editing: Editing, label: string, yes: string, save: (value: { [field: string]: any }) => void, cancel: () => void, changed: () => void): View {
  const result = parsedObject(editing.text);
  // What was typed last may not have been drawn yet.
  const saveLatest = () => {
    const { value } = parsedObject(editing.text);
    if (value !== undefined) save(value);
  };
  return h(
    "div",
    { class: "editor", key: `editor ${label}` },
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
      button(yes, saveLatest, { kind: "primary", disabled: result.error !== undefined }),
      button("Cancel", cancel),
    ),
  );
}
