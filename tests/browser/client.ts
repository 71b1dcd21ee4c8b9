// What an app does with one or two devices: writes, reads, syncs, and the errors of wrong calls.
import type { Datum, PushRequest, RemoteAdapter, SyncResult, SyncStatus } from "datum-sync";
import type { Story, Task } from "./story.ts";

export async function what_one_device_writes_offline_another_sees_and_a_reload_keeps({ open, user, equal }: Story) {
  const a = await open("a");
  const tasks = a.manager<Task>("tasks");
  const milk = await tasks.create({ title: "milk", due: new Date(0) });
  equal(
    [milk.title, milk.version, milk.userId, milk.isDeleted, milk.due],
    ["milk", 0, "ann", false, "1970-01-01T00:00:00.000Z"],
  );
  if (!Object.isFrozen(milk)) throw new Error("not frozen");
  await tasks.patch(milk.id, { title: "oat milk" });
  equal(await a.pendingCount(user), 1);
  const pushed = await a.synchronize(user);
  equal([pushed.isSuccess, pushed.pushedCount], [true, 1]);
  const b = await open("b");
  const pulled = await b.synchronize(user, { direction: "pullThenPush", forceFullSync: true });
  equal([pulled.isSuccess, pulled.pulledCount], [true, 1]);
  equal((await b.manager("tasks").readAll()).map((t) => t.title), ["oat milk"]);
  await b.close();
  const again = await open("b");
  equal((await again.manager("tasks").read(milk.id))!.title, "oat milk");
  equal((await again.getLastSyncResult(user))!.pulledCount, 1);
  await a.close();
  await again.close();
}

export async function the_status_feed_is_an_async_iterator_that_ends_on_close({ open, user, equal }: Story) {
  const a = await open("a");
  const seen: string[] = [];
  const feed = a.statusForUser(user);
  equal(feed.current.status, "idle");
  const reading = (async () => {
    for await (const status of feed) seen.push(status.status);
  })();
  const completed = async (): Promise<SyncStatus> => {
    for await (const status of a.statusForUser(user)) if (status.status === "completed") return status;
    throw new Error("the feed ended");
  };
  const once = completed();
  for (let n = 0; n < 3; n++) await a.manager("tasks").create({ n });
  await a.synchronize(user);
  const end = await once;
  equal([end.progress, end.syncedCount, end.pendingOperations, end.health.status], [1, 3, 0, "healthy"]);
  await a.close();
  await reading;
  equal(seen.filter((status) => status === "completed").length, 1);
  equal(seen[0], "idle");
}

export async function every_form_of_writing_and_reading_does_what_it_says({ open, user, equal, refused }: Story) {
  const a = await open("a");
  const tasks = a.manager<Task>("tasks");
  const three = await tasks.createMany([{ n: 1 }, { n: 2 }, { n: 3 }]);
  equal(three.map((t) => t.n), [1, 2, 3]);
  await refused(tasks.createMany([{ id: "x" }, { id: three[0].id }]), "alreadyExists");
  equal(await tasks.count(), 3);
  equal(await tasks.exists("x"), false);
  const changed = await tasks.updateMany(three.map((t) => ({ ...t, n: t.n * 10 })));
  equal(changed.map((t) => t.n), [10, 20, 30]);
  const patched = await tasks.patchMany(three.map((t) => ({ id: t.id, changes: { n: t.n * 10 } })));
  equal(patched.map((t) => t.n), [10, 20, 30]);
  const page = await tasks.readPage({ size: 2 });
  equal([page.items.length, page.hasMore, page.total], [2, true, 3]);
  const rest = await tasks.readPage({ size: 2, after: page.after! });
  equal([rest.items.length, rest.hasMore], [1, false]);
  equal(await tasks.delete(three[0].id), true);
  equal(await tasks.delete(three[0].id), false);
  equal(await tasks.deleteMany([three[1].id, "nobody"]), [three[1].id]);
  equal(await tasks.read(three[0].id), null);
  equal((await tasks.readAll()).sort().length, 1);
  const both = await tasks.pushAndSync({ n: 4 });
  equal([both.entity.n, both.result.isSuccess], [4, true]);
  const size = await a.storageSize(user);
  if (!(size.bytes > 0)) throw new Error("no size");
  await a.clearUserData(user);
  equal(await tasks.count(), 0);
  await a.close();
}

export async function bad_input_is_refused_with_a_code_the_field_and_the_fix({ open, user, equal, refused }: Story) {
  const a = await open("a");
  const tasks = a.manager<Task>("tasks");
  const cycle: { self?: object } = {};
  cycle.self = cycle;
  const drafts: [unknown, string][] = [
    [{ n: 1n }, "BigInt"],
    [{ f() {} }, "function"],
    [cycle, "itself"],
    [{ n: NaN }, "NaN"],
    [{ a: { b: [Infinity] } }, "a.b[0]"],
    [{ t: "x".repeat(1 << 20) }, "bytes"],
    [{ id: "a\ud800" }, "surrogate"],
    [{ id: 5 }, "`id`"],
    [{ version: "x" }, "`version`"],
    ["text", "object"],
    [null, "object"],
  ];
  for (const [draft, word] of drafts) await refused(tasks.create(draft as never), "invalidEntity", word);
  equal(await tasks.count(), 0);
  await refused(tasks.update({ id: "nobody" } as never), "notFound");
  await refused(tasks.patch("nobody", {}), "notFound");
  for (const size of [0, 10001, 1.5, "50"]) {
    await refused(a.synchronize(user, { overrideBatchSize: size as never }), "invalidArgument", "overrideBatchSize");
  }
  await refused(a.synchronize(user, { direktion: "pullOnly" } as never), "invalidArgument", "direktion");
  for (const bad of ["", "a\u0000", 7, undefined]) {
    await refused(a.synchronize(bad as never), "invalidArgument", "userId");
  }
  try {
    a.manager("nothing");
    throw new Error("no error");
  } catch (error) {
    equal((error as { code?: string }).code, "invalidArgument");
  }
  await a.close();
  await refused(tasks.readAll(), "closed");
  await refused(open("c", { entitties: {} } as never), "invalidConfig", "entitties");
  await refused(open("c", { entities: {} }), "invalidConfig", "entities");
  await refused(open("c", { syncTimeout: -1 }), "invalidConfig", "syncTimeout");
  await refused(open("c", { remote: { url: "ftp://x" } }), "invalidConfig", "url");
  await refused(open("c", { remote: undefined }), "invalidConfig", "remote");
}

export async function an_apps_resolver_and_its_signal_are_heard({ open, user, equal }: Story) {
  const a = await open("a");
  const b = await open("b");
  const one = await a.manager("tasks").create({ title: "milk" });
  await a.synchronize(user);
  await b.synchronize(user);
  await a.manager("tasks").patch(one.id, { title: "theirs" });
  await a.synchronize(user);
  await b.manager("tasks").patch(one.id, { title: "mine" });
  const result = await b.synchronize(user, {
    conflictResolver: async ({ kind, base, local, remote, fields }) => {
      equal(
        [kind, base!.title, local!.title, remote!.title, fields],
        ["bothModified", "milk", "mine", "theirs", ["title"]],
      );
      return { take: "merged", data: { ...remote!, title: "both" } };
    },
  });
  equal([result.conflictsDetected, result.conflictsResolved, result.pendingOperations], [1, 1, 0]);
  await a.synchronize(user);
  equal((await a.manager("tasks").read(one.id))!.title, "both");
  const stopped = await a.synchronize(user, { signal: AbortSignal.abort() });
  equal([stopped.wasCancelled, stopped.isSuccess], [true, false]);
  await a.pauseSync();
  equal((await a.synchronize(user)).skipReason, "paused");
  await a.resumeSync(user);
  await a.resumeSync();
  equal((await a.synchronize(user)).isSuccess, true);
  await a.close();
  await b.close();
}

export async function metadata_is_read_compared_and_cleared_on_both_sides({ open, user, equal }: Story) {
  const a = await open("a");
  const tasks = a.manager("tasks");
  equal(
    [await a.getSyncMetadata(user), await tasks.remoteAdapter.getSyncMetadata(user), await a.compareSyncMetadata(user)],
    [null, null, "neverSynced"],
  );
  await tasks.create({ title: "milk" });
  await a.synchronize(user);
  const local = (await tasks.localAdapter.getSyncMetadata(user))!;
  const remote = (await tasks.getRemoteSyncMetadata(user))!;
  equal(
    [local.dataHash, remote.dataHash, local.syncStatus, remote.deviceCount, remote.isNeverSynced, remote.hasConflicts],
    [remote.dataHash, local.dataHash, "synced", 1, false, false],
  );
  equal(await a.compareSyncMetadata(user), "inSync");
  await tasks.create({ title: "tea" });
  equal(await a.compareSyncMetadata(user), "localNewer");
  await tasks.remoteAdapter.clearSyncMetadata(user);
  equal(await a.getRemoteSyncMetadata(user), null);
  const fresh = await a.synchronize(user, { direction: "pullThenPush" });
  equal([fresh.isSuccess, fresh.pushedCount, await a.compareSyncMetadata(user)], [true, 1, "inSync"]);
  await a.clearSyncMetadata(user);
  equal([await a.getSyncMetadata(user), (await a.getRemoteSyncMetadata(user))!.deviceCount], [null, 1]);
  await a.close();
}

/** A backend of one map, without conflicts. */
function backend(): RemoteAdapter {
  const rows = new Map();
  let version = 0;
  const apply = ({ opId, entity, id, data }: PushRequest["operations"][number]) => {
    rows.set(id, { entity, id, version: ++version, data });
    return { opId, status: "applied" as const, version };
  };
  return {
    async pull({ cursor }) {
      return { changes: cursor ? [] : [...rows.values()], cursor: String(version || 1), more: false };
    },
    async push({ operations }) {
      return { results: operations.map(apply) };
    },
  };
}

export async function an_apps_own_adapter_is_a_remote({ open, user, equal, refused }: Story) {
  const remote = backend();
  const a = await open("a", { remote });
  const b = await open("b", { remote });
  await a.manager("tasks").create({ title: "milk" });
  equal((await a.synchronize(user)).isSuccess, true);
  equal((await b.synchronize(user)).pulledCount, 1);
  equal((await b.manager("tasks").readAll())[0].title, "milk");
  const gone: RemoteAdapter = {
    async pull() {
      throw new Error("gone");
    },
    push: async () => ({}) as never,
  };
  const broken = await open("c", { remote: gone });
  const error = await refused(broken.synchronize(user), "network");
  equal([error.retryable, broken.statusForUser(user).current.status], [true, "failed"]);
  await a.close();
  await b.close();
  await broken.close();
}

export async function two_instances_on_one_database_hear_of_each_other({ open, user, equal }: Story) {
  const a = await open("a");
  const b = await open("a");
  const one = await a.manager("tasks").create({ title: "milk" });
  for (let n = 0; n < 200 && !(await b.manager("tasks").exists(one.id)); n++) {
    await new Promise((go) => setTimeout(go, 10));
  }
  equal((await b.manager("tasks").read(one.id))!.title, "milk");
  const twenty = [...Array(20).keys()];
  await Promise.all(twenty.flatMap((n) => [a, b].map((instance) => instance.manager("tasks").create({ n }))));
  const sync = (instance: Datum): Promise<SyncResult> => instance.synchronize(user);
  const [x, y] = await Promise.all([sync(a), sync(b)]);
  equal([x.isSuccess, y.isSuccess, await a.manager("tasks").count()], [true, true, 41]);
  await a.close();
  await b.close();
}

export async function what_is_written_is_pushed_by_itself_and_the_status_says_what_comes_next(
  { open, user, equal, refused }: Story,
) {
  const a = await open("a", { autoStartSync: true, syncAfterWrite: 0, coldStart: { strategy: "disabled" } });
  if (document.visibilityState === "hidden") dispatchEvent(new Event("pageshow"));
  await a.manager("tasks").create({ title: "milk" });
  for await (const { status, pendingOperations, nextSyncAt, isLeader } of a.statusForUser(user)) {
    const isOver = status === "completed" && pendingOperations === 0;
    if (isOver && nextSyncAt && nextSyncAt === a.nextSyncTime(user)) {
      equal(isLeader, true);
      break;
    }
  }
  const start = async (userId: string, options?: object) => a.startAutoSync(userId, options);
  for (const wrong of [0, -1, 1.5, 86_400_001, "15m"]) {
    await refused(start(user, { interval: wrong }), "invalidArgument", "`interval`");
  }
  await refused(start(""), "invalidArgument", "userId");
  await refused(start(user, { interval_: 1 }), "invalidArgument", "interval");
  await refused(open("b", { autoSyncInterval: 0 }), "invalidConfig", "`autoSyncInterval`");
  a.startAutoSync(user, { interval: 3_600_000 });
  const left = Date.parse(a.nextSyncTime(user)!) - Date.now();
  if (left < 3_200_000 || left > 3_960_000) throw new Error(`${left} ms`);
  a.stopAutoSync(user);
  a.stopAutoSync();
  equal(a.nextSyncTime(user), null);
  await a.close();
  await refused(start(user), "closed");
  equal(a.nextSyncTime(user), null);
}

export async function a_write_waits_for_what_it_depends_on_and_a_refused_one_stays_visible(
  { open, user, equal, refused }: Story,
) {
  const relations = { project: { belongsTo: "projects", foreignKey: "project" } };
  const entities = { projects: {}, tasks: { onRejected: "keepLocal" as const, relations } };
  const a = await open("a", { entities });
  const [tasks, projects] = [a.manager<Task>("tasks"), a.manager("projects")];
  await tasks.create({ id: "child", project: "p" });
  await tasks.create({ id: "asks" }, { dependsOn: [{ entity: "tasks", id: "child" }] });
  await projects.create({ id: "p" });
  equal((await a.pendingOperations(user)).map((op) => op.state), ["pending", "pending", "pending"]);
  await refused(tasks.create({}, { dependsOn: "p" as never }), "invalidArgument", "dependsOn");
  await refused(tasks.create({}, { dependsOn: [{ entity: "cars", id: "x" }] }), "invalidArgument", "cars");
  equal((await a.synchronize(user)).pushedCount, 3);
  const versions = await Promise.all([projects.read("p"), tasks.read("child"), tasks.read("asks")]);
  equal(versions.map((e) => e!.version), [1, 2, 3]);
  const dependsOn = [{ entity: "projects", id: "p" }];
  equal(await tasks.deleteMany(["asks"], { behavior: "softDelete", dependsOn }), ["asks"]);
  await tasks.patch("child", { title: "x".repeat(1000000), more: "y".repeat(500) });
  await a.synchronize(user);
  const [letter] = await a.deadLetters(user);
  const base = letter.base as { project: string };
  equal(
    [letter.code, letter.kept, base.project, (await tasks.read("child"))!.more.length],
    ["tooLarge", true, "p", 500],
  );
  await a.close();
  const again = await open("a", { entities });
  const reloaded = again.manager<Task>("tasks");
  equal((await reloaded.read("child"))!.more.length, 500);
  await again.discardDeadLetter(letter.id);
  equal((await reloaded.read("child"))!.more, undefined);
  await again.close();
}
