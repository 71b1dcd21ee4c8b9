// The guide's code in the documents: copies of the modules that run on the guide's pages.
//
// A fenced block whose first line is
//
//     ```ts pattern=NAME#REGION
//
// has the lines between `// #region REGION` and `// #endregion` of `www/src/patterns/NAME.ts`.
//
//     node tests/e2e/lib/patterns.mjs             checks README.md and docs/*.md
//     node tests/e2e/lib/patterns.mjs --write     updates their blocks
import { readFile, readdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../../", import.meta.url);
const README = new URL("README.md", ROOT);
const DOCS = new URL("docs/", ROOT);
const PATTERNS = new URL("www/src/patterns/", ROOT);
const BLOCK = /^```ts pattern=([a-z-]+)#([a-z-]+)[ \t]*\n(.*?)^```[ \t]*$/gms;

/** Returns the named regions of a module's source. */
export function regionsOf(source) {
  const text = source.replaceAll("\r\n", "\n");
  return new Map([...text.matchAll(/^\/\/ #region ([a-z-]+)\n(.*?)^\/\/ #endregion$/gms)].map(([, name, code]) => [name, code]));
}

/** Returns the source as a page shows it: whole, without the region markers. */
export const shown = (source) => source.replaceAll("\r\n", "\n").replaceAll(/^\/\/ #(?:end)?region\b.*\n/gm, "").trim();

/** Returns `[name, region, code]` of each block of a text. */
export const blocksOf = (text) => [...text.replaceAll("\r\n", "\n").matchAll(BLOCK)].map(([, name, region, code]) => [name, region, code]);

/** Returns the text with all blocks updated. `sources` maps names to sources. */
export const refreshed = (text, sources) =>
  text.replaceAll("\r\n", "\n").replaceAll(BLOCK, (_, name, region) => {
    const code = regionsOf(sources.get(name) ?? "").get(region);
    if (code === undefined) throw new Error(`there is a block ${name}#${region}, but www/src/patterns/${name}.ts has no such region`);
    return `\`\`\`ts pattern=${name}#${region}\n${code}\`\`\``;
  });

/** Returns the patterns' modules as a map from name to source. */
export async function patternSources() {
  const files = (await readdir(PATTERNS)).filter((file) => file.endsWith(".ts")).sort();
  return new Map(await Promise.all(files.map(async (file) => [file.slice(0, -".ts".length), await readFile(new URL(file, PATTERNS), "utf8")])));
}

/** Returns the text of README.md. */
export const readme = () => readFile(README, "utf8");

/** Returns the documents that may have blocks: README.md and docs/*.md. */
export async function documents() {
  const docs = (await readdir(DOCS).catch(() => [])).filter((file) => file.endsWith(".md")).sort();
  return [README, ...docs.map((file) => new URL(file, DOCS))];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sources = await patternSources();
  for (const document of await documents()) {
    const text = await readFile(document, "utf8");
    const fresh = refreshed(text, sources);
    if (fresh === text) continue;
    if (process.argv.includes("--write")) await writeFile(document, fresh);
    else {
      console.error(`${fileURLToPath(document)} is out of date: run node tests/e2e/lib/patterns.mjs --write`);
      process.exitCode = 1;
    }
  }
}
