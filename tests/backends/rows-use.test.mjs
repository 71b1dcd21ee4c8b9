// The Sync Patterns Guide over Supabase, demand by demand, continued: status, common patterns, best practices. See `rows.test.mjs`.
import assert from "node:assert/strict";
import { inModes } from "./lib/modes.mjs";

const test = inModes();
/** Runs a function in the page, as `(app, argument)`. */
const run = ({ page }, act, argument) => page.evaluate(`(${act})(window.app, ${JSON.stringify(argument)})`);
const titles = (from, count) => Array.from({ length: count }, (_, n) => `Task ${String(from + n).padStart(3, "0")}`);

test("S34 S48 one feed for each user sees every cycle: S35 idle, S36 syncing, S37 completed, S38 failed, S39 paused and cancelled", async (mode) => {
  const device = await mode.open("status", { isAlone: true });
  await run(device, ({ datum, patterns }, user) => {
    window.lines = [];
    void patterns.status.followStatus(datum, user, (line, { status, userId }) => window.lines.push([status, line.text, userId === user]));
  }, device.user);
  const hears = (status) => device.eventually((status) => window.lines.at(-1)?.[0] === status, status);
  const seen = () => run(device, () => [...new Set(window.lines.splice(0).map(([status]) => status))]);
  await hears("idle");
  await device.sync();
  await hears("completed");
  assert.deepEqual(await seen(), ["idle", "syncing", "completed"]);
  const broken = mode.fault("status", /rest\/v1/, { status: 500, body: { message: "broken" } });
  await device.sync();
  await hears("failed");
  broken.times = 0;
  await run(device, ({ datum }, user) => datum.pauseSync(user), device.user);
  await hears("paused");
  await run(device, ({ datum }, user) => datum.resumeSync(user), device.user);
  mode.fault("hang", /rest\/v1/, { times: 1 });
  await run(device, async ({ datum }, user) => {
    const end = new AbortController();
    setTimeout(() => end.abort(), 100);
    await datum.synchronize(user, { signal: end.signal });
  }, device.user);
  await hears("cancelled");
  await device.sync();
  await hears("completed");
  assert.deepEqual(await run(device, () => window.lines.filter(([, , isTheirs]) => !isTheirs)), []);
});

test("S40 progress is indeterminate until it is real, and never runs backwards", async (mode) => {
  const device = await mode.open("progress");
  await mode.insert(device.user, ...titles(0, 60));
  await device.creates(...titles(60, 60));
  const lines = await run(device, async ({ datum, patterns }, user) => {
    const lines = [];
    void patterns.status.followStatus(datum, user, ({ progress }, { status }) => status === "syncing" && lines.push(progress));
    await datum.synchronize(user, { overrideBatchSize: 10 });
    return lines;
  }, device.user);
  assert.equal(lines[0], null, String(lines));
  const figures = lines.filter((figure) => figure !== null);
  assert.deepEqual(figures, [...figures].sort((a, b) => a - b));
  assert.ok(new Set(figures).size > 3 && figures.at(-1) <= 1, String(figures));
});

test("S41 S52 a loading state that always ends, S42 S49 a message for every outcome, S53 none takes for ever, S56 a pause says so", async (mode) => {
  const device = await mode.open("outcomes", { isAlone: true });
  const notice = (options = {}) =>
    run(device, async ({ datum, patterns }, [user, options]) => {
      const loading = [];
      const { text } = await patterns.errors.whileLoading((on) => loading.push(on), () => patterns.errors.syncAndNotify(datum, user, options));
      return [text, loading.join()];
    }, [device.user, options]);
  const says = async (expected, options) => {
    const [text, loading] = await notice(options);
    assert.match(text, expected);
    assert.equal(loading, "true,false", text);
  };
  await device.creates("Fine");
  await says(/^Sync completed: 1 items$/);
  await device.creates("refuse");
  await says(/^Sync failed: 1 errors$/);
  assert.deepEqual(await run(device, async ({ datum }, user) => (await datum.deadLetters(user)).map(({ code }) => code), device.user), ["check"]);
  for (const [kind, more, expected] of [
    ["refuse", {}, /^Sync error \(network\): .* It can be tried again\.$/],
    ["status", { status: 503, body: { message: "down" } }, /^Sync error \(serverError\): .* It can be tried again\.$/],
    ["html", {}, /^Sync error \(network\): .*login page/],
    ["noCors", { status: 413 }, /^Sync error \(network\): /],
    ["status", { status: 429, body: { message: "slow" } }, /^Sync error \(rateLimited\): /],
    ["status", { status: 500, body: { code: "57014", message: "canceling statement due to statement timeout" } }, /^Sync error \(timeout\): /],
  ]) {
    const rule = mode.fault(kind, /rest\/v1/, more);
    await says(expected);
    rule.times = 0;
    await says(/^Sync completed/);
  }
  mode.project.gateway.accounts.revoke(device.user);
  await says(/^Sync completed/);
  const hanging = mode.fault("hang", /rest\/v1/);
  const started = Date.now();
  await says(/^Sync error \(timeout\): /, { timeout: 500 });
  assert.ok(Date.now() - started < 5_000);
  hanging.times = 0;
  await run(device, ({ datum }, user) => datum.pauseSync(user), device.user);
  await says(/^Not now: paused$/);
  await run(device, ({ datum }, user) => datum.resumeSync(user), device.user);
  await device.context.setOffline(true);
  await says(/^(Not now: offline|Sync error \(network\))/);
  await device.context.setOffline(false);
  await says(/^Sync completed/);
  await mode.project.gateway.accounts.endSessions(device.user);
  await says(/^Please sign in again$/);
  assert.deepEqual(device.errors.filter((error) => !/CORS policy/.test(error)), []);
});

test("S43 background sync by itself: others' changes arrive and writes are sent, without realtime", async (mode) => {
  const device = await mode.open("background", { config: { autoStartSync: true, autoSyncInterval: 1_000, syncAfterWrite: 50 } });
  await mode.insert(device.user, "Of another app");
  await device.eventually(async () => (await window.app.titles()).includes("Of another app"));
  await device.creates("Sent by itself");
  for (const end = Date.now() + 15_000; !(await mode.rows(device.user)).includes("Sent by itself"); ) {
    assert.ok(Date.now() < end, "within 15 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await run(device, ({ patterns, datum }, user) => patterns.background.setAutoSync(datum, user, false), device.user);
  await device.sync();
  const from = mode.count;
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  assert.deepEqual([mode.asked(device.user, from), await run(device, ({ patterns, datum }, user) => patterns.background.nextSync(datum, user), device.user)], [[], null]);
});

test("S44 pull only, S45 push only, S46 the batch size that was asked for, S47 in four directions", async (mode) => {
  const device = await mode.open("options");
  const option = (name, ...given) =>
    run(device, async ({ datum, patterns }, [name, user, given]) => {
      const { pushedCount, pulledCount, skipReason } = await patterns.options[name](datum, user, ...given);
      return [pushedCount, pulledCount, skipReason ?? null];
    }, [name, device.user, given]);
  await mode.insert(device.user, ...titles(0, 20));
  await device.creates(...titles(20, 30));
  assert.deepEqual([await option("pullOnly"), await device.waiting(device.user)], [[0, 20, null], 30]);
  assert.deepEqual([await option("pushOnly"), await device.waiting(device.user)], [[30, 0, null], 0]);
  assert.deepEqual(await option("pushOnly"), [0, 0, "nothingToPush"]);

  await device.creates(...titles(50, 30));
  await mode.insert(device.user, ...titles(80, 30));
  const from = mode.count;
  assert.deepEqual((await option("inBatches", 12)).slice(0, 1), [30]);
  const asked = mode.asked(device.user, from);
  const limits = asked.filter(({ kind }) => kind === "pull").map(({ query, text }) => (mode.isTables ? Number(new URLSearchParams(query).get("limit")) : JSON.parse(text).limit));
  assert.ok(limits.length > 2 && limits.every((limit) => limit <= 12), String(limits));
  const pushes = asked.filter(({ kind }) => kind === "push");
  assert.deepEqual(mode.isTables ? pushes.length : pushes.map(({ text }) => JSON.parse(text).operations.length), mode.isTables ? 30 : [12, 12, 6]);

  const order = async (direction) => {
    await device.creates(`By ${direction}`);
    const from = mode.count;
    await device.sync({ direction });
    return mode.asked(device.user, from).map(({ kind }) => kind).filter((kind, n, all) => kind !== "metadata" && kind !== all[n - 1]).slice(0, 2).join();
  };
  assert.deepEqual([await order("pushThenPull"), await order("pullThenPush"), await order("pushOnly"), await order("pullOnly")], ["push,pull", "pull,push", "push", "pull"]);
});

test("S51 pullThenPush at login shows the latest data before anything is sent, S60 again and again", async (mode) => {
  await mode.add("relogin");
  const device = await mode.page();
  for (let round = 0; round < 3; round++) {
    const user = await mode.add("relogin");
    await mode.insert(user, `Round ${round}`);
    const from = mode.count;
    const before = (await device.told()).signedIn.length;
    await device.signIn("relogin@example.test");
    await device.eventually((before) => window.app.signedIn.length > before, before);
    const kinds = mode.asked(user, from).map(({ kind }) => kind).filter((kind) => kind !== "metadata");
    assert.equal(kinds[0], "pull");
    assert.equal((await device.titles()).includes(`Round ${round}`), true);
    await device.creates(`Written in ${round}`);
    // Nothing can be pushed on the way out in round 1.
    if (round === 1) mode.fault("refuse", /rest\/v1/);
    await device.signOut();
    mode.project.gateway.faults.clear();
    await device.eventually((count) => window.app.signedOut.length === count, round + 1);
    assert.deepEqual((await device.told()).signedOut.at(-1), { user, unsynced: round === 1 ? 1 : 0, wiped: false });
  }
  assert.deepEqual((await mode.rows(await mode.add("relogin"))).filter((title) => title.startsWith("Written")), ["Written in 0", "Written in 1", "Written in 2"]);
});

test("S54 nobody who listens costs nothing, S57 the latest value is there, S59 health and metrics say how it goes", async (mode) => {
  const device = await mode.open("health");
  const from = mode.count;
  const read = () => run(device, async ({ datum }, user) => {
    const { status, health, pendingOperations } = datum.statusForUser(user).current;
    return [status, health.status, pendingOperations];
  }, device.user);
  assert.deepEqual(await read(), ["completed", "healthy", 0]);
  await device.creates("One");
  assert.equal((await read())[2], 1);
  assert.deepEqual(mode.asked(device.user, from), []);
  mode.fault("status", /rest\/v1/, { status: 401, body: { code: "PGRST301", message: "JWSError" } });
  await device.sync();
  assert.deepEqual(await read(), ["failed", "unauthorized", 1]);
});

test("S55 what a full sync costs can be seen beside an ordinary one", async (mode) => {
  const device = await mode.open("cost");
  await mode.insert(device.user, ...titles(0, 60));
  for (let n = 0; n < 2; n++) await device.sync();
  const bytes = (options) => run(device, async ({ datum }, [user, options]) => (await datum.synchronize(user, options)).bytesPulled, [device.user, options]);
  const [little, all] = [await bytes({}), await bytes({ forceFullSync: true })];
  assert.ok(all > 10 * little, `${little}, ${all}`);
  // A pull by time looks back over `overlap`, and has fresh rows again.
}, ["functions"]);

test("S58 the log has cycles, requests that failed, and metadata, and no secret", async (mode) => {
  const device = await mode.open("log");
  await device.creates("Private");
  await device.sync();
  mode.fault("html", /rest\/v1/);
  await device.sync();
  const log = await run(device, ({ log }) => log);
  const lines = log.map(({ level, message }) => `${level}: ${message}`);
  assert.ok(["info: A cycle has ended.", "warn: A cycle has failed: Something else"].every((text) => lines.some((line) => line.startsWith(text))), lines.join("\n"));
  const token = await run(device, async ({ supabase }) => (await supabase.auth.getSession()).data.session.access_token);
  const text = JSON.stringify(log);
  assert.deepEqual([text.includes(token), text.includes(mode.project.anonKey), text.includes("correct horse")], [false, false, false]);
});
