// The module comes in parts: a page shows what it has stored before the later ones are there, calls wait for
// theirs, and a part that cannot be had costs nothing but those calls.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { blankPages, evaluate } from "./lib/blank.mjs";
import { device, eventually, launch } from "./lib/browser.mjs";
import { LATER, held, holdBack } from "./lib/held.mjs";
import { plainSite, ready } from "./lib/plain.mjs";

let browser, site;
before(async () => ([site, browser] = await Promise.all([plainSite(), launch()])));
after(async () => {
  await browser?.close();
  await site?.stop();
});

async function opened(user, paths, config) {
  const it = await device(browser);
  const parts = await held(it.context, paths);
  await it.page.goto(site.address(user, config));
  await ready(it.page);
  return { ...it, parts };
}

test("a page reads and watches before the later parts are there, and writes what it was given once they are", async () => {
  const { page, parts, errors, stalls, context } = await opened("early");
  await page.evaluate(() => {
    const { tasks } = window.app;
    const draft = { id: "a", title: "early" };
    const drafts = [{ id: "b", title: "early too" }];
    const changes = { tags: ["as it was"] };
    // The fifth is in another part than those around it.
    window.wrote = Promise.all([tasks.create(draft), tasks.createMany(drafts), tasks.patch("a", changes), tasks.update({ id: "b", title: "whole" }), tasks.patchMany([{ id: "b", changes: { title: "again" } }]), tasks.patch("b", { tags: ["last"] })]);
    // Frameworks keep notes of their own beside the data.
    const noted = Object.defineProperty({ id: "c", title: "noted" }, "note", { value: () => {} });
    const circle = { title: "circle", of: [] };
    circle.of.push({ circle }, { circle });
    window.odd = Promise.all([tasks.create(noted), tasks.create(circle).catch(({ code }) => code), tasks.delete("c").catch(({ code }) => code)]);
    // What an app gives away may be another form's by then.
    draft.title = drafts[0].title = changes.tags[0] = "later";
  });
  assert.deepEqual(await page.evaluate(() => window.app.titles()), []);
  const watched = await page.evaluate(async () => {
    const feed = window.app.tasks.watchAll()[Symbol.asyncIterator]();
    const { value } = await feed.next();
    await feed.return();
    return value;
  });
  assert.deepEqual(watched, []);
  assert.equal(await page.evaluate(() => window.app.status().status), "idle");
  await parts.asked;
  parts.open();
  const wrote = await page.evaluate(() => window.wrote.then(([created, [many], patched, updated, [again], last]) => [created.title, many.title, patched.tags, updated.title, again.title, last.title, last.tags]));
  assert.deepEqual(wrote, ["early", "early too", ["as it was"], "whole", "again", "again", ["last"]]);
  assert.deepEqual(await page.evaluate(() => window.odd.then(([noted, ...rest]) => [noted.title, "note" in noted, ...rest])), ["noted", false, "invalidEntity", true]);
  await page.evaluate(() => window.app.sync());
  await page.waitForFunction(() => window.app.ended.length === 1);
  assert.deepEqual(await site.rows("early"), ["again", "early"]);
  assert.deepEqual([errors, stalls], [[], []]);
  await context.close();
});

test("a page that only reads what was pulled stands still for no part, however it reads first", async () => {
  const { page: other, context: writing } = await device(browser);
  await other.goto(site.address("reader"));
  await ready(other);
  await other.evaluate(() => {
    const note = "call the supplier about the order ".repeat(8);
    // Ids in order, as the engine makes them, and ids that are not.
    const ids = [() => undefined, (n) => `task-${n}`];
    return Promise.all(ids.map((id) => window.app.tasks.createMany(Array.from({ length: 1_500 }, (_, n) => ({ id: id(n), title: `task ${n}`, note, list: null, tags: ["a"], at: n / 7 })))));
  });
  await other.evaluate(() => window.app.sync());
  await other.waitForFunction(() => window.app.ended.length === 1);

  const { context, errors, stalls } = await device(browser, false);
  const filling = await context.newPage();
  await filling.goto(site.address("reader"));
  await ready(filling);
  await filling.evaluate(() => window.app.sync());
  await filling.waitForFunction(() => window.app.ended.length === 1);
  assert.equal(await filling.evaluate(() => window.app.tasks.count()), 3_000);
  await filling.close();
  const readInEachWay = async () => {
    for (const way of ["readAll", "read", "readPage", "watchAll", "watchById"]) {
      const page = await context.newPage();
      await page.addInitScript(holdBack);
      await page.goto(site.address("reader"));
      await ready(page);
      const found = await page.evaluate(async (way) => {
        const { tasks } = window.app;
        if (way === "readAll") return (await tasks.readAll()).length;
        if (way === "readPage") return (await tasks.readPage({ size: 50 })).items.length;
        if (way === "read") return (await tasks.read("task-77")).title;
        for await (const value of (way === "watchAll" ? tasks.watchAll() : tasks.watchById("task-77"))) return value.title ?? value.length;
      }, way);
      assert.equal(found, { readAll: 3_000, readPage: 50, read: "task 77", watchAll: 3_000, watchById: "task 77" }[way]);
      await page.close();
    }
  };
  await readInEachWay();

  // Not in the order of ids, and so often that the log is compacted.
  const again = await context.newPage();
  await again.goto(site.address("reader"));
  await ready(again);
  const sync = (page) => page.evaluate(() => window.app.datum.synchronize(window.app.user).then(() => undefined));
  for (const id of ["task-900", "task-5", "task-77", "task-400"]) {
    await other.evaluate((id) => window.app.tasks.patch(id, { large: id.padEnd(600_000, "x") }).then(() => undefined), id);
    await other.evaluate((id) => window.app.tasks.patch(id, { large: id }).then(() => undefined), "task-1");
    await sync(other);
    await sync(again);
    await other.evaluate((id) => window.app.tasks.patch(id, { large: id }).then(() => undefined), id);
    await sync(other);
    await sync(again);
  }
  await eventually(again, async () => (await window.app.datum.storageSize(window.app.user)).bytes < 2_500_000);
  await again.close();
  await readInEachWay();
  await writing.close();
  assert.deepEqual([errors, stalls], [[], []]);
  await context.close();
});

test("queries wait for their part, live ones too, and the page stands still for none", async () => {
  const { page, parts, errors, stalls, context } = await opened("asking", /datum_sync_rest\.wasm$/);
  await page.evaluate(() => window.app.tasks.create({ id: "t", title: "early" }).then(() => undefined));
  await page.evaluate(() => {
    const { tasks } = window.app;
    const query = { where: { field: "title", equals: "early" } };
    const first = async (feed) => {
      for await (const value of feed) return value;
    };
    const left = tasks.watchQuery(query)[Symbol.asyncIterator]();
    void left.next().then(() => (window.leftEnded = true));
    void left.return();
    const asked = [tasks.query(query), tasks.count(query), tasks.readPage({ size: 5, query }), tasks.explain(query), first(tasks.watchQuery(query)), first(tasks.watchQuery(query).changes()), first(tasks.watchCount(query)), tasks.deleteWhere(query.where)];
    window.answers = 0;
    void Promise.all(asked.map((promise) => promise.then((value) => ((window.answers += 1), value)))).then((all) => (window.all = all));
  });
  assert.equal(await page.evaluate(() => window.app.tasks.count()), 1, "a count of everything does not wait");
  assert.equal(await page.evaluate(() => window.answers), 0);
  parts.open();
  await page.waitForFunction(() => window.all && window.leftEnded);
  const [found, count, { items }, { reason }, list, edits, number, deleted] = await page.evaluate(() => window.all);
  assert.deepEqual([found.length, count, items.length, reason, list.length, edits.length, number, deleted], [1, 1, 1, "There is no index.", 1, 1, 1, ["t"]]);
  assert.deepEqual([errors, stalls], [[], []]);
  await context.close();
});

test("calls and the schedule wait for their parts, and then do what they are for", async () => {
  const { page, parts, errors, stalls, context } = await opened("waiting", LATER, { autoStartSync: true });
  await page.evaluate(() => {
    window.done = [];
    const note = (name) => (value) => window.done.push([name, value?.isSuccess ?? value?.code ?? typeof value]);
    const { datum, tasks, user } = window.app;
    void tasks.create({ title: "waits" }).then(note("create"));
    void datum.synchronize(user).then(note("synchronize"), note("synchronize"));
    void datum.storageSize(user).then(note("storageSize"), note("storageSize"));
    void datum.retryDeadLetter("nothing").then(note("retryDeadLetter"), note("retryDeadLetter"));
  });
  await parts.asked;
  assert.equal(await page.evaluate(() => window.app.tasks.count()), 0);
  assert.deepEqual(await page.evaluate(() => window.done), []);
  parts.open();
  await page.waitForFunction(() => window.done.length === 4);
  const done = Object.fromEntries(await page.evaluate(() => window.done));
  assert.deepEqual(done, { create: "object", synchronize: true, storageSize: "object", retryDeadLetter: "notFound" });
  assert.deepEqual([errors, stalls], [[], []]);
  await context.close();
});

test("a part that is lost is had from the fallback", async () => {
  const { page, parts, errors, context } = await opened("lost");
  parts.fail();
  await page.evaluate(() => window.app.tasks.create({ title: "kept" }).then(() => undefined));
  await page.evaluate(() => window.app.sync());
  await page.waitForFunction(() => window.app.ended.length === 1);
  assert.deepEqual(await site.rows("lost"), ["kept"]);
  assert.deepEqual(errors, []);
  await context.close();
});

test("without its part a call rejects with `network`, and a later one tries again", async () => {
  const { page, parts, errors, context } = await opened("gone", /datum_sync_(cycle|rest)\.wasm$|inline\.js$/);
  parts.fail();
  const code = () => page.evaluate(() => window.app.datum.synchronize(window.app.user).then((result) => result.isSuccess, (error) => [error.code, error.retryable]));
  assert.deepEqual(await code(), ["network", true]);
  const write = () => page.evaluate(() => window.app.tasks.create({ title: "offline" }).then(() => true, (error) => [error.code, error.retryable]));
  assert.deepEqual(await write(), ["network", true]);
  assert.deepEqual(await page.evaluate(() => window.app.titles()), [], "the page reads on");
  await context.unrouteAll();
  // An attempt that began while the files were missing may still fail.
  await eventually(page, () => window.app.tasks.create({ title: "offline" }).then(() => true, () => false));
  assert.equal(await code(), true);
  assert.deepEqual(await site.rows("gone"), ["offline"]);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a refusal or a conflict without the last part costs a cycle, and not the instance", async () => {
  const { page: other, context: otherContext } = await device(browser);
  await other.goto(site.address("refused"));
  await ready(other);
  const sync = (page) => page.evaluate(() => window.app.datum.synchronize(window.app.user).then((result) => result.isSuccess, (error) => error.code));
  const { page, parts, errors, context } = await opened("refused", /datum_sync_rest\.wasm$|inline\.js$/, { defaultConflictResolver: "remotePriority" });
  await page.evaluate(() => window.app.tasks.create({ id: "task", title: "first" }).then(() => undefined));
  assert.equal(await sync(page), true, "an ordinary cycle needs no last part");
  assert.equal(await sync(other), true);
  parts.fail();
  const alive = async () => assert.deepEqual(await page.evaluate(() => window.app.titles()), ["mine"]);

  await page.evaluate(() => window.app.tasks.patch("task", { title: "mine" }).then(() => undefined));
  const isPush = (url) => url.pathname.endsWith("/push");
  await context.route(isPush, (route) => route.fulfill({ status: 503, json: { error: { code: "unavailable", message: "Not now." } } }));
  assert.equal(await sync(page), "network");
  await alive();
  await context.unroute(isPush);
  await other.evaluate(() => window.app.tasks.patch("task", { title: "theirs" }).then(() => undefined));
  assert.equal(await sync(other), true);
  assert.equal(await sync(page), "network");
  await alive();
  await context.unrouteAll();
  assert.equal(await sync(page), true);
  assert.deepEqual(await page.evaluate(() => window.app.titles()), ["theirs"]);
  assert.deepEqual(errors, []);
  for (const one of [context, otherContext]) await one.close();
});

test("an instance that cannot trace without the last part works without a trace", async () => {
  const it = await device(browser);
  const { page, context } = it;
  await context.route((url) => /datum_sync_rest\.wasm$|inline\.js$/.test(url.pathname), (route) => route.abort());
  await page.goto(site.address("traced", { trace: true }));
  await ready(page);
  await page.evaluate(() => window.app.tasks.create({ title: "untraced" }).then(() => undefined));
  const exported = () => page.evaluate(() => window.app.datum.exportTrace().then(() => "a file", ({ code }) => code));
  assert.equal(await exported(), "network");
  await context.unrouteAll();
  assert.equal(await exported(), "unsupported");
  await page.reload();
  await ready(page);
  assert.deepEqual(await page.evaluate(() => window.app.titles()), ["untraced"]);
  assert.equal(await exported(), "a file");
  assert.deepEqual(it.errors, []);
  await context.close();
});

test("an adapter's verdict without the last part costs a cycle, and not the instance", async () => {
  const pages = await blankPages();
  const { page, context } = await pages.tab();
  await context.route((url) => /datum_sync_rest\.wasm$|inline\.js$/.test(url.pathname), (route) => route.abort());
  await evaluate(page, async ({ Datum, config }) => {
    let version = 0;
    const verdicts = { applied: {}, conflict: { row: { id: "task", title: "theirs" } }, rejected: { code: "no", message: "No." }, retry: { retryAfterMs: 1 } };
    const remote = {
      pull: async () => ({ changes: [], cursor: "1", more: false }),
      push: async ({ operations }) => ({ results: operations.map(({ opId }) => ({ opId, status: window.status, version: ++version, ...verdicts[window.status] })) }),
    };
    window.datum = await Datum.initialize(config({ initialUserId: undefined, defaultConflictResolver: "remotePriority", retry: { maxAttempts: 1 }, remote }));
    window.sync = (options) => window.datum.synchronize("ada", { force: true, ...options }).then(({ isSuccess }) => isSuccess, ({ code }) => code);
    window.tasks = window.datum.manager("tasks");
  });
  const cycle = (status, options) =>
    evaluate(page, async (_, [status, options]) => {
      window.status = status;
      if (await window.tasks.read("task", { userId: "ada" })) await window.tasks.patch("task", { title: status }, { userId: "ada" });
      else await window.tasks.create({ id: "task", title: status }, { userId: "ada" });
      return [await window.sync(options), (await window.tasks.read("task", { userId: "ada" })).title];
    }, [status, options]);
  assert.deepEqual(await cycle("applied"), [true, "applied"], "an ordinary cycle needs no last part");
  for (const status of ["conflict", "rejected", "retry"]) assert.deepEqual(await cycle(status), ["network", status]);
  assert.deepEqual(await cycle("applied", { direction: "pushOnly" }), [true, "applied"]);
  await context.unrouteAll();
  assert.deepEqual(await cycle("conflict", { direction: "pushOnly" }), [true, "theirs"]);
  await pages.stop();
});

test("the schedule begins by itself when a part that was lost can be had", async () => {
  const { page, context } = await device(browser);
  await page.goto(site.address("again"));
  await ready(page);
  await page.evaluate(() => window.app.tasks.create({ title: "at last" }).then(() => undefined));
  const parts = await held(context, /datum_sync_(cycle|rest)\.wasm$|inline\.js$/);
  await page.goto(site.address("again", { autoStartSync: true }));
  await ready(page);
  await parts.asked;
  parts.fail();
  await context.unrouteAll();
  await eventually(page, () => window.app.status().pendingOperations === 0 && window.app.status().status === "completed");
  assert.deepEqual(await site.rows("again"), ["at last"]);
  await context.close();
});

/** Has a cycle meet a reply that breaks the protocol, which no profile has, and returns the code that it ends with. */
async function meetBrokenReply(context, page) {
  const isPull = (url) => url.pathname.endsWith("/pull");
  const json = { changes: [{ entity: "tasks", id: "a", version: "one", deleted: false, data: { id: "a" } }], cursor: "1", more: false };
  await context.route(isPull, (route) => route.fulfill({ headers: { "access-control-allow-origin": "*" }, json }));
  const code = await page.evaluate(() => window.app.datum.synchronize(window.app.user, { direction: "pullOnly" }).then(() => "synced", (error) => error.code));
  await context.unroute(isPull);
  return code;
}

test("what the engine needs and cannot wait for is loaded while the page stands still, and once", async () => {
  const { page, errors, stalls, context } = await device(browser);
  await page.addInitScript(holdBack, "rest");
  await page.goto(site.address("odd"));
  await ready(page);
  assert.equal(await meetBrokenReply(context, page), "protocol");
  await page.evaluate(() => window.letGo());
  for (const title of ["one", "other"]) {
    await page.evaluate((title) => window.app.tasks.create({ title }).then(() => undefined), title);
    assert.equal(await page.evaluate(() => window.app.datum.synchronize(window.app.user).then((result) => result.isSuccess)), true);
  }
  assert.equal(await page.evaluate(() => window.app.datum.storageSize(window.app.user).then(({ bytes }) => bytes > 0)), true);
  assert.deepEqual(await site.rows("odd"), ["one", "other"]);
  assert.ok(stalls.length > 0, "it stood still for a part");
  assert.deepEqual(errors, []);
  await context.close();
});

test("no event reaches the engine while the page stands still for a part", async () => {
  const { page, errors, stalls, context } = await device(browser);
  await page.addInitScript(holdBack, "rest");
  // Firefox hands out events while a request is synchronous.
  await page.addInitScript(() => {
    const show = (visibility) => {
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => visibility });
      document.dispatchEvent(new Event("visibilitychange"));
    };
    const { request } = navigator.locks;
    window.requests = 0;
    navigator.locks.request = (...taken) => ((window.requests += 1), request.apply(navigator.locks, taken));
    const { send } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.send = function (...body) {
      const before = window.requests;
      for (const visibility of ["hidden", "visible", "hidden"]) show(visibility);
      window.meanwhile = window.requests - before;
      window.requests = 0;
      return send.apply(this, body);
    };
  });
  await page.goto(site.address("still"));
  await ready(page);
  assert.equal(await meetBrokenReply(context, page), "protocol");
  assert.ok(stalls.length > 0, "it stood still for a part");
  assert.equal(await page.evaluate(() => window.meanwhile), 0);
  await page.waitForFunction(() => window.requests > 0);
  await page.evaluate(() => window.letGo());
  assert.equal(await page.evaluate(() => window.app.datum.synchronize(window.app.user).then((result) => result.isSuccess)), true);
  assert.deepEqual(errors, []);
  await context.close();
});

test("parts of different builds never link", async () => {
  const { page, errors, context } = await device(browser);
  await context.route(
    (url) => url.pathname.endsWith("datum_sync_cycle.wasm"),
    async (route) => {
      const response = await route.fetch();
      const body = await response.body();
      // The name of the build is in the part's list of imports.
      const build = /load/.exec(body.toString("latin1"));
      const at = build.index - 2;
      body[at] ^= 1;
      await route.fulfill({ response, body });
    },
  );
  await page.goto(site.address("mixed"));
  await ready(page);
  await page.evaluate(() => window.app.sync());
  await page.waitForFunction(() => window.app.ended.length === 1);
  // The part of the fallback is of the same build.
  assert.equal(await page.evaluate(() => window.app.ended[0].isSuccess), true);
  assert.deepEqual(errors, []);
  await context.close();
});
