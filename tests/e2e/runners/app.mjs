// What an app does in its tests, whichever runner runs it. The runner mocks nothing but IndexedDB.
import "fake-indexeddb/auto";
import { Datum } from "datum-sync";
import { MemoryRemote } from "datum-sync/testing";

function equal(found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(`expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
}

let count = 0;
/** Opens an instance on a database of its own, or on the one of that name. */
function open(remote, config = {}, name = `app-${++count}`) {
  return Datum.initialize({ name, entities: { tasks: {} }, remote, initialUserId: "ada", retry: { maxAttempts: 1 }, ...config });
}

/** What was stored is there after the instance was closed and opened again. */
export async function reopens() {
  const remote = new MemoryRemote();
  const log = [];
  const config = { logger: { log: (entry) => log.push(entry.message) }, logLevel: "warn" };
  let datum = await open(remote, config, "reopened");
  const { id } = await datum.manager("tasks").create({ title: "Buy milk", parts: { list: [1, 2.5, null] } });
  // Long enough for bodies beside the record, and for several segments.
  await datum.manager("tasks").createMany(Array.from({ length: 500 }, (_, n) => ({ title: `${n} ${"x".repeat(2000)}` })));
  await datum.close();
  datum = await open(remote, config, "reopened");
  equal((await datum.manager("tasks").read(id)).parts, { list: [1, 2.5, null] });
  equal((await datum.synchronize("ada")).pushedCount, 501);
  await datum.close();
  datum = await open(remote, config, "reopened");
  equal((await datum.manager("tasks").readAll()).length, 501);
  equal(datum.statusForUser("ada").current.health.local, "healthy");
  equal(log, []);
  await datum.close();
}

/** Two devices and every fault of the remote in memory. */
export async function faults() {
  const remote = new MemoryRemote();
  const [phone, laptop] = [await open(remote), await open(remote)];
  const task = await phone.manager("tasks").create({ title: "Buy bread", done: false });
  for (const device of [phone, laptop]) await device.synchronize("ada");
  await phone.manager("tasks").patch(task.id, { title: "Buy milk" });
  await laptop.manager("tasks").patch(task.id, { done: true });
  for (const device of [phone, laptop, phone]) await device.synchronize("ada");
  for (const device of [phone, laptop]) {
    const { title, done } = await device.manager("tasks").read(task.id);
    equal([title, done], ["Buy milk", true]);
  }
  const cases = [
    ["offline", "network"], ["lostReply", "network"], ["garbage", "protocol"], [{ status: 401 }, "unauthorized"], [{ status: 503 }, "serverError"],
    [{ status: 426 }, "clientOutdated"], [{ status: 429, retryAfterMs: 1 }, "rateLimited"], [({ kind }) => (kind === "pull" ? "offline" : undefined), "network"],
  ];
  for (const [fault, code] of cases) {
    await phone.manager("tasks").create({ title: code });
    const end = remote.fail(fault);
    const failure = await phone.synchronize("ada").then(({ error }) => error, (error) => error);
    equal(failure?.code, code);
    end();
    equal((await phone.synchronize("ada")).isSuccess, true);
    equal(await phone.pendingCount("ada"), 0);
  }
  equal(remote.all("ada", "tasks").length, 1 + cases.length);
  remote.fail("silent");
  equal((await phone.synchronize("ada", { timeout: 100 }).catch((error) => error)).code, "timeout");
  remote.heal();

  remote.put("ada", "tasks", { id: "theirs", title: "from another device" });
  remote.delete("ada", "tasks", task.id);
  await phone.synchronize("ada");
  equal([await phone.manager("tasks").exists("theirs"), await phone.manager("tasks").exists(task.id)], [true, false]);
  remote.expireCursors();
  equal((await laptop.synchronize("ada")).isSuccess, true);
  equal(await laptop.manager("tasks").count(), remote.all("ada", "tasks").length);

  remote.decide = ({ data }) => (data?.title === "" ? { status: "rejected", code: "noTitle", message: "A task needs a title." } : undefined);
  await phone.manager("tasks").create({ title: "" });
  await phone.synchronize("ada");
  equal((await phone.deadLetters("ada")).map(({ code }) => code), ["noTitle"]);

  const backup = remote.backup();
  const later = await phone.manager("tasks").create({ title: "after the backup" });
  await phone.synchronize("ada");
  remote.restore(backup);
  equal(remote.get("ada", "tasks", later.id), null);
  for (let cycle = 0; cycle < 2; cycle++) await phone.synchronize("ada");
  equal(remote.get("ada", "tasks", later.id)?.title, "after the backup");

  remote.maxOperations = 3;
  await phone.manager("tasks").createMany(Array.from({ length: 10 }, (_, n) => ({ title: `${n}` })));
  equal((await phone.synchronize("ada")).pushedCount, 10);
  for (const device of [phone, laptop]) await device.close();
}

/** What the remote in memory tells of its rows and of itself. */
export async function compares() {
  const remote = new MemoryRemote();
  const datum = await open(remote);
  const tasks = datum.manager("tasks");
  const compared = async () => (await datum.explainSyncMetadata("ada")).result;
  equal(await compared(), "neverSynced");
  await tasks.createMany(Array.from({ length: 30 }, (_, n) => ({ id: `${n} ${"é".repeat(n * 8)}`, title: `${n}` })));
  equal((await datum.synchronize("ada")).isSuccess, true);
  equal(await compared(), "inSync");
  await tasks.patch("0 ", { title: "later" });
  equal(await compared(), "localNewer");
  remote.put("ada", "tasks", { id: "theirs", title: "theirs" });
  equal(await compared(), "diverged");
  remote.requests.length = 0;
  equal((await datum.synchronize("ada")).isSuccess, true);
  equal(remote.requests.filter(({ kind }) => kind === "pull").length, 1);
  remote.delete("ada", "tasks", "theirs");
  equal(await datum.compareSyncMetadata("ada"), "remoteNewer");
  equal((await datum.synchronize("ada")).isSuccess, true);
  remote.restore(remote.backup());
  equal(await datum.compareSyncMetadata("ada"), "inSync");
  await tasks.create({ title: "not for another server" });
  remote.serverId = "another";
  remote.requests.length = 0;
  equal((await datum.synchronize("ada").catch((error) => error)).code, "otherServer");
  equal(remote.requests.some(({ kind }) => kind === "push"), false);
  await datum.acceptServer("ada", "offer");
  equal((await datum.synchronize("ada")).isSuccess, true);
  equal(await datum.compareSyncMetadata("ada"), "inSync");
  await datum.close();
}

/** Other data comes to stand behind one adapter, which has no name of its own: a push names the server of the replies. */
export async function moves() {
  const remote = new MemoryRemote();
  const datum = await open({ pull: (request, signal) => remote.pull(request, signal), push: (request, signal) => remote.push(request, signal) });
  const tasks = datum.manager("tasks");
  const synced = async () => (await datum.synchronize("ada").catch((error) => error)).code ?? "synced";
  await tasks.create({ title: "first" });
  equal(await synced(), "synced");
  await tasks.create({ title: "second" });
  remote.serverId = "another";
  remote.requests.length = 0;
  equal([await synced(), remote.all("ada", "tasks").length], ["otherServer", 1]);
  equal(remote.requests.map(({ kind, request }) => [kind, request.serverId]), [["push", "memory"]]);
  remote.serverId = "memory";
  equal([await synced(), remote.all("ada", "tasks").length], ["synced", 2]);
  await datum.close();
}

/** Users who share a space: on devices of theirs, and as another device would. */
export async function shares() {
  const remote = new MemoryRemote();
  const device = (user) => open(remote, { initialUserId: user, realtime: false });
  const [ada, ben] = [await device("ada"), await device("ben")];
  const sync = async (datum, user) => {
    const { isSuccess } = await datum.synchronize(user);
    return [isSuccess, await datum.compareSyncMetadata(user)];
  };
  const titles = async (datum, options) => (await datum.manager("tasks").readAll(options)).map(({ title }) => title).sort();
  const letters = async (datum, user) => (await datum.deadLetters(user)).map(({ code, spaceId }) => [code, spaceId]);

  // Made offline, filled, shared.
  const home = await ada.spaces().create("Home");
  const milk = await ada.manager("tasks").create({ title: "Milk", done: false }, { spaceId: home });
  const own = await ada.manager("tasks").create({ title: "Diary" });
  await ada.spaces().setRole(home, "ben", "writer");
  equal(await sync(ada, "ada"), [true, "inSync"]);
  equal(await sync(ben, "ben"), [true, "inSync"]);
  equal(await ben.spaces().list(), [{ spaceId: home, role: "writer", name: "Home" }]);
  equal([remote.spaces("ben"), remote.members(home)], [[{ spaceId: home, role: "writer", name: "Home" }], [{ userId: "ada", role: "owner" }, { userId: "ben", role: "writer" }]]);
  equal([await titles(ben), remote.all("ben", "tasks").map(({ title, spaceId }) => [title, spaceId])], [["Milk"], [["Milk", home]]]);

  // Edits of one task merge; a task that is moved takes an edit elsewhere along.
  await ada.manager("tasks").patch(milk.id, { title: "Oat milk" });
  await ben.manager("tasks").patch(milk.id, { done: true });
  for (const [datum, user] of [[ada, "ada"], [ben, "ben"], [ada, "ada"]]) equal(await sync(datum, user), [true, "inSync"]);
  equal([remote.get("ben", "tasks", milk.id).title, remote.get("ada", "tasks", milk.id).done], ["Oat milk", true]);
  await ada.manager("tasks").move(own.id, home);
  await sync(ada, "ada");
  equal([remote.get("ada", "tasks", own.id).spaceId, (await sync(ben, "ben"))[0], await titles(ben)], [home, true, ["Diary", "Oat milk"]]);
  const other = remote.createSpace("ada", "Other");
  remote.setRole("ada", other, "ben", "writer");
  remote.move("ada", "tasks", own.id, other);
  await ben.manager("tasks").patch(own.id, { title: "Our diary" });
  for (let cycle = 0; cycle < 2; cycle++) equal((await sync(ben, "ben"))[0], true);
  equal([remote.get("ada", "tasks", own.id).title, remote.get("ada", "tasks", own.id).spaceId], ["Our diary", other]);
  remote.move("ada", "tasks", own.id, null);
  equal([await sync(ben, "ben"), await titles(ben)], [[true, "inSync"], ["Oat milk"]]);

  // A lowered role, and a removal, meet pending operations.
  remote.setRole("ada", home, "ben", "reader");
  await ben.manager("tasks").patch(milk.id, { title: "no" });
  await ben.synchronize("ben");
  equal([await letters(ben, "ben"), await titles(ben)], [[["readOnly", home]], ["Oat milk"]]);
  remote.setRole("ada", home, "ben", "writer");
  await sync(ben, "ben");
  await ben.manager("tasks").create({ title: "late" }, { spaceId: home });
  remote.setRole("ada", home, "ben", null);
  await ben.synchronize("ben");
  equal([(await letters(ben, "ben")).at(-1), await titles(ben), await ben.compareSyncMetadata("ben")], [["notMember", home], [], "inSync"]);
  const refused = (call) => {
    try {
      call();
    } catch (error) {
      return error.code;
    }
  };
  equal(refused(() => remote.put("ben", "tasks", { id: "x" }, { spaceId: home })), "notMember");
  equal(refused(() => remote.setRole("ada", home, "ada", "reader")), "lastOwner");

  // A restored remote, one that has forgotten its cursors, and one that has forgotten deletions.
  const backup = remote.backup();
  await ada.manager("tasks").create({ title: "after the backup" }, { spaceId: home });
  await sync(ada, "ada");
  remote.restore(backup);
  equal(remote.all("ada", "tasks", { spaceId: home }).length, 1);
  for (let cycle = 0; cycle < 2; cycle++) await sync(ada, "ada");
  equal([await titles(ada, { spaceId: home }), remote.all("ada", "tasks", { spaceId: home }).length], [["Oat milk", "after the backup"], 2]);
  remote.expireCursors();
  equal(await sync(ada, "ada"), [true, "inSync"]);
  remote.delete("ada", "tasks", milk.id);
  remote.forgetTombstones();
  equal([await sync(ada, "ada"), await titles(ada, { spaceId: home })], [[true, "inSync"], ["after the backup"]]);
  equal([remote.deleteSpace("ada", home), await sync(ada, "ada"), await titles(ada)], [true, [true, "inSync"], ["Our diary"]]);
  for (const datum of [ada, ben]) await datum.close();
}

/** The protocol over the environment's own `fetch`, against the real server. */
export async function overHttp(url) {
  const reply = await fetch(`${url}/dev/token`, { method: "POST", headers: { "content-type": "application/json" }, body: `{"userId":"ada"}` });
  const { token } = await reply.json();
  const datum = await open({ url, headers: { Authorization: `Bearer ${token}` } });
  await datum.manager("tasks").create({ title: "Buy milk" });
  equal((await datum.synchronize("ada")).isSuccess, true);
  equal(await datum.checkHealth("ada"), { status: "healthy", local: "healthy", remote: "healthy" });
  await datum.close();
}

/** While every timer is the runner's, no call waits for one, and `advance` makes time pass. */
export async function timers(advance) {
  const remote = new MemoryRemote();
  const name = `timers-${++count}`;
  let datum = await open(remote, { autoStartSync: true }, name);
  const tasks = datum.manager("tasks");
  for (let n = 0; n < 3; n++) await tasks.create({ title: `${n}` });
  equal((await datum.synchronize("ada")).isSuccess, true);
  await tasks.createMany(Array.from({ length: 1500 }, (_, n) => ({ title: `more ${n}` })));
  remote.requests.length = 0;
  await advance(5000);
  equal(remote.requests.some(({ kind }) => kind === "push"), true);
  equal((await datum.synchronize("ada")).isSuccess, true);
  await datum.close();
  datum = await open(remote, {}, name);
  equal((await datum.manager("tasks").readAll()).length, 1503);
  const feed = datum.manager("tasks").watchAll()[Symbol.asyncIterator]();
  equal((await feed.next()).value.length, 1503);
  await datum.logout("ada");
  equal((await feed.next()).done, true);
  await datum.close();
}
