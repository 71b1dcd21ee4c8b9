// The code in README.md that tests run.
//
// A fenced block whose first line is
//
//     ```ts test=NAME
//
// is run as a page of the test app. Blocks of one name are joined in their order, into one module.
// The module may use, besides what it imports from "datum-sync":
//
// - `session.userId`, a string, and `session.token()`, a promise of a token for that user;
// - `render(value)`, which takes anything: the test waits for it to get a status that is "completed";
// - the address "https://sync.example.com", which is replaced by the running server's.
//
// It is checked by `tsc --strict` first. Nothing in it may be thrown, rejected or logged as an error.
import { readFile } from "node:fs/promises";

const README = new URL("../../../README.md", import.meta.url);
const BLOCK = /^```ts test=([a-z][a-z0-9-]*)[^\n]*\n(.*?)^```[ \t]*$/gms;

/** The named pages of a text, as a map from name to code. */
export function pagesOf(text) {
  const pages = new Map();
  for (const [, name, code] of text.replaceAll("\r\n", "\n").matchAll(BLOCK)) {
    pages.set(name, (pages.get(name) ?? "") + code);
  }
  return pages;
}

/** The code as a module of the test app. */
export const asModule = (code) => `${code.replaceAll(/(["'`])https:\/\/sync\.example\.com\/?\1/g, "session.url")}\nexport {};\n`;

/** The named pages of README.md. */
export const readmePages = async () => pagesOf(await readFile(README, "utf8"));
