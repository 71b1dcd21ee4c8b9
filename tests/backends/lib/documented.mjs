// A block of a document in TypeScript, checked by `tsc --strict` beside the installed package, and loaded as a module.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { run } from "../../e2e/lib/files.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const bin = (name) => here(`../../e2e/node_modules/.bin/${name}`);
const COMPILER = { target: "es2022", lib: ["ES2023", "DOM", "DOM.Iterable"], module: "esnext", moduleResolution: "bundler", types: [], strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, noEmit: true };

/** Returns the module of the block ```` ```ts KEY=NAME ```` of `docs/FILE`. `change` gets its code first. */
export async function documented(installed, file, mark, change = (code) => code) {
  const text = readFileSync(here(`../../../docs/${file}`), "utf8");
  const code = new RegExp(`^\`\`\`ts ${mark}\\n(.*?)^\`\`\`$`, "ms").exec(text)?.[1];
  if (code === undefined) throw new Error(`docs/${file} has no block ${mark}`);
  const folder = join(installed.root, mark.replace("=", "-"));
  mkdirSync(folder);
  const source = change(code);
  writeFileSync(join(folder, "block.ts"), source);
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: COMPILER, include: ["block.ts"] }));
  await run(bin("tsc"), ["--project", folder]);
  const plain = execFileSync(bin("esbuild"), ["--loader=ts", "--format=esm", "--target=es2022"], { input: source, encoding: "utf8" });
  writeFileSync(join(folder, "block.mjs"), plain);
  return import(pathToFileURL(join(folder, "block.mjs")));
}
