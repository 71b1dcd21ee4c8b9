// The Sync Patterns Guide over Supabase, demand by demand (`S01` and so on in `../README.md`): the guide's own modules and the real
// supabase-js in Chromium, against PostgREST. This file has the start, sign-ins, metadata and fresh data.
import assert from "node:assert/strict";
import { inModes } from "./lib/modes.mjs";

const test = inModes();
/** Runs a function in the page, as `(app, argument)`. */
const run = ({ page }, act, argument) => page.evaluate(`(${act})(window.app, ${JSON.stringify(argument)})`);

test("S01 an instance, or an error with a code and the fix", async (mode) => {
  const device = await mode.page({ isAlone: true });
  const told = await run(device, async ({ Datum, datum, supabase, supabaseRemote, connectAuth }) => {
    const code = (work) => Promise.resolve().then(work).then(() => "none", ({ name, code, message }) => [name, code, message]);
    const open = (more) => Datum.initialize({ name: "other", entities: { tasks: {} }, remote: supabaseRemote(supabase), ...more });
    return {
      isOpen: datum.currentUserId === null && datum.manager("tasks") !== undefined,
      wrong: await code(() => open({ autoSyncInterval: "often" })),
      client: await code(() => supabaseRemote("https://x.supabase.co")),
      nothing: await code(() => supabaseRemote()),
      option: await code(() => supabaseRemote(supabase, { tables: { tasks: "tasks" } })),
      table: await code(() => supabaseRemote(supabase, { tables: { entities: { tasks: 7 } } })),
      order: await code(() => connectAuth(supabase, datum)),
    };
  });
  assert.equal(told.isOpen, true);
  for (const [name, what] of [["wrong", /autoSyncInterval/], ["client", /createClient/], ["nothing", /createClient/], ["option", /tables\.entities/], ["table", /tables\.entities\.tasks/], ["order", /connectAuth\(datum, client\)/]]) {
    assert.deepEqual([told[name][0], told[name][1]], ["DatumError", "invalidConfig"], `${name}: ${told[name]}`);
    assert.match(told[name][2], what);
  }
});

test("S02 one remote fetch at the start, S04 by pullThenPush and forceFullSync, S05 whose failure spoils nothing, S06 and is logged", async (mode) => {
  const device = await mode.open("start", { isAlone: true });
  await mode.insert(device.user, "There before");
  const start = () =>
    run(device, async ({ datum, patterns }, user) => {
      const lines = [];
      const log = { info: (text) => lines.push(text), warn: (text) => lines.push(`! ${text}`) };
      await patterns.initialSync.initialSync(datum, user, log);
      return lines;
    }, device.user);
  const from = mode.count;
  assert.deepEqual(await start(), ["Initial sync started", "Initial sync completed: 1 items"]);
  assert.deepEqual([mode.asked(device.user, from)[0].kind, await device.titles()], ["pull", ["There before"]]);

  const gone = mode.fault("refuse", /rest\/v1/);
  assert.deepEqual(await start(), ["Initial sync started", "! Initial sync failed, but app continues: network"]);
  await device.creates("Written then");
  gone.times = 0;
  assert.deepEqual(await start(), ["Initial sync started", "Initial sync completed: 1 items"]);
  assert.deepEqual([await mode.rows(device.user), device.errors], [["There before", "Written then"], []]);
});

test("S03 nobody signed in: no request", async (mode) => {
  const device = await mode.page();
  const from = mode.count;
  const told = await run(device, async ({ datum, patterns }) => {
    await patterns.initialSync.initialSync(datum, null, console);
    const code = (work) => work.then(() => "none", (error) => error.code);
    return [await code(datum.synchronize()), await code(datum.synchronize("")), datum.currentUserId];
  });
  assert.deepEqual(told, ["invalidArgument", "invalidArgument", null]);
  assert.deepEqual(mode.project.gateway.requests.slice(from).filter(({ path }) => path.startsWith("/rest/")), []);
});

/** An app that listens to the client by itself, as the guide shows it. */
const LISTENS = ({ datum, patterns, supabase, shown }, wasOpen) => {
  const show = (...line) => void shown.push(line);
  const screens = { login: (unsent) => show("login", unsent), waiting: (text, progress) => show("waiting", text, progress), tasks: (user) => show("tasks", user) };
  let last = wasOpen;
  supabase.auth.onAuthStateChange((event, session) => {
    // Nothing is awaited in the callback.
    if (event === "SIGNED_OUT") setTimeout(() => patterns.login.onSignedOut(datum, last, screens));
    else if (event === "SIGNED_IN") setTimeout(() => patterns.login.onSignedIn(datum, (last = session.user.id), screens));
  });
};

test("S07 signed out: everything stops, S08 signed in: a waiting screen, S09 resumed, S11 an eager sync, S12 and the user's own data", async (mode) => {
  const [ada, ben] = [await mode.add("login-ada"), await mode.add("login-ben")];
  await mode.insert(ada, "Ada's");
  await mode.insert(ben, "Ben's");
  const device = await mode.page({ isAlone: true });
  await run(device, LISTENS.toString().replace("({ datum, patterns, supabase, shown }", "({ datum, patterns, supabase, shown = (window.app.shown = []) }"));
  const shows = (...line) => device.eventually((line) => window.app.shown.some((one) => JSON.stringify(one) === line), JSON.stringify(line));
  const forget = () => run(device, (app) => void app.shown.splice(0));

  await device.signIn("login-ada@example.test");
  await shows("waiting", "Syncing latest data…", null);
  await shows("tasks", ada);
  assert.deepEqual(await device.titles(), ["Ada's"]);

  // What is under way when she signs out stops: the token is gone.
  await device.creates("Not sent");
  const held = mode.fault("hang", /rest\/v1/, { times: 1 });
  const cycle = device.page.evaluate((user) => window.app.datum.synchronize(user, { timeout: 60_000 }).then(({ wasCancelled }) => wasCancelled, ({ code }) => code), ada);
  for (const end = Date.now() + 10_000; held.met === 0 && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 20));
  mode.fault("refuse", /rest\/v1/);
  await forget();
  await device.signOut();
  await shows("login", 1);
  assert.ok([true, "cancelled", "network", "unauthorized"].includes(await cycle), String(await cycle));
  assert.equal(await run(device, ({ datum }, user) => datum.statusForUser(user).current.status, ada), "paused");
  mode.project.gateway.faults.clear();
  const from = mode.count;
  assert.equal(await run(device, ({ datum }, user) => datum.synchronize(user).then(({ skipReason }) => skipReason, ({ code }) => code), ada), "paused");
  assert.deepEqual(mode.asked(ada, from), []);

  // Another user: nothing of hers begins by it.
  await forget();
  await device.signIn("login-ben@example.test");
  await shows("tasks", ben);
  assert.deepEqual([await device.titles(), mode.asked(ada, from), await mode.rows(ada)], [["Ben's"], [], ["Ada's"]]);

  await device.signOut();
  await shows("login", 0);
  await mode.insert(ada, "Of another device");
  await forget();
  await device.signIn("login-ada@example.test");
  await shows("tasks", ada);
  assert.deepEqual([await device.titles(), await mode.rows(ada)], [["Ada's", "Not sent", "Of another device"], ["Ada's", "Not sent", "Of another device"]]);
  assert.deepEqual(device.errors, []);
});

test("S10 clearSyncMetadata on the manager's adapter, S14 getSyncMetadata, null the first time, S26 S27 and its other names", async (mode) => {
  const device = await mode.open("adapter", { isAlone: true });
  const ask = () =>
    run(device, async ({ datum, tasks }, user) => {
      const { remoteAdapter } = tasks;
      const all = [await remoteAdapter.getSyncMetadata(user), await tasks.getRemoteSyncMetadata(user), await datum.getRemoteSyncMetadata(user)];
      return all.map((one) => JSON.stringify(one && [one.userId, one.syncStatus, one.deviceCount]));
    }, device.user);
  assert.deepEqual(await ask(), ["null", "null", "null"]);
  await device.sync();
  const known = JSON.stringify([device.user, "synced", 1]);
  assert.deepEqual(await ask(), [known, known, known]);
  await run(device, ({ tasks }, user) => tasks.remoteAdapter.clearSyncMetadata(user), device.user);
  assert.deepEqual(await ask(), ["null", "null", "null"]);
  // The local cursor too: the next cycle pulls everything.
  await mode.insert(device.user, "One", "Two");
  await device.sync();
  await run(device, ({ tasks }, user) => tasks.clearSyncMetadata?.(user) ?? window.app.datum.clearSyncMetadata(user), device.user);
  assert.equal((await device.sync()).code, undefined);
  assert.deepEqual(await device.titles(), ["One", "Two"]);
});

test("S13 a listener begins with the latest, can be closed, and hears the end however it comes", async (mode) => {
  const device = await mode.open("listener");
  const told = await run(device, async ({ datum }, user) => {
    const heard = [];
    const loop = (async () => {
      for await (const { status } of datum.statusForUser(user)) {
        if (heard.at(-1) !== status) heard.push(status);
        if (status === "cancelled") break;
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const first = [...heard];
    await datum.synchronize(user);
    const end = new AbortController();
    const stopped = datum.synchronize(user, { signal: end.signal });
    end.abort();
    await stopped;
    await loop;
    const count = heard.length;
    await datum.synchronize(user);
    return { first, heard, isClosed: heard.length === count };
  }, device.user);
  assert.deepEqual(told, { first: ["completed"], heard: ["completed", "syncing", "completed", "syncing", "cancelled"], isClosed: true });
  mode.fault("refuse", /rest\/v1/);
  assert.equal((await device.sync()).code, "network");
  await device.eventually((user) => window.app.datum.statusForUser(user).current.status === "failed", device.user);
});

test("S15 S18 S20 S22 S23 metadata is real: times, status, devices, error, retries and duration", async (mode) => {
  const [phone, laptop] = [await mode.open("metadata"), await mode.open("metadata")];
  await run(phone, ({ datum }, user) => datum.setCustomMetadata(user, { deviceName: "Phone" }), phone.user);
  await phone.creates("One");
  await phone.sync();
  await laptop.sync();
  const read = (device) => run(device, async ({ datum }, user) => ({ local: await datum.getSyncMetadata(user), remote: await datum.getRemoteSyncMetadata(user) }), device.user);
  const { local, remote } = await read(laptop);
  assert.deepEqual([remote.userId, remote.syncStatus, remote.deviceCount, remote.conflictCount, remote.retryCount, remote.isNeverSynced], [laptop.user, "synced", 2, 0, 0, false]);
  assert.deepEqual([Object.keys(remote.devices).length, remote.devices[local.deviceId] !== undefined, remote.customMetadata], [2, true, { deviceName: "Phone" }]);
  assert.deepEqual([remote.entityCounts.tasks.count, typeof remote.dataHash, remote.syncDuration > 0], [1, "string", true]);
  for (const time of [remote.lastSyncTime, remote.lastSuccessfulSyncTime]) assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000, time);

  mode.fault("status", /rest\/v1/, { status: 503, body: { message: "maintenance" } });
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await laptop.sync()).code, "serverError");
  mode.project.gateway.faults.clear();
  const failed = (await read(laptop)).local;
  assert.deepEqual([failed.syncStatus, failed.lastSuccessfulSyncTime, failed.lastSyncTime > local.lastSyncTime, failed.errorMessage.includes("503")], ["failed", local.lastSuccessfulSyncTime, true, true], JSON.stringify(failed));
});

test("S16 S19 first time, or welcome back", async (mode) => {
  const device = await mode.open("welcome", { isAlone: true });
  const welcome = () => run(device, ({ datum, patterns }, user) => patterns.metadata.welcome(datum, user), device.user);
  assert.equal(await welcome(), "First time setup");
  await device.sync();
  assert.equal(await welcome(), "Welcome back! Your devices: 1");
});

test("S17 S21 conflicts are counted until the user has decided, either way", async (mode) => {
  const [phone, laptop] = [await mode.open("asked"), await mode.open("asked")];
  const [id] = await phone.creates("Title");
  for (const device of [phone, laptop]) await device.sync();
  const patch = (device, title) => run(device, ({ tasks }, [id, title]) => tasks.patch(id, { title }).then(() => undefined), [id, title]);
  for (const [take, expected] of [["local", "Of the phone"], ["remote", "Of the laptop"]]) {
    await patch(laptop, "Of the laptop");
    await patch(phone, "Of the phone");
    await laptop.sync();
    const alert = (device) => run(device, async ({ datum, patterns }, user) => patterns.metadata.conflictAlert(await datum.getSyncMetadata(user)), device.user);
    await run(phone, ({ datum, patterns }, user) => patterns.metadata.syncAndAsk(datum, user).then(() => undefined), phone.user);
    assert.equal(await alert(phone), "1 conflict to resolve");
    assert.equal(await run(laptop, async ({ datum }, user) => (await datum.getRemoteSyncMetadata(user)).conflictCount, laptop.user), 1);
    await run(phone, ({ datum, patterns }, [user, take]) => patterns.metadata.decide(datum, user, take).then(() => undefined), [phone.user, take]);
    await laptop.sync();
    assert.deepEqual([await alert(phone), await phone.titles(), await laptop.titles(), await mode.rows(phone.user)], [null, [expected], [expected], [expected]]);
    await patch(phone, "Title");
    for (const device of [phone, laptop]) await device.sync();
  }
});

test("S24 a sync is skipped if the last was recent, and an idle one costs one request", async (mode) => {
  const device = await mode.open("recent");
  await device.creates("One");
  for (let n = 0; n < 2; n++) await device.sync();
  const from = mode.count;
  assert.equal(await run(device, ({ datum, patterns }, user) => patterns.metadata.syncIfOlderThan(datum, user, 60_000), device.user), null);
  assert.deepEqual(mode.asked(device.user, from), []);
  await device.sync();
  assert.deepEqual(mode.asked(device.user, from).map(({ kind }) => kind), ["pull"]);
  // One that writes asks for no digests, for which all rows are read, and stores the device's record.
  const before = mode.count;
  await device.creates("Two");
  await device.sync();
  const asked = mode.asked(device.user, before);
  assert.deepEqual(asked.map(({ kind }) => kind), mode.isTables ? ["push", "pull", "metadata", "metadata"] : ["push", "pull", "metadata"]);
  assert.deepEqual(asked.filter(({ text }) => text.includes('"digests":true')), []);
});

test("S25 which side is newer, whatever the clocks say", async (mode) => {
  const device = await mode.open("newer", { isAlone: true });
  const compare = () => run(device, ({ datum, patterns }, user) => patterns.metadata.compare(datum, user), device.user);
  assert.equal(await compare(), "This device has never synced");
  await mode.insert(device.user, "One");
  await device.sync();
  assert.equal(await compare(), "Data is in sync");
  await mode.insert(device.user, "Two");
  assert.equal(await compare(), "Remote has newer data: sync needed");
  await device.creates("Three");
  assert.equal(await compare(), "Both have newer data: sync needed");
  await device.sync();
  await device.creates("Four");
  assert.equal(await compare(), "Local has newer data: push needed");
  await device.sync();
  assert.equal(await compare(), "Data is in sync");
});

test("S28 S29 S50 S61 fresh data: everything is pulled again, what the project no longer has is dropped, pending writes are sent", async (mode) => {
  const device = await mode.open("fresh");
  await mode.insert(device.user, ...Array.from({ length: 30 }, (_, n) => `Row ${String(n).padStart(2, "0")}`));
  await device.sync();
  await device.creates("Pending");
  // Gone without a trace that a pull could find.
  await mode.project.query("begin; set local session_replication_role = replica; delete from public.tasks where title = 'Row 07' and user_id = '" + device.user + "'; commit");
  if (!mode.isTables) await mode.project.query("delete from datum.change where id in (select id from datum.change except select id::text from public.tasks)").catch(() => mode.project.query("select datum.reconcile('tasks')"));
  const from = mode.count;
  const told = await run(device, async ({ datum, patterns }, user) => {
    const { pushedCount, isSuccess } = await patterns.freshData.freshData(datum, user);
    return { pushedCount, isSuccess, isVerified: await patterns.freshData.isVerified(datum, user) };
  }, device.user);
  assert.deepEqual(told, { pushedCount: 1, isSuccess: true, isVerified: true });
  const [first, ...rest] = mode.asked(device.user, from).map(({ kind }) => kind);
  assert.deepEqual([first, rest.includes("push")], ["pull", true], "pull first, then push");
  const expected = [...Array.from({ length: 30 }, (_, n) => `Row ${String(n).padStart(2, "0")}`).filter((title) => title !== "Row 07"), "Pending"].sort();
  assert.deepEqual([await device.titles(), await mode.rows(device.user)], [expected, expected]);
});

test("S30 S31 S32 S33 S62 at login, on demand, in doubt and to verify: a full sync has all that the table has", async (mode) => {
  const device = await mode.open("doubt");
  await mode.insert(device.user, "One", "Two");
  await device.sync();
  const full = () => device.page.evaluate((user) => window.app.datum.synchronize(user, { direction: "pullThenPush", forceFullSync: true }).then(({ remoteFetched, bytesPulled }) => ({ remoteFetched, bytesPulled })), device.user);
  assert.equal((await full()).remoteFetched, true);
  await mode.change(device.user, "title = 'Changed'", "title = 'One'");
  await full();
  assert.deepEqual(await device.titles(), ["Changed", "Two"]);
  assert.equal(await run(device, ({ datum, patterns }, user) => patterns.freshData.isVerified(datum, user), device.user), true);
});
