// "The code": the region of device.ts that runs each device, read from that very file at build time.

import source from "./device.ts?raw";
import { find, make, setText } from "./dom.ts";

export function showCode(disclosure: HTMLDetailsElement): void {
  const lines = shownRegion(source);
  setText(find(disclosure, "#code-about"), `src/device.ts, ${lines.filter((line) => line.trim()).length} lines: all that a device needs`);
  find(disclosure, "#code-text").append(...paint(lines.join("\n")));
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
  if (from < 0 || to < from) throw new Error("device.ts has lost its region");
  return lines.slice(from + 1, to);
}

const token =
  /(?<comment>\/\/[^\n]*)|(?<string>"[^"\n]*")|(?<keyword>\b(?:import|export|type|interface|extends|async|function|const|await|return|for|of|from|true|false)\b)|(?<name>\b[A-Z]\w*)|(?<call>\b\w+(?=\())/g;

/** Colours the few kinds of token that the region has; everything else stays as it is. */
function paint(code: string): (Node | string)[] {
  const painted: (Node | string)[] = [];
  let end = 0;
  for (const match of code.matchAll(token)) {
    const kind = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0] ?? "";
    painted.push(code.slice(end, match.index), make("span", { class: `t-${kind}` }, match[0]));
    end = match.index + match[0].length;
  }
  painted.push(code.slice(end));
  return painted;
}
