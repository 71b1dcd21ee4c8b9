// The documents: their code runs as it stands, their copies of the guide's code are up to date, and their links lead somewhere.
import assert from "node:assert/strict";
import { access, readFile } from "node:fs/promises";
import { after, before, test } from "./lib/test.mjs";
import { device, launch } from "./lib/browser.mjs";
import { blocksOf, documents, patternSources, refreshed, regionsOf, shown } from "./lib/patterns.mjs";
import { asModule, documentApp, documentModules, modulesOf, pagesOf } from "./lib/readme.mjs";
import { client, startServer } from "./lib/server.mjs";
import { serveFolder } from "./lib/static.mjs";

const ROOT = new URL("../../", import.meta.url);
const modules = await documentModules();

test("blocks of one name are joined, and other blocks are left alone", () => {
  const text = "# x\r\n```ts test=first\r\nlet a = 1;\r\n```\nwords\n```ts\nno();\n```\n```tsx test=other uses=first\nb();\n```\n\n```ts test=first\na += 1;\n```\n";
  assert.deepEqual([...pagesOf(text)].map(([name, page]) => [name, page.code]), [["first", "let a = 1;\na += 1;\n"], ["other", "b();\n"]]);
  assert.deepEqual([...modulesOf(text)], [["other.tsx", "let a = 1;\na += 1;\nb();\n"]]);
  assert.throws(() => modulesOf("```ts test=a uses=b\n```\n"), /uses b/);
});

test("the example's address becomes the running server's, however it is quoted", () => {
  const code = `f("http://127.0.0.1:8787", 'http://127.0.0.1:8787/'); g("https://other.example.com");`;
  const remote = 'new URL(location.href).searchParams.get("remote")!';
  assert.equal(asModule(code), `f(${remote}, ${remote}); g("https://other.example.com");\nexport {};\n`);
});

test("a pattern's region is its lines, without the marks; a page shows the whole module", () => {
  const source = `import x;\r\n\r\n// #region one\r\na();\r\n// #endregion\r\n\r\nb();\r\n`;
  assert.deepEqual([...regionsOf(source)], [["one", "a();\n"]]);
  assert.equal(shown(source), "import x;\n\na();\n\nb();");
  assert.equal(refreshed("x\n```ts pattern=p#one\nold\n```\ny\n", new Map([["p", source]])), "x\n```ts pattern=p#one\na();\n```\ny\n");
  assert.throws(() => refreshed("```ts pattern=p#two\n```\n", new Map([["p", source]])), /p#two/);
});

test("the documents have one block of each pattern, and it is the code that the page runs", async () => {
  const sources = await patternSources();
  const blocks = [];
  for (const document of await documents()) blocks.push(...blocksOf(await readFile(document, "utf8")));
  assert.deepEqual(blocks.map(([name]) => name).sort(), [...sources.keys()]);
  for (const [name, region, code] of blocks) {
    assert.equal(code, regionsOf(sources.get(name)).get(region), `${name}#${region}: run node tests/e2e/lib/patterns.mjs --write`);
  }
});

test("README is at most 150 lines", async () => {
  const lines = (await readFile(new URL("README.md", ROOT), "utf8")).trimEnd().split("\n").length;
  assert.ok(lines <= 150, `${lines}`);
});

/** Returns the anchors of a document, as npm and GitHub make them from its headings. */
const anchorsOf = (text) =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-"));

/** Returns what is wrong with the links of a document: `files` are those of the package, `read` reads one. */
async function brokenLinks(url, files, read) {
  const broken = [];
  for (const [, target] of (await read(url)).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https:/.test(target)) continue;
    const [path, anchor] = target.split("#");
    const file = path === "" ? url : new URL(path, url);
    const name = file.href.slice(ROOT.href.length);
    const text = await read(file).catch(() => null);
    if (text === null) broken.push(`${target}: there is no ${name}`);
    else if (!files.some((shipped) => name === shipped || name.startsWith(`${shipped}/`))) broken.push(`${target}: the package does not have ${name}`);
    else if (anchor !== undefined && !anchorsOf(text).includes(anchor)) broken.push(`${target}: ${name} has no such heading`);
  }
  return broken;
}

test("every link of the documents leads to a file of the package, and to a heading that it has", async () => {
  const files = [...JSON.parse(await readFile(new URL("pkg.json", ROOT), "utf8")).files, "README.md"];
  for (const file of files.filter((file) => /\.md$|^LICENSE/.test(file))) await access(new URL(file, ROOT));
  for (const document of await documents()) {
    assert.deepEqual(await brokenLinks(document, files, (url) => readFile(url, "utf8")), [], document.pathname);
  }
  const read = async (url) => new Map([[`${ROOT}a.md`, "[b](b.md#two-words) [c](b.md#no) [d](d.md) [e](e.md) [f](#f)\n# F"], [`${ROOT}b.md`, "# Two words"], [`${ROOT}e.md`, ""]]).get(url.href) ?? Promise.reject();
  const found = await brokenLinks(new URL("a.md", ROOT), ["a.md", "b.md"], read);
  assert.deepEqual(found, ["b.md#no: b.md has no such heading", "d.md: there is no d.md", "e.md: the package does not have e.md"]);
});

let app, browser, host, server;
before(async () => {
  app = await documentApp(modules);
  await app.build();
  [host, server] = await Promise.all([serveFolder(app.dist), startServer()]);
  const { push } = await client(server.url, "ada");
  const now = new Date().toISOString();
  const data = { title: "Buy milk", done: false, createdAt: now, modifiedAt: now };
  await push([{ opId: "milk", entity: "tasks", id: "milk", kind: "create", baseVersion: null, data }]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await Promise.all([host?.stop(), server?.stop()]);
  await app?.remove();
});

test("README has code for plain JavaScript and for React", () => {
  assert.ok(modules.has("readme-plain.ts") && modules.has("readme-react.tsx"));
});

for (const [file, code] of modules) {
  test(`${file} runs as it stands in its document`, async () => {
    const { context, page, errors } = await device(browser);
    await page.goto(`${host.url}/?page=${file}&remote=${encodeURIComponent(server.url)}`);
    await page.getByText("Buy milk").first().waitFor().catch((cause) => {
      throw new Error(`it never showed "Buy milk"; errors: ${errors.join("; ") || "none"}`, { cause });
    });
    if (code.includes("127.0.0.1:8787") && code.includes('.create({ title: "Buy milk"')) {
      const { pullAll } = await client(server.url, "ada");
      const isThere = async () => (await pullAll()).some((row) => row.id !== "milk" && row.data.title === "Buy milk");
      for (let tries = 0; !(await isThere()); tries++) {
        assert.ok(tries < 100, "what the page created reaches the server");
        await page.waitForTimeout(100);
      }
    }
    assert.deepEqual(errors, []);
    await context.close();
  });
}
