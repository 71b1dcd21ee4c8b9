// Syntax highlighting for TypeScript, with five kinds of token.

import { make } from "./dom.ts";

const keywords =
  "import|export|type|interface|extends|async|function|const|let|await|return|for|of|from|true|false|null|undefined|if|else|try|catch|finally|throw|new|switch|case|instanceof|void|class";

const token = new RegExp(
  [
    String.raw`(?<comment>\/\/[^\n]*|\/\*[^]*?\*\/)`,
    String.raw`(?<string>"[^"\n]*"|\`(?:[^\`\\]|\\.)*\`)`,
    String.raw`(?<keyword>\b(?:${keywords})\b)`,
    String.raw`(?<name>\b[A-Z]\w*)`,
    String.raw`(?<call>\b\w+(?=\())`,
  ].join("|"),
  "g",
);

/** Returns code as text nodes and coloured spans. */
export function highlight(code: string): (Node | string)[] {
  const nodes: (Node | string)[] = [];
  let end = 0;
  for (const match of code.matchAll(token)) {
    const kind = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0] ?? "";
    nodes.push(code.slice(end, match.index), make("span", { class: `t-${kind}` }, match[0]));
    end = match.index + match[0].length;
  }
  nodes.push(code.slice(end));
  return nodes;
}
