// Shared spaces as an app uses them: their members, their feed, their entities, and wrong calls.
import type { Datum, DatumEvent, SharedSpace } from "datum-sync";
import type { Story, Task } from "./story.ts";

const STRANGE = "01890000-0000-7000-8000-000000000000";

/** Opens a device of another user on the same server. */
const openFor = ({ open, fetch }: Story, user: string, device = user) =>
  open(device, { initialUserId: user, remote: { url: "https://api.test", headers: { Authorization: user }, fetch } });

/** Devices of ann and ben, who share a space as owner and writer. */
async function sharing(story: Story): Promise<{ ann: Datum; ben: Datum; home: string; sync: () => Promise<void> }> {
  const [ann, ben] = [await story.open("a"), await openFor(story, "ben")];
  const home = await ann.spaces().create("Home");
  await ann.spaces().setRole(home, "ben", "writer");
  const sync = async () => {
    for (const [datum, user] of [[ann, "ann"], [ben, "ben"], [ann, "ann"]] as const) await datum.synchronize(user);
  };
  await sync();
  return { ann, ben, home, sync };
}

export async function a_space_is_made_named_shared_left_and_ended(story: Story) {
  const { equal, refused } = story;
  const { ann, ben, home, sync } = await sharing(story);
  const lists = async () => [await ann.spaces().list(), await ben.spaces().list()];
  const named = (name: string, role: string) => ({ spaceId: home, role, name });
  equal(await lists(), [[named("Home", "owner")], [named("Home", "writer")]]);
  const [annOwns, benWrites] = [{ userId: "ann", role: "owner" }, { userId: "ben", role: "writer" }];
  equal([await ann.spaces().members(home), await ben.spaces().members(home)], [[annOwns, benWrites], [annOwns, benWrites]]);

  equal(await ann.spaces().rename(home, "Our home"), undefined);
  equal(await ann.spaces().setRole(home, "ben", "reader"), undefined);
  await sync();
  equal(await lists(), [[named("Our home", "owner")], [named("Our home", "reader")]]);
  await refused(ben.spaces().rename(home, "Mine"), "notOwner");
  await refused(ben.spaces().setRole(home, "ben", "owner"), "notOwner");
  await refused(ben.spaces().remove(home, "ann"), "notOwner");
  await refused(ben.spaces().delete(home), "notOwner");
  await refused(ben.manager("tasks").create({ title: "no" }, { spaceId: home }), "readOnly");
  await refused(ben.spaces().rename(STRANGE, "Mine"), "notFound");
  await refused(ben.spaces().setRole(STRANGE, "ben", "owner"), "notMember");
  equal(await ben.spaces().members(STRANGE), []);

  equal([await ann.spaces().remove(home, "cleo"), await ben.spaces().leave(home)], [false, true]);
  equal(await ben.spaces().list(), []);
  await sync();
  equal([await ben.spaces().list(), await ann.spaces().members(home)], [[], [annOwns]]);
  await ann.spaces().setRole(home, "ben", "owner");
  await sync();
  equal(await ann.spaces().remove(home, "ben"), true);
  await sync();
  equal(await ben.spaces().list(), []);
  equal(await ann.spaces().delete(home), true);
  equal(await ann.spaces().list(), []);
  await sync();
  equal(await ann.spaces().delete(home), false);
  equal([await ann.deadLetters("ann"), await ben.deadLetters("ben")], [[], []]);
  // Another user of this device, named in the options.
  const other = await ann.spaces().create("Hers", { userId: "cleo" });
  equal([(await ann.spaces().list({ userId: "cleo" })).map(({ spaceId }) => spaceId), await ann.spaces().list()], [[other], []]);
  for (const datum of [ann, ben]) await datum.close();
}

export async function the_feed_of_spaces_gives_the_list_and_each_change_to_each_loop({ open, equal, refused }: Story) {
  const a = await open("a");
  const twin = await open("a");
  const names = (list: readonly SharedSpace[]) => list.map(({ name, role }) => `${name} ${role}`).join();
  const feed = a.spaces().watch();
  const [first, second] = [feed[Symbol.asyncIterator](), feed[Symbol.asyncIterator]()];
  const next = async (loop: AsyncIterator<readonly SharedSpace[]>) => {
    const { done, value } = await loop.next();
    return done ? "ended" : names(value);
  };
  equal([await next(first), await next(second)], ["", ""]);
  const waiting = [next(first), next(second)];
  const home = await a.spaces().create("Home");
  equal(await Promise.all(waiting), ["Home owner", "Home owner"]);
  // A write that does not concern them is no change; what another instance writes is one.
  await a.manager("tasks").create({ title: "milk" });
  const renamed = next(first);
  for await (const list of twin.spaces().watch()) if (list.length === 1) break;
  await twin.spaces().rename(home, "Our home");
  equal(await renamed, "Our home owner");
  // The loop that was slow gets the latest.
  await a.spaces().rename(home, "Ours");
  equal([await next(second), await next(first)], ["Ours owner", "Ours owner"]);

  // A loop that is left ends alone, whatever waits in it.
  const left = next(first);
  equal([await first.return!(), await left, await next(first)], [{ done: true }, "ended", "ended"]);
  const going = next(second);
  await a.spaces().delete(home);
  equal(await going, "");
  // A second loop over one iterator goes on after the first, and none is left behind.
  const again = (second as unknown as AsyncIterable<readonly SharedSpace[]>)[Symbol.asyncIterator]();
  const last = next(again);
  await twin.close();
  await a.spaces().create("Another");
  equal(await last, "Another owner");
  const waits = [next(second), next(again)];
  await a.close();
  equal(await Promise.all(waits), ["ended", "ended"]);
  await refused(feed[Symbol.asyncIterator]().next(), "closed");
}

export async function a_loop_over_spaces_ends_with_its_instance_and_its_user({ open, equal, refused }: Story) {
  const a = await open("a");
  const all: number[][] = [[], [], []];
  const loops = all.map(async (seen, n) => {
    for await (const list of a.spaces().watch(n === 2 ? { userId: "eve" } : {})) {
      seen.push(list.length);
      if (n === 1 && list.length === 2) break;
    }
  });
  const seen = async (n: number, length: number) => {
    for (let tries = 0; tries < 500 && all[n].at(-1) !== length; tries++) await new Promise((go) => setTimeout(go, 10));
    equal(all[n].at(-1), length);
  };
  for (const n of [0, 1, 2]) await seen(n, 0);
  await a.spaces().create("one");
  await a.spaces().create("two");
  for (const n of [0, 1]) await seen(n, 2);
  await loops[1];
  await a.spaces().create("hers", { userId: "eve" });
  await seen(2, 1);
  await a.clearUserData("eve");
  await loops[2];
  // Two calls that wait, and the close of the instance.
  const loop = a.spaces().watch()[Symbol.asyncIterator]();
  await loop.next();
  const waiting = [loop.next(), loop.next()];
  await a.close();
  equal((await Promise.all(waiting)).map(({ done }) => done), [true, true]);
  await loops[0];
  await refused(a.spaces().watch()[Symbol.asyncIterator]().next(), "closed");
  await refused(a.spaces().list(), "closed");
  await refused(a.spaces().create("late"), "closed");
}

export async function entities_are_written_read_watched_and_moved_by_space(story: Story) {
  const { equal, refused } = story;
  const { ann, ben, home, sync } = await sharing(story);
  const tasks = ann.manager<Task>("tasks");
  const ids = (all: readonly Task[]) => all.map(({ id }) => id);
  const loops = [undefined, home, null].map((spaceId) => tasks.watchAll(spaceId === undefined ? {} : { spaceId })[Symbol.asyncIterator]());
  const shown = () => Promise.all(loops.map(async (loop) => ids((await loop.next()).value)));
  equal(await shown(), [[], [], []]);

  const shared = await tasks.create({ id: "s", title: "shared" }, { spaceId: home });
  equal([shared.spaceId, "spaceId" in (await tasks.create({ id: "p", title: "own" }))], [home, false]);
  const drafts = await tasks.createMany([{ id: "d", spaceId: home, title: "draft" }, { id: "e", title: "options" }], { spaceId: home });
  equal(drafts.map(({ spaceId }) => spaceId), [home, home]);
  const found = async (options: { spaceId?: string | null }) => [
    ids(await tasks.readAll(options)),
    ids((await tasks.readPage({ size: 9 }, options)).items),
    await tasks.count(undefined, options),
    await tasks.exists("s", options),
    (await tasks.read("p", options))?.title ?? null,
  ];
  equal(await found({}), [["d", "e", "p", "s"], ["d", "e", "p", "s"], 4, true, "own"]);
  equal(await found({ spaceId: home }), [["d", "e", "s"], ["d", "e", "s"], 3, true, null]);
  equal(await found({ spaceId: null }), [["p"], ["p"], 1, false, "own"]);
  equal(await found({ spaceId: STRANGE }), [[], [], 0, false, null]);
  for (const [loop, expected] of loops.map((loop, n) => [loop, [["d", "e", "p", "s"], ["d", "e", "s"], ["p"]][n]] as const)) {
    let seen: string[] = [];
    while (JSON.stringify(seen) !== JSON.stringify(expected)) seen = ids((await loop.next()).value);
  }

  // One id in two spaces: a read and a write by id alone mean the personal one.
  await tasks.create({ id: "s", title: "mine" });
  equal((await tasks.readAll()).map(({ id, title }) => `${id} ${title}`), ["d draft", "e options", "p own", "s mine"]);
  equal((await tasks.readAll({ spaceId: home })).at(-1)!.title, "shared");
  equal([(await tasks.patch("s", { done: true })).spaceId, (await tasks.patch("s", { done: false }, { spaceId: home })).spaceId], [undefined, home]);
  await refused(tasks.move("s", home), "alreadyExists");
  equal([await tasks.delete("s", { spaceId: null }), await tasks.delete("s", { spaceId: null })], [true, false]);

  equal((await tasks.move("p", home)).spaceId, home);
  const one = tasks.watchById("p", { spaceId: home })[Symbol.asyncIterator]();
  equal((await one.next()).value.title, "own");
  await sync();
  equal((await tasks.whenSynced("p", { spaceId: home })), "applied");
  equal(ids(await ben.manager("tasks").readAll({ spaceId: home })), ["d", "e", "p", "s"]);
  await ben.manager("tasks").patch("p", { title: "ours" });
  await sync();
  equal([(await tasks.read("p"))!.title, (await one.next()).value.title], ["ours", "ours"]);
  equal("spaceId" in (await tasks.move("p", null)), false);
  await refused(tasks.move("nobody", home), "notFound");
  await refused(tasks.move("p", STRANGE), "notMember");
  await refused(tasks.create({}, { spaceId: STRANGE }), "notMember");
  await sync();
  equal(ids(await ben.manager("tasks").readAll()), ["d", "e", "s"]);
  for (const loop of [...loops, one]) await loop.return!();
  for (const datum of [ann, ben]) await datum.close();
}

export async function what_is_new_about_spaces_is_an_event_in_each_instance(story: Story) {
  const { equal } = story;
  const { ann, ben, home, sync } = await sharing(story);
  const twin = await openFor(story, "ben");
  const told: string[][] = [[], []];
  const reading = [ben, twin].map(async (datum, n) => {
    for await (const event of datum.events({ type: ["spaceJoined", "spaceLeft", "roleChanged"] })) {
      const { type, userId, spaceId, role } = event as Extract<DatumEvent, { type: "spaceJoined" }>;
      equal([userId, typeof event.at], ["ben", "string"]);
      told[n].push(`${type} ${spaceId === home ? "home" : spaceId} ${role}`);
    }
  });
  const until = async (...expected: string[]) => {
    for (const seen of told) {
      for (let tries = 0; tries < 500 && seen.length < expected.length; tries++) await new Promise((go) => setTimeout(go, 10));
      equal(seen, expected);
    }
  };
  await ann.spaces().setRole(home, "ben", "reader");
  await sync();
  await until("roleChanged home reader");
  // What this device makes is no news.
  await twin.spaces().create("Ben's own");
  await twin.synchronize("ben");
  await ann.spaces().remove(home, "ben");
  await ann.synchronize("ann");
  await twin.synchronize("ben");
  await until("roleChanged home reader", "spaceLeft home reader");
  await ann.spaces().setRole(home, "ben", "owner");
  await sync();
  await until("roleChanged home reader", "spaceLeft home reader", "spaceJoined home owner");
  for (const datum of [ann, ben, twin]) await datum.close();
  await Promise.all(reading);
}

/** What is no id of a space, wherever one is asked for. */
const NO_SPACES: [string, unknown][] = [
  ["a number", 1],
  ["an object", {}],
  ["a text object", new String(STRANGE)],
  ["a list", [STRANGE]],
  ["a symbol", Symbol("space")],
  ["no text", ""],
  ["another text", "home"],
  ["upper case", STRANGE.replace("0189", "0189").replace("7000", "700A")],
  ["no dashes", STRANGE.replaceAll("-", "0")],
  ["too long", `${STRANGE}0`],
  ["a line break", `${STRANGE}\n`],
  ["a zero", `${STRANGE.slice(1)}\0`],
  ["a control character", `${STRANGE.slice(1)}\u0007`],
  ["half a character", `${STRANGE.slice(1)}\ud800`],
  ["an inherited name", "__proto__"],
  ["another", "constructor"],
  ["a table", `${STRANGE}\0tasks`],
  ["a reserved type", "$space"],
];

export async function what_is_no_space_is_refused_by_name_in_every_call({ open, equal, refused }: Story) {
  const a = await open("a");
  const [spaces, tasks] = [a.spaces(), a.manager<Task>("tasks")];
  const { id } = await tasks.create({ title: "milk" });
  const calls: [string, (space: never) => unknown][] = [
    ["rename", (space) => spaces.rename(space, "x")],
    ["delete", (space) => spaces.delete(space)],
    ["members", (space) => spaces.members(space)],
    ["setRole", (space) => spaces.setRole(space, "ben", "reader")],
    ["remove", (space) => spaces.remove(space, "ben")],
    ["leave", (space) => spaces.leave(space)],
    ["move", (space) => tasks.move(id, space)],
    ["move from", (spaceId) => tasks.move(id, STRANGE, { spaceId })],
    ["create", (spaceId) => tasks.create({ title: "x" }, { spaceId })],
    ["createMany", (spaceId) => tasks.createMany([{ title: "x" }], { spaceId })],
    ["patch", (spaceId) => tasks.patch(id, { title: "x" }, { spaceId })],
    ["update", (spaceId) => tasks.update({ id, title: "x" } as never, { spaceId })],
    ["delete one", (spaceId) => tasks.delete(id, { spaceId })],
    ["deleteMany", (spaceId) => tasks.deleteMany([id], { spaceId })],
    ["read", (spaceId) => tasks.read(id, { spaceId })],
    ["readAll", (spaceId) => tasks.readAll({ spaceId })],
    ["readPage", (spaceId) => tasks.readPage({}, { spaceId })],
    ["exists", (spaceId) => tasks.exists(id, { spaceId })],
    ["count", (spaceId) => tasks.count(undefined, { spaceId })],
    ["whenSynced", (spaceId) => tasks.whenSynced(id, { spaceId })],
    ["watchAll", (spaceId) => tasks.watchAll({ spaceId })[Symbol.asyncIterator]().next()],
    ["watchById", (spaceId) => tasks.watchById(id, { spaceId })[Symbol.asyncIterator]().next()],
  ];
  for (const [call, act] of calls) {
    for (const [what, value] of NO_SPACES) {
      try {
        await refused(act(value as never) as Promise<unknown>, "invalidArgument", "`spaceId`");
      } catch (cause) {
        throw new Error(`${call}, ${what}: ${(cause as Error).message}`);
      }
    }
  }
  for (const [what, value] of NO_SPACES) {
    try {
      await refused(tasks.create({ title: "x", spaceId: value as never }), "invalidEntity", "`spaceId`");
    } catch (cause) {
      throw new Error(`a draft, ${what}: ${(cause as Error).message}`);
    }
  }
  for (const value of [undefined, null] as never[]) {
    for (const call of [spaces.rename(value, "x"), spaces.delete(value), spaces.members(value), spaces.setRole(value, "ben", "reader"), spaces.remove(value, "ben"), spaces.leave(value)]) {
      await refused(call, "invalidArgument", "`spaceId`");
    }
  }
  await refused(tasks.move(id, undefined as never), "invalidArgument", "`spaceId`");
  equal([await tasks.count(), (await tasks.read(id))!.title, await a.pendingCount("ann"), await spaces.list()], [1, "milk", 1, []]);
  await a.close();
}

export async function names_roles_and_members_that_are_none_are_refused_by_name({ open, equal, refused }: Story) {
  const a = await open("a");
  const spaces = a.spaces();
  const home = await spaces.create("x".repeat(512));
  const each = async (call: string, values: unknown[], word: string, act: (value: never) => Promise<unknown>) => {
    for (const value of values) {
      try {
        await refused(act(value as never), "invalidArgument", word);
      } catch (cause) {
        throw new Error(`${call}, ${typeof value} ${String(value).slice(0, 40)}: ${(cause as Error).message}`);
      }
    }
  };
  const noTexts = [undefined, null, 1, true, {}, ["Home"], new String("Home"), Symbol("Home"), () => "Home"];
  const noNames = [...noTexts, "", "x".repeat(513), "é".repeat(257), "a\nb", "a\0", "\u007f", "\u0085", "\ud800", "a\udc00"];
  await each("create", noNames, "`name`", (name) => spaces.create(name));
  await each("rename", noNames, "`name`", (name) => spaces.rename(home, name));
  const noUsers = [...noTexts, "", "x".repeat(476), "a\nb", "\0", "\ud800"];
  await each("setRole", noUsers, "`userId`", (user) => spaces.setRole(home, user, "reader"));
  await each("remove", noUsers, "`userId`", (user) => spaces.remove(home, user));
  const noRoles = [...noTexts, "", "king", "Owner", "owner ", "own\0er", "__proto__", "constructor", "toString", "\ud800"];
  await each("setRole", noRoles, "`role`", (role) => spaces.setRole(home, "ben", role));
  // Ids and names that objects inherit are like any other.
  for (const user of ["__proto__", "constructor", "x".repeat(475), "a/b"]) await spaces.setRole(home, user, "reader");
  equal((await spaces.members(home)).map(({ userId }) => userId), ["__proto__", "a/b", "ann", "constructor", "x".repeat(475)]);
  equal(await spaces.remove(home, "__proto__"), true);
  await spaces.rename(home, "__proto__");
  equal((await spaces.list())[0].name, "__proto__");
  await a.close();
}

export async function options_of_spaces_are_read_once_by_own_keys({ open, equal, refused }: Story) {
  const a = await open("a");
  const [spaces, tasks] = [a.spaces(), a.manager<Task>("tasks")];
  const home = await spaces.create("Home");
  const calls: [string, (options: never) => unknown][] = [
    ["list", (options) => spaces.list(options)],
    ["watch", (options) => spaces.watch(options)[Symbol.asyncIterator]().next()],
    ["create", (options) => spaces.create("x", options)],
    ["rename", (options) => spaces.rename(home, "x", options)],
    ["delete", (options) => spaces.delete(home, options)],
    ["members", (options) => spaces.members(home, options)],
    ["setRole", (options) => spaces.setRole(home, "ben", "reader", options)],
    ["remove", (options) => spaces.remove(home, "ben", options)],
    ["leave", (options) => spaces.leave(home, options)],
  ];
  const wrong: [unknown, string][] = [
    [1, "options"],
    ["ann", "options"],
    [[], "options"],
    [{ userId: 1 }, "`userId`"],
    [{ userId: "" }, "`userId`"],
    [{ userId: "a\nb" }, "`userId`"],
    [{ user: "ann" }, "`user`"],
    [{ ["__proto__"]: "ann" }, "`__proto__`"],
    [{ get userId() { throw new Error("thrown by a getter"); } }, "thrown by a getter"],
    [new Proxy({}, { ownKeys() { throw new Error("thrown by a proxy"); } }), "thrown by a proxy"],
  ];
  for (const [call, act] of calls) {
    for (const [options, word] of wrong) {
      try {
        await refused(act(options as never) as Promise<unknown>, "invalidArgument", word);
      } catch (cause) {
        throw new Error(`${call}, ${word}: ${(cause as Error).message}`);
      }
    }
  }
  equal(await spaces.list(), [{ spaceId: home, role: "owner", name: "Home" }]);

  // A getter that answers twice is asked once; a proxy is no different from what it is around.
  let asked = 0;
  const twice = { get spaceId() { return ++asked === 1 ? home : STRANGE; } };
  equal([(await tasks.create({ title: "x" }, twice)).spaceId, asked], [home, 1]);
  const reads: string[] = [];
  const around = new Proxy({ spaceId: home }, { get: (target, key) => (reads.push(String(key)), Reflect.get(target, key)) });
  equal([(await tasks.readAll(around)).length, reads], [1, ["spaceId"]]);
  equal((await tasks.readAll(new Proxy({ spaceId: null }, {}))).length, 0);
  // What is inherited says nothing.
  equal((await tasks.readAll(Object.create({ spaceId: STRANGE }))).length, 1);
  const inherited = Object.prototype as { spaceId?: string };
  inherited.spaceId = STRANGE;
  try {
    equal([(await tasks.readAll({})).length, "spaceId" in JSON.parse(JSON.stringify(await tasks.create({ title: "own" })))], [1, true]);
    equal((await tasks.readAll({})).map((task) => Object.hasOwn(task, "spaceId")).sort(), [false, true]);
  } finally {
    delete inherited.spaceId;
  }
  await a.close();
}
