// Shows the region of device.ts that runs each device. The build reads it from that file.

import source from "./device.ts?raw";
import { find, setText } from "./dom.ts";
import { highlight } from "./highlight.ts";

export function showCode(disclosure: HTMLDetailsElement): void {
  const lines = shownRegion(source);
  setText(find(disclosure, "#code-about"), `src/device.ts, ${lines.filter((line) => line.trim()).length} lines: all the sync code of a device`);
  find(disclosure, "#code-text").append(...highlight(lines.join("\n")));
  const openIfAsked = (): void => {
    if (location.hash === "#code") disclosure.open = true;
  };
  window.addEventListener("hashchange", openIfAsked);
  openIfAsked();
}

function shownRegion(text: string): string[] {
  const lines = text.split("\n");
  const from = lines.indexOf("// #region shown");
  const to = lines.indexOf("// #endregion");
  if (from < 0 || to < from) throw new Error("device.ts has no region named shown");
  return lines.slice(from + 1, to);
}
