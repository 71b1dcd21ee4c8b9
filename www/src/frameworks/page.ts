// What the pages of all frameworks have: the theme, the user's name, and the code that runs.

import { find, setText } from "../dom.ts";
import { highlight } from "../highlight.ts";
import { wireTheme } from "../theme.ts";
import { currentUser } from "../user.ts";

export function setUp(file: string, source: string): Element {
  wireTheme(find<HTMLButtonElement>(document, "#theme"));
  setText(find(document, "#user"), currentUser());
  setText(find(document, "#code-file"), file);
  find(document, "#code-text").replaceChildren(...highlight(source.trim()));
  find(document, "#copy").addEventListener("click", () => void navigator.clipboard.writeText(source.trim()));
  return find(document, "#app");
}
