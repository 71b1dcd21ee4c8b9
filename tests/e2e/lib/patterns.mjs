// The guide's code in README.md: copies of what runs on the guide's pages.
//
// A fenced block whose first line is
//
//     ```ts pattern=NAME#REGION
//
// holds what stands between `// #region REGION` and `// #endregion` in `www/src/patterns/NAME.ts`.
//
//     node tests/e2e/lib/patterns.mjs --write     brings the blocks up to date
import { readFile, readdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const README = new URL("../../../README.md", import.meta.url);
const PATTERNS = new URL("../../../www/src/patterns/", import.meta.url);
const BLOCK = /^```ts pattern=([a-z-]+)#([a-z-]+)[ \t]*\n(.*?)^```[ \t]*$/gms;

/** The named parts of a module's source. */
export function regionsOf(source) {
  const text = source.replaceAll("\r\n", "\n");
  return new Map([...text.matchAll(/^\/\/ #region ([a-z-]+)\n(.*?)^\/\/ #endregion$/gms)].map(([, name, code]) => [name, code]));
}

/** The source as a page shows it: whole, without the marks. */
export const shown = (source) => source.replaceAll("\r\n", "\n").replaceAll(/^\/\/ #(?:end)?region\b.*\n/gm, "").trim();

/** `[name, region, code]` of each block of a text. */
export const blocksOf = (text) => [...text.replaceAll("\r\n", "\n").matchAll(BLOCK)].map(([, name, region, code]) => [name, region, code]);

/** The text with every block as the sources have it. `sources` is a map from name to source. */
export const refreshed = (text, sources) =>
  text.replaceAll("\r\n", "\n").replaceAll(BLOCK, (_, name, region) => {
    const code = regionsOf(sources.get(name) ?? "").get(region);
    if (code === undefined) throw new Error(`README.md asks for ${name}#${region}; www/src/patterns/${name}.ts has no such region`);
    return `\`\`\`ts pattern=${name}#${region}\n${code}\`\`\``;
  });

/** The patterns' modules: a map from name to source. */
export async function patternSources() {
  const files = (await readdir(PATTERNS)).filter((file) => file.endsWith(".ts")).sort();
  return new Map(await Promise.all(files.map(async (file) => [file.slice(0, -".ts".length), await readFile(new URL(file, PATTERNS), "utf8")])));
}

/** README.md. */
export const readme = () => readFile(README, "utf8");

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await readme();
  const fresh = refreshed(text, await patternSources());
  if (process.argv.includes("--write")) await writeFile(README, fresh);
  else if (fresh !== text) {
    console.error("README.md is behind www/src/patterns: node tests/e2e/lib/patterns.mjs --write");
    process.exitCode = 1;
  }
}
