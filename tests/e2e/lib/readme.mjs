// The code in README.md and docs/*.md that tests run, and the app that runs it.
//
// A fenced block whose first line is
//
//     ```ts test=NAME
//
// is a page of a new Vite app, as it stands; `js`, `ts`, `jsx` and `tsx` will do. Blocks of one name in one document are
// joined in their order. `uses=OTHER` puts the blocks of that name in the same document in front. The code is checked by
// `tsc --strict` first. The page has an empty `<main id="app">`; a page passes when it shows "Buy milk", which is on the
// server from the start, and nothing was thrown, rejected or logged as an error.
//
// The address "http://127.0.0.1:8787" becomes the running server's.
import { readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeApp } from "./app.mjs";
import { npm } from "./files.mjs";
import { documents } from "./patterns.mjs";

const BLOCK = /^```([jt]sx?) test=([a-z][a-z0-9-]*)(?: uses=([a-z][a-z0-9-]*))?[ \t]*\n(.*?)^```[ \t]*$/gms;
const ADDRESS = /(["'`])http:\/\/127\.0\.0\.1:8787\/?\1/g;
const FRAMEWORKS = ["@types/react", "@types/react-dom", "react", "react-dom"];

/** Returns the pages of a document, as a map from name to `{ code, uses, jsx }`. */
export function pagesOf(text) {
  const pages = new Map();
  for (const [, language, name, uses, code] of text.replaceAll("\r\n", "\n").matchAll(BLOCK)) {
    const page = pages.get(name) ?? { code: "", uses: undefined, jsx: false };
    pages.set(name, { code: page.code + code, uses: page.uses ?? uses, jsx: page.jsx || language.endsWith("x") });
  }
  return pages;
}

/** Returns the modules of a document: a map from file name to code. Pages that others use are no modules by themselves. */
export function modulesOf(text) {
  const pages = pagesOf(text);
  const used = new Set([...pages.values()].map((page) => page.uses));
  const modules = new Map();
  for (const [name, page] of pages) {
    if (used.has(name)) continue;
    const before = page.uses === undefined ? { code: "", jsx: false } : pages.get(page.uses);
    if (before === undefined) throw new Error(`the block ${name} uses ${page.uses}, which the document does not have`);
    modules.set(`${name}.${page.jsx || before.jsx ? "tsx" : "ts"}`, before.code + page.code);
  }
  return modules;
}

/** Returns the code as a module that asks the server at the page's `remote` parameter. */
export const asModule = (code) =>
  `${code.replaceAll(ADDRESS, 'new URL(location.href).searchParams.get("remote")!').replaceAll('querySelector("#app").', 'querySelector("#app")!.')}\nexport {};\n`;

/** Returns the modules of README.md and docs/*.md: a map from `document-name.ts` to code. */
export async function documentModules() {
  const modules = new Map();
  for (const document of await documents()) {
    const name = basename(fileURLToPath(document), ".md").toLowerCase();
    for (const [file, code] of modulesOf(await readFile(document, "utf8"))) modules.set(`${name}-${file}`, code);
  }
  return modules;
}

/** Generates the app that has each module as a page: `/?page=NAME&remote=URL`. */
export async function documentApp(modules) {
  const app = await makeApp();
  const source = join(app.root, "src");
  for (const file of ["harness.ts", "remote.ts", "run.ts", "globals.d.ts", "main.ts", "pages"]) await rm(join(source, file), { recursive: true });
  for (const [file, code] of modules) await writeFile(join(source, file), asModule(code));
  const cases = [...modules.keys()].map((file) => `  "${file}": () => import("./${file.replace(/\.tsx?$/, "")}"),`);
  const main = `const pages: Record<string, () => Promise<unknown>> = {\n${cases.join("\n")}\n};\nvoid pages[new URLSearchParams(location.search).get("page")!]!();\nexport {};\n`;
  await writeFile(join(source, "main.ts"), main);
  await writeFile(join(app.root, "index.html"), '<!doctype html><meta charset="utf-8"><title>documents</title><link rel="icon" href="data:,"><main id="app"></main><script type="module" src="/src/main.ts"></script>');
  const config = join(app.root, "tsconfig.json");
  const { compilerOptions, ...rest } = JSON.parse(await readFile(config, "utf8"));
  // React's own types have an error under `exactOptionalPropertyTypes`; the package's are checked by the other app.
  await writeFile(config, JSON.stringify({ compilerOptions: { ...compilerOptions, jsx: "react-jsx", skipLibCheck: true }, ...rest }, null, 2));
  const { devDependencies } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  await npm(["install", ...FRAMEWORKS.map((name) => `${name}@${devDependencies[name]}`)], app.root);
  return app;
}
