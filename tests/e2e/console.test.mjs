// What the browser's own tools show: the activity, the performance timeline and its track, the console. And why a write waits.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { after, test } from "./lib/test.mjs";
import { blankPages, evaluate } from "./lib/blank.mjs";
import { installPackage } from "./lib/package.mjs";
import { engines } from "./lib/webdriver.mjs";

let pages;
after(async () => pages?.stop());

for (const engine of engines()) {
  test(`${engine} starts`, async () => {
    await pages?.stop();
    pages = await blankPages(engine);
  });

  test(`${engine}: the activity of a cycle can be followed, and costs a loop that is left nothing more`, async () => {
    const seen = await pages.run(async ({ Datum, config, code, until }) => {
      const datum = await Datum.initialize(config());
      const { id } = await datum.manager("tasks").create({ title: "secret" });
      const told = [];
      let done;
      const ended = new Promise((resolve) => (done = resolve));
      const loop = (async () => {
        for await (const activity of datum.watchActivity({ userId: "ada" })) {
          told.push(activity);
          if (activity.kind === "cycle" && activity.outcome !== "running") {
            done();
            break;
          }
        }
        return "left";
      })();
      // The loop begins once the engine's last part has come.
      const patch = () => datum.manager("tasks").patch(id, { note: performance.now() });
      await until("an activity", async () => (await patch(), told.length > 0));
      await datum.synchronize("ada");
      await ended;
      const of = (kind, name) => told.find((activity) => activity.kind === kind && activity.name === name && activity.outcome === "ok");
      const cycle = told.at(-1);
      const push = of("request", "push");
      const phase = of("phase", "push");
      const wrong = await code((async () => { for await (const _ of datum.watchActivity({ user: "ada" })); })());
      const rest = datum.watchActivity()[Symbol.asyncIterator]();
      let isFollowing = false;
      const next = rest.next().then(({ done }) => ((isFollowing = true), done));
      await until("the second loop", async () => (await patch(), isFollowing));
      await datum.close();
      const all = [await next];
      while (!all.at(-1)) all.push((await rest.next()).done);
      return {
        loop: await loop,
        cycle: [cycle.outcome, cycle.operations],
        push: [push.parent === phase.id, phase.parent === cycle.id, push.operations, push.bytesSent > 0, push.durationMs >= 0],
        inside: push.startMs >= cycle.startMs && push.startMs + push.durationMs <= cycle.startMs + cycle.durationMs + 1,
        clock: Math.abs(performance.now() - cycle.startMs) < 60_000,
        frozen: Object.isFrozen(push),
        secret: JSON.stringify(told).includes("secret"),
        wrong: wrong.code,
        ends: all.at(-1),
      };
    });
    assert.deepEqual(seen, {
      loop: "left", cycle: ["ok", 1], push: [true, true, 1, true, true], inside: true, clock: true, frozen: true, secret: false, wrong: "invalidArgument", ends: true,
    });
  });

  test(`${engine}: a write that waits says why, and so does the next cycle`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const datum = await Datum.initialize(config());
      await datum.manager("tasks").create({ title: "milk" });
      const [{ opId }] = await datum.pendingOperations("ada");
      const alone = await datum.explainOperation(opId);
      await datum.pauseSync();
      const paused = await datum.explainOperation(opId, { userId: "ada" });
      const next = await datum.explainNextSync("ada");
      await datum.resumeSync();
      await datum.synchronize("ada");
      const gone = await code(datum.explainOperation(opId));
      const bad = [await code(datum.explainOperation(7)), await code(datum.explainNextSync(""))];
      await datum.close();
      const closed = await datum.explainNextSync("ada");
      return {
        alone: [alone.state, alone.entity, alone.reasons.at(-1).because.length > 20],
        paused: [paused.state, paused.reasons[0].reason, paused.reasons[0].because.includes("resumeSync")],
        next: [next.at, next.reason, next.userId],
        gone: gone.code, bad: bad.map(({ code }) => code), closed: closed.reason,
      };
    });
    assert.equal(seen.alone[1], "tasks");
    assert.ok(seen.alone[2]);
    assert.deepEqual({ ...seen, alone: 0 }, {
      alone: 0, paused: ["stopped", "paused", true], next: [null, "paused", "ada"], gone: "notFound", bad: ["invalidArgument", "invalidArgument"], closed: "closed",
    });
  });

  test(`${engine}: the performance timeline shows what was done, is bounded, and stays empty unless asked`, async () => {
    const seen = await pages.run(async ({ Datum, config, until }) => {
      const entries = () => performance.getEntriesByType("measure");
      const plain = await Datum.initialize(config());
      await plain.synchronize("ada");
      await plain.close();
      const without = entries().length;
      performance.measure("of the app", { start: 0, duration: 1 });
      const datum = await Datum.initialize(config({ name: "drawn", performanceTrack: true }));
      const tasks = datum.manager("tasks");
      const has = (name) => entries().some((entry) => entry.name === name);
      await until("the file of the track", async () => (await tasks.create({ title: "early" }), has("drawn: commit append")));
      // Activities are drawn in order: once a cycle is, all before its end are.
      await datum.synchronize("ada");
      await until("the cycle", () => has("drawn: cycle pushThenPull"));
      const names = new Set(entries().map(({ name }) => name));
      const push = entries().find(({ name }) => name === "drawn: request push");
      for (let n = 0; n < 700; n++) await tasks.create({ title: "many" });
      await datum.synchronize("ada", { direction: "pullOnly" });
      await until("the last cycle", () => has("drawn: cycle pullOnly"));
      const count = entries().length;
      await datum.close();
      return { without, names: [...names], detail: push.detail.devtools, duration: push.duration >= 0, count, kept: entries().some(({ name }) => name === "of the app") };
    });
    assert.equal(seen.without, 0);
    for (const name of ["drawn: cycle pushThenPull", "drawn: phase push", "drawn: phase pull", "drawn: request pull", "drawn: commit append"]) assert.ok(seen.names.includes(name), name);
    assert.deepEqual([seen.detail.dataType, seen.detail.track, seen.detail.trackGroup], ["track-entry", "Requests", "datum-sync drawn"]);
    assert.ok(seen.detail.properties.some(([key, value]) => key === "attempt" && value === "1"));
    assert.ok(seen.count > 1 && seen.count <= 501, `${seen.count} entries`);
    assert.ok(seen.kept, "the app's own entries stay");
  });

  for (const [what, isThere] of [["without performance.measure", false], ["with one that takes no options", true]]) {
    test(`${engine}: ${what}, the track ends with its first entry, and everything else works`, async () => {
      const seen = await pages.run(async ({ Datum, config, until }, isThere) => {
        let asked = 0;
        const measure = () => {
          throw new TypeError("no options");
        };
        Object.defineProperty(performance, "measure", { configurable: true, get: () => (asked++, isThere ? measure : undefined) });
        const errors = [];
        for (const type of ["error", "unhandledrejection"]) window.addEventListener(type, (event) => errors.push(String(event.message ?? event.reason)));
        const datum = await Datum.initialize(config({ performanceTrack: true }));
        await until("an entry", async () => (await datum.manager("tasks").create({ title: "milk" }), asked > 0));
        // A loop that begins later hears of the cycle's end after the track would have.
        let isOver = false;
        const follow = (async () => {
          for await (const { kind, outcome } of datum.watchActivity()) if (kind === "cycle" && outcome === "ok") break;
          isOver = true;
        })();
        await until("the end of a cycle", async () => (await datum.synchronize("ada"), isOver));
        await follow;
        const { isSuccess } = await datum.synchronize("ada");
        await datum.close();
        return { asked, errors, isSuccess };
      }, isThere);
      assert.deepEqual(seen, { asked: 1, errors: [], isSuccess: true });
    });
  }

  test(`${engine}: the open instances are listed, and say what they are`, async () => {
    const seen = await pages.run(async ({ Datum, Manager, config }) => {
      const before = Datum.instances.length;
      const [a, b] = [await Datum.initialize(config({ name: "a" })), await Datum.initialize(config({ name: "b", initialUserId: undefined }))];
      await a.manager("tasks").create({ title: "secret" });
      const both = Datum.instances;
      const text = [a, b, a.manager("tasks"), a.spaces(), a.statusForUser("ada"), a.manager("tasks").where("title").equals("secret"), Datum.prototype, Manager.prototype].map(String);
      await a.close();
      const closed = String(a);
      const left = Datum.instances;
      await b.close();
      return { before, both: [both.length, both[0] === a, both[1] === b, Object.isFrozen(both)], text, closed, left: [left.length, left[0] === b], after: Datum.instances.length, name: a.name };
    });
    assert.deepEqual(seen, {
      before: 0,
      both: [2, true, true, true],
      text: [
        'Datum "a" of ada: idle, 1 pending',
        'Datum "b", nobody is signed in',
        "Manager of tasks",
        "SpaceManager",
        "Feed",
        "QueryBuilder",
        "Datum",
        "Manager",
      ],
      closed: 'Datum "a", closed',
      left: [1, true],
      after: 0,
      name: "a",
    });
  });
}

test("Chromium's trace has the track, and its console the name of an instance", async (t) => {
  if (!engines().includes("chromium")) return t.skip("without Chromium");
  await pages?.stop();
  pages = await blankPages("chromium");
  const it = await pages.tab();
  const cdp = await it.context.newCDPSession(it.page);
  const events = [];
  cdp.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  await cdp.send("Tracing.start", { traceConfig: { includedCategories: ["blink.user_timing", "devtools.timeline"] }, transferMode: "ReportEvents" });
  await cdp.send("Runtime.enable");
  // The engine may log as well.
  const logged = new Promise((resolve) => cdp.on("Runtime.consoleAPICalled", (call) => call.args.length === 5 && resolve(call)));
  await evaluate(it.page, async ({ Datum, DatumError, config, until }) => {
    const datum = await Datum.initialize(config({ name: "traced", performanceTrack: true }));
    const drawn = (part) => performance.getEntriesByType("measure").some(({ name }) => name.startsWith(`traced: ${part}`));
    await until("an entry", async () => (await datum.manager("tasks").create({ title: "milk" }), drawn("commit")));
    await datum.synchronize("ada");
    await until("the cycle", () => drawn("cycle"));
    console.log(datum, datum.manager("tasks"), datum.spaces(), datum.statusForUser("ada"), new DatumError("rejected", "No."));
  });
  const { args } = await logged;
  const complete = new Promise((resolve) => cdp.on("Tracing.tracingComplete", resolve));
  await cdp.send("Tracing.end");
  await complete;
  const measures = events.filter(({ name, cat }) => cat === "blink.user_timing" && name.startsWith("traced: "));
  assert.ok(measures.some(({ name }) => name === "traced: request push"), `${events.length} events`);
  const details = measures.map(({ args }) => args.detail ?? args.data?.detail).filter(Boolean).map((text) => JSON.parse(text));
  assert.ok(details.some(({ devtools }) => devtools.dataType === "track-entry" && devtools.trackGroup === "datum-sync traced"));
  assert.deepEqual(args.map(({ description }) => description.split("\n")[0]), ["Datum", "Manager of tasks", "SpaceManager", "Feed", "DatumError: No."]);
  const shown = args[0].preview.properties.map(({ name, type, value }) => [name, type, value]);
  assert.deepEqual(shown.slice(1), [["name", "string", "traced"], ["Symbol(now)", "accessor", undefined]]);
  await it.context.close();
});

test("Node's util.inspect says what an instance is, and what a failure is about", async () => {
  const installed = await installPackage();
  try {
    const at = (name) => import(pathToFileURL(join(installed.root, "node_modules/datum-sync", name)));
    const [{ Datum, DatumError }, { MemoryRemote }] = [await at("node.js"), await at("testing.js")];
    const datum = await Datum.initialize({ name: "noded", entities: { tasks: {} }, remote: new MemoryRemote(), initialUserId: "ada" });
    assert.equal(inspect(datum), 'Datum "noded" of ada: idle, 0 pending');
    assert.equal(inspect({ datum, tasks: datum.manager("tasks") }), '{\n  datum: Datum "noded" of ada: idle, 0 pending,\n  tasks: Manager of tasks\n}');
    await datum.close();
    assert.equal(inspect(datum), 'Datum "noded", closed');
    const error = new DatumError("rejected", "No.", { entity: "tasks", cause: new DatumError("network", "Cut.") });
    for (const part of ["code: 'rejected'", "retryable: false", "entity: 'tasks'", "[cause]: DatumError: Cut.", "code: 'network'"]) assert.ok(inspect(error).includes(part), part);
  } finally {
    await installed.remove();
  }
});
