/** How conflicts were decided, in words. */

import type { MergeExplanation } from "datum-sync";
import { h, type View } from "./dom.js";
import { clock } from "./format.js";
import { mono } from "./parts.js";

/** Returns how a conflict was decided, field by field. */
export function decided({ at, resolver, fields }: MergeExplanation): View {
  return h(
    "div",
    { class: "decided" },
    h("p", {}, `${clock(at)}, by ${resolver}`),
    h("ul", {}, ...fields.map(({ field, taken, because }) => h("li", {}, mono(field), `: ${taken}. ${because}`))),
  );
}
