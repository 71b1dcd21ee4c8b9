// Users of one page: switching, signing out, and the token of each request.
import type { Datum, HttpRemote, Manager } from "datum-sync";
import type { Story, Task } from "./story.ts";

interface SignedIn extends Story {
  /** A device of Ann. */
  a: Datum;
  tasks: Manager<Task>;
  remote: HttpRemote;
  /** The user whose token the app sends. */
  token: { as: string };
  /** The requests of `a`. */
  sent: (RequestInit & { url: string })[];
  /** The titles of a user's tasks, sorted. */
  titles(userId: string): Promise<string[]>;
}

/** Opens a device, and closes it after the test. */
function signedIn(run: (app: SignedIn) => Promise<void>): (story: Story) => Promise<void> {
  return async (story) => {
    const token = { as: "ann" };
    const sent: SignedIn["sent"] = [];
    const remote: HttpRemote = {
      url: "https://api.test",
      headers: () => ({ Authorization: token.as }),
      fetch(url, init) {
        sent.push({ url, ...init });
        return story.fetch(url, init);
      },
    };
    const a = await story.open("a", { remote });
    const tasks = a.manager<Task>("tasks");
    const titles = async (userId: string): Promise<string[]> =>
      (await tasks.readAll({ userId })).map((t) => t.title).sort();
    await run({ ...story, a, tasks, remote, token, sent, titles });
    await a.close();
  };
}

export const each_user_has_a_database_and_calls_go_to_whoever_is_current_when_they_are_made = signedIn(
  async ({ a, tasks, sent, titles, equal }) => {
    await tasks.create({ title: "milk" });
    const late = tasks.create({ title: "tea" });
    const read = tasks.readAll();
    const page = tasks.readPage({});
    const switching = a.switchUser({ oldUserId: "ann", newUserId: "bob", strategy: "keepLocal" });
    const later = tasks.create({ title: "rice" });
    const switched = await switching;
    equal(
      [switched.success, switched.previousUserId, switched.newUserId, "error" in switched],
      [true, "ann", "bob", false],
    );
    equal([a.currentUserId, await tasks.count()], ["bob", 0]);
    for (const written of [await late, await later]) equal(written.userId, "ann");
    for (const one of [...(await read), ...(await page).items]) equal(one.userId, "ann");
    await tasks.create({ title: "of bob" });
    equal([await titles("ann"), await titles("bob")], [["milk", "rice", "tea"], ["of bob"]]);
    equal(sent.length, 0);
    equal(await a.userIds(), ["ann", "bob"]);
    await a.switchUser({ newUserId: "ann" });
    equal([a.currentUserId, (await tasks.readAll()).length], ["ann", 3]);
  },
);

export const the_default_strategy_is_the_configs_and_pushes_under_the_previous_users_name = signedIn(
  async ({ a, tasks, sent, open, equal }) => {
    await tasks.create({ title: "milk" });
    equal((await a.switchUser({ newUserId: "bob" })).unsyncedOperations, 0);
    equal(sent.map((r) => [r.method, JSON.parse(r.body as string).userId]), [["POST", "ann"], ["POST", "ann"], ["PUT", "ann"]]);
    const b = await open("b", { defaultUserSwitchStrategy: "promptIfUnsyncedData" });
    await b.manager("tasks").create({ title: "rice" });
    const { success, unsyncedOperations, error } = await b.switchUser({ newUserId: "bob" });
    equal([success, unsyncedOperations, error!.code, b.currentUserId], [false, 1, "unsyncedData", "ann"]);
    await b.close();
  },
);

export const nothing_goes_under_another_users_token = signedIn(
  async ({ a, tasks, token, titles, user, equal, refused }) => {
    await tasks.create({ title: "synced" });
    await a.synchronize(user);
    await tasks.create({ title: "waiting" });
    const other = "bob & co";
    token.as = other;
    const error = await refused(a.synchronize(user), "userMismatch");
    equal([error.status, error.retryable, await a.pendingCount(user)], [409, false, 1]);
    await refused(a.synchronize(user, { direction: "pullOnly", forceFullSync: true }), "userMismatch");
    await refused(a.getRemoteSyncMetadata(user), "userMismatch");
    await refused(a.clearSyncMetadata(user, { remote: true }), "userMismatch");
    equal(await titles("ann"), ["synced", "waiting"]);
    const away = await a.switchUser({ newUserId: other });
    equal([away.success, away.unsyncedOperations, away.error!.code], [true, 1, "userMismatch"]);
    equal((await a.synchronize(other)).isSuccess, true);
    equal((await a.getRemoteSyncMetadata(other))!.userId, other);
    equal(await titles(other), []);
    token.as = "ann";
    await a.switchUser({ newUserId: user });
    const { pushedCount } = await a.synchronize(user);
    equal([pushedCount, (await a.getRemoteSyncMetadata(user))!.deviceCount], [1, 1]);
  },
);

export const a_logout_flushes_keeps_what_it_could_not_and_wipes_only_what_is_synced = signedIn(
  async ({ a, tasks, remote, titles, user, open, equal, refused }) => {
    await tasks.create({ title: "milk" });
    equal(await a.logout(user), { flushed: 1, unsynced: [], deadLetters: 0, wiped: false });
    equal([a.currentUserId, a.statusForUser(user).current.status], [null, "idle"]);
    await refused(tasks.readAll(), "noUser");
    await a.switchUser({ newUserId: user });
    equal(await titles(user), ["milk"]);
    const one = await tasks.create({ title: "tea" });
    const error = await refused(a.logout(user, { flush: 0, wipe: true }), "unsyncedData", "1 pending operation");
    equal([error.userId, a.currentUserId, await a.pendingCount(user)], [user, user, 1]);
    const kept = await a.logout(user, { flush: 0 });
    equal(kept.unsynced.map((op) => [op.entityId, op.kind]), [[one.id, "create"]]);
    const again = await open("a", { remote });
    equal(await again.pendingCount(user), 1);
    equal(await again.logout(user, { wipe: true }), { flushed: 1, unsynced: [], deadLetters: 0, wiped: true });
    equal(await again.userIds(), []);
    await again.switchUser({ newUserId: user, strategy: "clearAndFetch" });
    equal((await again.manager("tasks").readAll()).length, 2);
    await again.close();
  },
);

export const the_apps_own_metadata_reaches_the_remote = signedIn(async ({ a, user, equal, refused }) => {
  const panes = [1, { wide: null }];
  await a.setCustomMetadata(user, { name: "phone", panes });
  equal((await a.getSyncMetadata(user))!.customMetadata, { name: "phone", panes });
  await a.synchronize(user);
  equal((await a.getRemoteSyncMetadata(user))!.customMetadata!.panes, panes);
  for (const bad of [undefined, null, 7, "x", [1], { n: 1n }, { x: "y".repeat(1 << 14) }, { f() {} }]) {
    await refused(a.setCustomMetadata(user, bad as never), "invalidArgument", "custom metadata");
  }
  await refused(a.setCustomMetadata("", {}), "invalidArgument");
  equal((await a.getSyncMetadata(user))!.customMetadata!.name, "phone");
});

export const bad_input_is_refused_by_name = signedIn(async ({ a, user, open, equal, refused }) => {
  const switches: [unknown, string][] = [
    [undefined, "newUserId"],
    ["bob", "switchUser"],
    [{ newUserId: 7 }, "newUserId"],
    [{ newUserId: "" }, "userId"],
    [{ newUserId: "b", strategy: "ask" }, "strategy"],
    [{ newUserId: "b", oldUserId: "carl" }, "oldUserId"],
    [{ newUserId: "b", old: "x" }, "old"],
  ];
  for (const [given, word] of switches) await refused(a.switchUser(given as never), "invalidArgument", word);
  const logouts: [unknown, unknown, string][] = [
    [7, {}, "userId"],
    [user, { flush: -1 }, "flush"],
    [user, { wipe: 1 }, "wipe"],
    [user, { forced: true }, "forced"],
  ];
  for (const [id, options, word] of logouts) {
    await refused(a.logout(id as never, options as never), "invalidArgument", word);
  }
  equal([a.currentUserId, await a.userIds()], [user, [user]]);
  const never = { defaultUserSwitchStrategy: "never" as never };
  await refused(open("c", never), "invalidConfig", "defaultUserSwitchStrategy");
});

export const the_first_user_may_be_nobody_and_must_answer_in_time = signedIn(async ({ open, equal, refused }) => {
  for (const nobody of [null, undefined, () => null, async () => undefined]) {
    const c = await open("c", { initialUserId: nobody as never });
    equal([c.currentUserId ?? null, await c.userIds()], [null, []]);
    await refused(c.manager("tasks").create({}), "noUser");
    await c.close();
  }
  for (const [given, id] of [["carl", "carl"], [() => "carl", "carl"], [async () => "dora", "dora"]] as const) {
    const c = await open("d", { initialUserId: given });
    equal(c.currentUserId, id);
    await c.close();
  }
  const no = () => {
    throw new Error("no");
  };
  for (const bad of [no, async () => no(), () => 7, 7]) {
    await refused(open("e", { initialUserId: bad as never }), "invalidConfig", "initialUserId");
  }
  const later = globalThis.setTimeout;
  const waits: unknown[] = [];
  const silent = () => {
    const atOnce = (go: () => void, ms: number, ...rest: unknown[]) => {
      waits.push(ms);
      return later.call(globalThis, go, 0, ...rest);
    };
    globalThis.setTimeout = atOnce as never;
    return new Promise<never>(() => {});
  };
  try {
    await refused(open("f", { initialUserId: silent }), "timeout", "initialUserId");
  } finally {
    globalThis.setTimeout = later;
  }
  equal(waits, [10_000]);
});
