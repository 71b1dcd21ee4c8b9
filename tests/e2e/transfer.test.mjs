// Export and import through the packed package: a user's data becomes a file, the storage is wiped, the file brings it back, and a sync
// ends with one state on the server and every device.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "./lib/test.mjs";
import { makeApp } from "./lib/app.mjs";
import { device, launch } from "./lib/browser.mjs";
import { serveFolder } from "./lib/static.mjs";
import { startTarget } from "./lib/target.mjs";

let app, browser, host, server;

before(async () => {
  app = await makeApp();
  await app.build();
  [host, server] = await Promise.all([serveFolder(app.dist), startTarget()]);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await Promise.all([host?.stop(), server?.stop()]);
  await app?.remove();
});

const address = (user, { url, id, anonKey = "" } = server) => `${host.url}/?${new URLSearchParams({ page: "sync", user: id(user), remote: url, key: anonKey })}`;

async function open(user) {
  const it = await device(browser);
  await it.page.goto(address(user));
  await it.page.waitForFunction(() => document.documentElement.dataset.page === "ended");
  return it;
}

const titles = (page) => page.evaluate(async () => (await window.app.tasks.readAll()).map((task) => task.title).sort());
const pending = (page) => page.evaluate(() => window.app.datum.pendingCount(window.app.userId));
const synchronize = (page) => page.evaluate(async () => (await window.app.datum.synchronize(window.app.userId)).isSuccess);
const create = (page, ...titles) => page.evaluate(async (titles) => void (await window.app.tasks.createMany(titles.map((title) => ({ title, done: false })))), titles);
const exported = (page) => page.evaluate(() => new Response(window.app.datum.exportUser()).text());
const imported = (page, file, options) =>
  page.evaluate(
    async ([file, options]) => {
      try {
        return { result: await window.app.datum.importUser(file, options) };
      } catch (error) {
        return { code: error.code, message: error.message };
      }
    },
    [file, options],
  );

test("a file brings back what a wipe took, and what was pending is sent once", async () => {
  const it = await open("backup");
  await create(it.page, "milk", "bread");
  assert.equal(await synchronize(it.page), true);
  await create(it.page, "not sent");
  const file = await exported(it.page);
  assert.equal(JSON.parse(file.split("\n")[0]).lines, 3);

  await it.page.evaluate(() => window.app.datum.clearUserData(window.app.userId));
  const { result } = await imported(it.page, file);

  assert.deepEqual([result.added, result.pendingOperations, result.kept], [3, 1, 0]);
  assert.deepEqual(await titles(it.page), ["bread", "milk", "not sent"]);
  await it.page.reload();
  await it.page.waitForFunction(() => document.documentElement.dataset.page === "ended");
  assert.deepEqual([await titles(it.page), await pending(it.page)], [["bread", "milk", "not sent"], 1]);

  assert.equal(await synchronize(it.page), true);
  const other = await open("backup");
  assert.equal(await synchronize(other.page), true);
  assert.deepEqual(await titles(other.page), ["bread", "milk", "not sent"]);
  assert.equal(await pending(it.page), 0);
  assert.deepEqual([it.errors, other.errors], [[], []]);
});

test("the code of docs/backup.md saves and loads, and offers the entities of another user", async () => {
  const text = await readFile(new URL("../../docs/backup.md", import.meta.url), "utf8");
  const [saves, offers, ...more] = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  assert.deepEqual(more, []);
  const [it, other] = [await open("documents"), await open("reader")];
  await create(it.page, "milk", "bread");
  const run = (page, code, file) =>
    page.evaluate(
      async ([code, file]) => {
        const asked = [];
        const confirm = (question) => asked.push(question) > 0;
        const AsyncFunction = (async () => {}).constructor;
        const given = file === undefined ? ["datum", "confirm"] : ["datum", "confirm", "file"];
        await new AsyncFunction(...given, code)(window.app.datum, confirm, file);
        return asked;
      },
      [code, file],
    );
  const [save, load] = saves.split("// Load");
  assert.deepEqual(await run(it.page, `${save}\nawait datum.clearUserData(datum.currentUserId);\n// Load${load}`), ["Add 2 entities, and 2 unsent changes?"]);
  assert.deepEqual([await titles(it.page), await pending(it.page)], [["bread", "milk"], 2]);
  await run(other.page, offers, await exported(it.page));
  assert.deepEqual([await titles(other.page), await pending(other.page)], [["bread", "milk"], 2]);
  assert.deepEqual([it.errors, other.errors], [[], []]);
});

test("a file comes in every form, with its progress, and leaves in every form", async () => {
  const it = await open("forms");
  await create(it.page, ...Array.from({ length: 1200 }, (_, index) => `${index} ${"ä".repeat(100)}`));
  assert.equal(await synchronize(it.page), true);
  const counts = await it.page.evaluate(async () => {
    const { datum } = window.app;
    const steps = [];
    const chunks = [];
    for await (const chunk of datum.exportUser(undefined, { onProgress: (progress) => steps.push(progress) })) chunks.push(chunk);
    const blob = new Blob(chunks);
    const text = await blob.text();
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const zipped = new Response(datum.exportUser().pipeThrough(new CompressionStream("gzip")));
    const sources = [blob, text, bytes, bytes.buffer, new Response(blob), blob.stream(), datum.exportUser(), zipped.body.pipeThrough(new DecompressionStream("gzip"))];
    sources.push(
      (async function* () {
        yield text.slice(0, 5001);
        yield text.slice(5001);
      })(),
    );
    const unchanged = [];
    const reading = [];
    for (const source of sources) unchanged.push((await datum.importUser(source, { onProgress: (progress) => reading.push(progress) })).unchanged);
    return { unchanged, chunks: chunks.length, largest: Math.max(...chunks.map((chunk) => chunk.length)), last: steps.at(-1), read: reading.at(-1) };
  });
  assert.deepEqual(counts.unchanged, Array(9).fill(1200));
  assert.ok(counts.chunks > 4, `${counts.chunks} chunks`);
  assert.ok(counts.largest < 100_000, `a chunk of ${counts.largest} bytes`);
  assert.deepEqual(counts.last, { phase: "writing", lines: 1202, total: 1202 });
  assert.deepEqual(counts.read, { phase: "reading", lines: 1202, total: 1202 });
});

test("what is no whole file of this user is refused with its code, and nothing changes", async () => {
  const [it, other] = [await open("refusing"), await open("stranger")];
  await create(it.page, "mine");
  await create(other.page, "theirs");
  const [own, foreign] = [await exported(it.page), await exported(other.page)];
  const cases = [
    [own.slice(0, own.length / 2), {}, "corrupt"],
    [own.replace("mine", "nine"), {}, "corrupt"],
    [foreign, {}, "userMismatch"],
    ["", {}, "invalidArgument"],
    ["no json", {}, "invalidArgument"],
    [7, {}, "invalidArgument"],
    [null, {}, "invalidArgument"],
    [own, { existing: "replace" }, "invalidArgument"],
    [own, { skip: true }, "invalidArgument"],
  ];
  for (const [file, options, code] of cases) {
    const refused = await imported(it.page, file, options);
    assert.equal(refused.code, code, JSON.stringify(refused));
  }
  const { code, message } = await it.page.evaluate(async () => {
    const gzip = window.app.datum.exportUser().pipeThrough(new CompressionStream("gzip"));
    return window.app.datum.importUser(gzip).catch(({ code, message }) => ({ code, message }));
  });
  assert.ok(code === "invalidArgument" && message.includes("DecompressionStream"), message);
  const stopped = await it.page.evaluate(async () => {
    const { datum } = window.app;
    const signal = AbortSignal.abort();
    const codes = [];
    await datum.importUser("", { signal }).catch((error) => codes.push(error.code));
    const reader = datum.exportUser(null, { signal }).getReader();
    await reader.read().catch((error) => codes.push(error.code));
    return codes;
  });
  assert.deepEqual(stopped, ["cancelled", "cancelled"]);
  assert.deepEqual([await titles(it.page), await pending(it.page)], [["mine"], 1]);
  const { result } = await imported(it.page, foreign, { asNew: true });
  assert.equal(result.added, 1);
  assert.deepEqual(await titles(it.page), ["mine", "theirs"]);
});

test("a signal ends an import whose source is silent, and a stream is cancelled", async () => {
  const it = await open("silent");
  const codes = await it.page.evaluate(async () => {
    const { datum } = window.app;
    // The package's files are there from then on.
    await datum.storageSize(window.app.userId);
    const within = (promise) => Promise.race([promise.then(() => "done", (error) => error.code), new Promise((resolve) => setTimeout(resolve, 5_000, "pending"))]);
    const codes = [];
    let cancelled = false;
    const silent = {
      iterable: { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) },
      stream: new ReadableStream({ cancel: () => void (cancelled = true) }),
    };
    for (const source of Object.values(silent)) {
      const stop = new AbortController();
      const result = within(datum.importUser(source, { signal: stop.signal }));
      // The import waits for its source by then.
      await datum.pendingCount(window.app.userId);
      stop.abort();
      codes.push(await result);
    }
    return [...codes, cancelled];
  });
  assert.deepEqual(codes, ["cancelled", "cancelled", true]);
  await it.context.close();
});

test("a signal ends an import that waits for a cycle, and the cycle goes on", async () => {
  const it = await open("waiting");
  await create(it.page, "milk");
  const file = await exported(it.page);
  let arrive, go;
  const [arrived, gate] = [new Promise((resolve) => (arrive = resolve)), new Promise((resolve) => (go = resolve))];
  await it.page.route(/\/sync\/v1\/(pull|push)/, async (route) => {
    arrive();
    await gate;
    await route.continue();
  });
  await it.page.evaluate(() => void (window.cycle = window.app.datum.synchronize(window.app.userId)));
  await arrived;
  const code = await it.page.evaluate(async (file) => {
    const stop = new AbortController();
    let imported;
    await new Promise((read) => {
      const onProgress = ({ lines, total }) => lines === total && read();
      imported = window.app.datum.importUser(file, { signal: stop.signal, onProgress }).catch(({ code }) => code);
    });
    stop.abort();
    return imported;
  }, file);
  go();
  assert.deepEqual([code, await it.page.evaluate(async () => (await window.cycle).isSuccess)], ["cancelled", true]);
  await it.context.close();
});
