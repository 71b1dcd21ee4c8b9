// The extraction itself: a block that is not found would be a test that is not run.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { blocksOf, patternSources, readme, refreshed, regionsOf, shown } from "./lib/patterns.mjs";
import { asModule, pagesOf } from "./lib/readme.mjs";

test("blocks of one name are joined, and other blocks are left alone", () => {
  const text = "# x\r\n```ts test=first-page\r\nlet a = 1;\r\n```\nwords\n```ts\nno();\n```\n```ts test=other more words\nb();\n```\n\n```ts test=first-page\na += 1;\n```\n";
  assert.deepEqual([...pagesOf(text)], [["first-page", "let a = 1;\na += 1;\n"], ["other", "b();\n"]]);
});

test("the example's address becomes the running server's, however it is quoted", () => {
  const code = `f("https://sync.example.com", 'https://sync.example.com/'); g("https://other.example.com");`;
  assert.equal(asModule(code), `f(session.url, session.url); g("https://other.example.com");\nexport {};\n`);
});

test("a pattern's region is its lines, without the marks; a page shows the whole module", () => {
  const source = `import x;\r\n\r\n// #region one\r\na();\r\n// #endregion\r\n\r\nb();\r\n`;
  assert.deepEqual([...regionsOf(source)], [["one", "a();\n"]]);
  assert.equal(shown(source), "import x;\n\na();\n\nb();");
  assert.equal(refreshed("x\n```ts pattern=p#one\nold\n```\ny\n", new Map([["p", source]])), "x\n```ts pattern=p#one\na();\n```\ny\n");
  assert.throws(() => refreshed("```ts pattern=p#two\n```\n", new Map([["p", source]])), /p#two/);
});

test("README's guide has one block of each pattern, and it is the code that the page runs", async () => {
  const [text, sources] = [await readme(), await patternSources()];
  const blocks = blocksOf(text);
  assert.deepEqual(blocks.map(([name]) => name).sort(), [...sources.keys()]);
  for (const [name, region, code] of blocks) {
    assert.equal(code, regionsOf(sources.get(name)).get(region), `${name}#${region}: run node tests/e2e/lib/patterns.mjs --write`);
  }
});

// The tests that a cell names exist; a cell that names none says why not.
async function named(row, cell) {
  const tests = new URL("../", import.meta.url);
  if (cell.startsWith("– ")) return;
  const names = [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
  assert.ok(names.length > 0, `${row} names a test, or says why not`);
  for (const name of names) {
    const [, file, title] = /^(\w+)(?:::|: )(.+)$/.exec(name) ?? assert.fail(`${row}: ${name} is no test's name`);
    const [path, start] = name.includes("::") ? [`${file}.rs`, `fn ${title}(`] : [`e2e/${file}.test.mjs`, `test("${title}`];
    const source = await readFile(new URL(path, tests), "utf8").catch(() => assert.fail(`${row}: there is no tests/${path}`));
    assert.ok(source.includes(start), `${row}: tests/${path} has no ${title}`);
  }
}

const numbered = (letter, count) => Array.from({ length: count }, (_, i) => `${letter}${String(i + 1).padStart(2, "0")}`);

test("every demand of the guide has a row in tests/README.md, and every test named there exists", async () => {
  const rows = [...(await readFile(new URL("../README.md", import.meta.url), "utf8")).matchAll(/^\| (S\d\d) \| .* \| (.*) \|$/gm)];
  assert.deepEqual(rows.map(([, demand]) => demand), numbered("S", 62));
  for (const [, demand, cell] of rows) await named(demand, cell);
});

test("every complaint about other engines has a row in tests/README.md, says whether it could happen here, and names a test", async () => {
  const rows = [...(await readFile(new URL("../README.md", import.meta.url), "utf8")).matchAll(/^\| (C\d\d) \| .+ \| (.+) \| (.*) \|$/gm)];
  assert.deepEqual(rows.map(([, complaint]) => complaint), numbered("C", 40));
  for (const [, complaint, , cell] of rows) await named(complaint, cell);
});
