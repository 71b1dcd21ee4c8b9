// The theme button: system, light or dark. `public/theme.js` applies the choice before the first paint.

import { find, setText } from "./dom.ts";

const KEY = "datum-demo-theme";
const order = ["system", "light", "dark"] as const;
type Theme = (typeof order)[number];

export function wireTheme(button: HTMLButtonElement): void {
  const label = find(button, "span");
  const show = (theme: Theme): void => {
    if (theme === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    setText(label, `Theme: ${theme}`);
  };
  let theme = stored();
  show(theme);
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length] ?? "system";
    show(theme);
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // localStorage is blocked: the choice lasts until the page is closed.
    }
  });
}

function stored(): Theme {
  const set = document.documentElement.dataset["theme"];
  return set === "light" || set === "dark" ? set : "system";
}
