// The app's middleware around its entities.
import type { Conflict, ConflictResolver, Middleware, Resolution, RemoteAdapter, SyncOptions } from "datum-sync";
import type { Story, Task, TaskConfig } from "./story.ts";

/** The settings of a device whose tasks have this configuration. */
const tasks = (config: TaskConfig) => ({ entities: { tasks: config } });

/** Runs, and returns what was logged as an error meanwhile. */
async function complaintsOf(run: () => Promise<void>): Promise<any[][]> {
  const complaints: any[][] = [];
  const report = console.error;
  console.error = (...words) => complaints.push(words);
  try {
    await run();
  } finally {
    console.error = report;
  }
  return complaints;
}

/** Middleware that appends a letter to titles. */
const mark = (letter: string): Middleware<Task> => ({
  beforeSave: (e) => ({ ...e, title: e.title + letter }),
  afterRead(e) {
    if (!e.title.endsWith(letter)) throw new Error(`${e.title} does not end with ${letter}`);
    e.title = e.title.slice(0, -1);
    return e;
  },
});

/** Encrypts, and decrypts what it has encrypted. */
const turn = (text: string) => [...text].map((c) => String.fromCharCode(c.charCodeAt(0) ^ 1)).join("");

/** Middleware of two devices that keep titles and numbers from the server. */
const cipher: Middleware<Task> = {
  beforeSave({ title, n, ...rest }) {
    return { ...rest, box: turn(JSON.stringify({ title, n })) };
  },
  afterRead({ box, ...rest }) {
    return { ...rest, ...JSON.parse(turn(box)) };
  },
};

export async function saving_goes_down_the_chain_and_reading_comes_back_up({ open, equal }: Story) {
  const a = await open("a", tasks({ ...mark("1"), middleware: [mark("2"), mark("3")] }));
  const t = a.manager<Task>("tasks");
  const titles = (all: readonly Task[]) => all.map((e) => e.title);
  const one = await t.create({ title: "milk" });
  equal(one.title, "milk");
  const updated = await t.update({ ...one, title: "tea" });
  const patched = await t.patch(one.id, { title: "salt" });
  equal([updated.title, patched.title], ["tea", "salt"]);
  const many = await t.createMany([{ id: "x", title: "x" }, { id: "y", title: "y" }]);
  equal([titles(many), titles(await t.updateMany(many))], [["x", "y"], ["x", "y"]]);
  equal((await t.read(one.id))!.title, "salt");
  equal(titles(await t.readAll()), ["salt", "x", "y"]);
  equal(titles((await t.readPage({})).items), ["salt", "x", "y"]);
  const both = await t.pushAndSync({ id: "z", title: "z" });
  equal([both.entity.title, both.result.isSuccess], ["z", true]);
  if (![one, many[0], await t.read(one.id)].every(Object.isFrozen)) throw new Error("not frozen");
  await a.close();
  const plain = await open("a");
  equal(titles(await plain.manager<Task>("tasks").readAll()), ["salt123", "x123", "y123", "z123"]);
  await plain.close();
}

export async function what_validate_throws_refuses_the_write_and_is_its_cause(
  { open, user, equal, refused }: Story,
) {
  const seen: Readonly<Task>[] = [];
  const thrown = new TypeError("no title");
  const strict: Middleware<Task> = {
    validate(e) {
      seen.push(e);
      if (e.title === "bad") throw thrown;
    },
  };
  const stricter: Middleware<Task> = {
    validate(e) {
      if (e.title === "worse") throw "a word";
    },
  };
  const a = await open("a", tasks({ ...strict, middleware: [stricter] }));
  const t = a.manager<Task>("tasks");
  const one = await t.create({ title: "good", n: 1 });
  equal(seen.pop(), { title: "good", n: 1 });
  const bad = { ...one, title: "bad" };
  const writes = [
    () => t.create({ title: "bad" }),
    () => t.createMany([{ title: "good" }, { title: "bad" }]),
    () => t.update(bad),
    () => t.updateMany([{ ...one, title: "better" }, bad]),
    () => t.patch(one.id, { title: "bad" }),
    () => t.patchMany([{ id: one.id, changes: { n: 2 } }, { id: one.id, changes: { title: "bad" } }]),
    () => t.pushAndSync({ title: "bad" }),
  ];
  const words = "`entities.tasks.validate` refused the entity: no title";
  for (const write of writes) {
    const error = await refused(write(), "invalidEntity", words);
    if (error.cause !== thrown || error.entity !== "tasks" || !(error instanceof Error)) throw error;
  }
  const worse = await refused(t.create({ title: "worse" }), "invalidEntity", "middleware[0].validate");
  equal(worse.cause, "a word");
  equal([await t.count(), await a.pendingCount(user), (await t.read(one.id))!.title], [1, 1, "good"]);
  seen.length = 0;
  await t.patch(one.id, { n: 2 });
  const { title, n, id, version, isDeleted } = seen[0];
  equal([title, n, id, version, isDeleted], ["good", 2, one.id, 0, false]);
  const draft = { title: "x", list: [1] };
  const changing: Middleware<Task> = {
    validate(e) {
      try {
        e.list.push(2);
      } catch {
        return;
      }
      throw new Error("it could be changed");
    },
  };
  const b = await open("b", tasks(changing));
  equal((await b.manager<Task>("tasks").create(draft)).list, [1]);
  if (Object.isFrozen(draft)) throw new Error("the draft of the app was frozen");
  await refused(t.patch("nobody", { title: "x" }), "notFound");
  await refused(t.patch(one.id, { id: "other" } as never), "invalidEntity", "`id`");
  await refused(t.create(null as never), "invalidEntity", "The draft must be an object");
  await refused(t.create({ n: 1n }), "invalidEntity", "BigInt");
  await refused(t.createMany({} as never), "invalidEntity", "array");
  await refused(t.createMany([{ title: "x" }, 7 as never]), "invalidEntity", "[1]");
  await a.close();
  await b.close();
}

export async function a_before_save_that_fails_writes_nothing_and_says_what_to_do({ open, equal, refused }: Story) {
  const thrown = new Error("no key");
  const answers: Record<string, (e: Task) => any> = {
    none: (e) => e,
    throws() {
      throw thrown;
    },
    promise: async (e) => e,
    nothing() {},
    text: () => "x",
    list: () => [],
    big: (e) => ({ ...e, n: 1n }),
    async rejects() {
      throw thrown;
    },
  };
  let kind = "none";
  const a = await open("a", tasks({ beforeSave: (e: Task) => answers[kind](e) }));
  const t = a.manager<Task>("tasks");
  const one = await t.create({ title: "milk" });
  const writes = [
    () => t.create({ title: "x" }),
    () => t.createMany([{ title: "x" }]),
    () => t.update(one),
    () => t.patch(one.id, { title: "x" }),
  ];
  for (const [next, word] of [
    ["throws", "threw: no key"],
    ["promise", "synchronous"],
    ["nothing", "returned undefined"],
    ["text", "returned a string"],
    ["list", "returned an array"],
    ["big", "What `entities.tasks.beforeSave` returned: `n` is a BigInt"],
    ["rejects", "synchronous"],
  ]) {
    kind = next;
    for (const write of writes) {
      const error = await refused(write(), "invalidEntity", word);
      if (next === "throws" && error.cause !== thrown) throw error;
    }
  }
  kind = "none";
  equal([await t.count(), (await t.read(one.id))!.title], [1, "milk"]);
  await a.close();
}

export async function one_entity_that_cannot_be_read_hides_no_other({ open, equal, refused }: Story) {
  const plain = await open("a");
  await plain.manager("tasks").createMany(["a", "b", "c", "d"].map((id) => ({ id, title: id })));
  await plain.close();
  let answer: (e: Task) => unknown = () => {
    throw new Error("bad key");
  };
  const shouting: Middleware<Task> = {
    beforeSave: (e) => e,
    afterRead(e) {
      if (e.id === "b") {
        e.title = "half done";
        return answer(e) as Task;
      }
      e.title = e.title.toUpperCase();
      return e;
    },
  };
  const a = await open("a", tasks(shouting));
  const t = a.manager<Task>("tasks");
  const complaints = await complaintsOf(async () => {
    equal((await t.readAll()).map((e) => e.title), ["A", "b", "C", "D"]);
    equal((await t.readAll()).map((e) => e.title), ["A", "b", "C", "D"]);
    equal((await t.read("b"))!.title, "b");
  });
  const error = complaints[0][1];
  equal(
    [complaints.length, error.code, error.entityId, error.cause.message],
    [1, "invalidEntity", "b", "bad key"],
  );
  if (!error.message.includes("`entities.tasks.afterRead` threw: bad key")) throw error;
  if (!Object.isFrozen((await t.readAll())[1])) throw new Error("not frozen");
  // What is only as it is stored must not be saved once more.
  await refused(t.patch("b", { n: 1 }), "invalidEntity", "afterRead");
  equal((await t.patch("a", { n: 1 })).n, 1);
  for (answer of [async (e: Task) => e, () => {}, () => null, () => 7]) equal((await t.read("b"))!.title, "b");
  await a.close();
}

export async function what_the_engine_owns_no_middleware_changes({ open, equal }: Story) {
  const times = { createdAt: "never", modifiedAt: "never" };
  const lies = { id: "other", userId: "bob", version: 99, isDeleted: true, ...times };
  const lying: Middleware<Task> = {
    beforeSave: (e) => ({ ...e, ...lies, n: 1 }),
    afterRead: (e) => Object.freeze({ ...e, ...lies, m: 2 }),
  };
  const a = await open("a", tasks(lying));
  const t = a.manager<Task>("tasks");
  const own = (e: Task) => [e.userId, e.version, e.isDeleted, e.createdAt.length, e.modifiedAt.length, e.n, e.m];
  const one = await t.create({ title: "x" });
  equal([own(one), one.id === "other"], [["ann", 0, false, 24, 24, 1, 2], false]);
  const updated = await t.update({ ...one, title: "y" });
  const patched = await t.patch(one.id, { title: "z" });
  for (const e of [updated, patched, (await t.read(one.id))!]) equal([e.id, own(e)], [one.id, own(one)]);
  equal((await t.create({ id: "mine", title: "x" })).id, "mine");
  equal([await t.count(), await t.exists("other")], [2, false]);
  await a.close();
}

export async function a_patch_sends_the_fields_whose_stored_value_differs({ open, user, equal }: Story) {
  const sent: { kind: string; data?: any }[] = [];
  const remote: RemoteAdapter = {
    pull: async () => ({ changes: [], cursor: "1", more: false }),
    async push({ operations }) {
      sent.push(...operations);
      return { results: operations.map(({ opId }) => ({ opId, status: "applied", version: sent.length })) };
    },
  };
  const joining: Middleware<Task> = {
    beforeSave({ title, tags, ...e }) {
      const joined = tags.length ? { joined: tags.join() } : {};
      return { ...e, title: title.toLowerCase(), count: tags.length, ...joined };
    },
    afterRead({ joined, count, ...e }) {
      return { ...e, tags: joined ? joined.split(",") : [] } as unknown as Task;
    },
  };
  const a = await open("a", { remote, ...tasks(joining) });
  const t = a.manager<Task>("tasks");
  const push = () => a.synchronize(user, { direction: "pushOnly" });
  const one = await t.create({ title: "MILK", tags: ["a"], other: 1 });
  equal([one.title, one.tags], ["milk", ["a"]]);
  await push();
  const two = await t.patch(one.id, { tags: ["a", "b"] });
  equal([two.tags, two.title], [["a", "b"], "milk"]);
  await push();
  const patch = sent.at(-1)!;
  equal([patch.kind, Object.keys(patch.data).sort().join()], ["patch", "count,joined,modifiedAt"]);
  // A patch can take no field away: then the whole entity is written.
  equal((await t.patch(one.id, { tags: [] })).tags, []);
  await push();
  const { kind, data } = sent.at(-1)!;
  equal([kind, data.joined, data.count, data.other], ["update", undefined, 0, 1]);
  await a.close();
}

export async function values_that_are_no_json_pass_through_middleware_that_makes_them(
  { open, equal, refused }: Story,
) {
  class Due {
    declare due: Date;
    constructor(fields: object) {
      Object.assign(this, fields);
    }
    get isDue() {
      return this.due < new Date();
    }
  }
  const dates: Middleware<Task> = {
    validate(e) {
      if (!(e.due instanceof Date)) throw new Error("no date");
    },
    beforeSave: (e) => ({ ...e, due: e.due.getTime() }),
    afterRead: (e) => new Due({ ...e, due: new Date(e.due) }) as unknown as Task,
  };
  const a = await open("a", tasks(dates));
  const t = a.manager<Task>("tasks");
  const one = await t.create({ title: "x", due: new Date(5) });
  const next = await t.patch(one.id, { due: new Date(7) });
  equal([one instanceof Due, one.isDue, Object.isFrozen(one), next.due.getTime()], [true, true, true, 7]);
  equal((await t.patch(one.id, { title: "y" })).due.getTime(), 7);
  equal((await t.update({ ...next, title: "z" })).title, "z");
  const round: { self?: object } = {};
  round.self = round;
  await refused(t.create({ due: new Date(1), round }), "invalidEntity", "itself");
  await a.close();
}

export async function two_devices_share_what_the_server_cannot_read({ open, user, equal }: Story) {
  const a = await open("a", tasks(cipher));
  const b = await open("b", tasks({ middleware: [cipher] }));
  const blind = await open("c");
  const ta = a.manager<Task>("tasks");
  const tb = b.manager<Task>("tasks");
  const tc = blind.manager<Task>("tasks");
  const one = await ta.create({ title: "secret", n: 1, open: true });
  for (const device of [a, b, blind]) await device.synchronize(user);
  const read = (await tb.read(one.id))!;
  equal([read.title, read.n, read.open, "box" in read], ["secret", 1, true, false]);
  const seen = (await tc.read(one.id))!;
  equal(["title" in seen, seen.open, JSON.stringify(seen).includes("secret")], [false, true, false]);
  await tb.patch(one.id, { n: 2 });
  await b.synchronize(user);
  await a.synchronize(user);
  equal([(await ta.read(one.id))!.n, (await ta.readAll())[0].title], [2, "secret"]);
  // A device without the key shows what is stored, and spoils nothing.
  await tc.patch(one.id, { open: false });
  await blind.synchronize(user);
  await a.synchronize(user);
  const { title, open: isOpen } = (await ta.read(one.id))!;
  equal([title, isOpen], ["secret", false]);
  for (const device of [a, b, blind]) await device.close();
}

export async function a_resolver_sees_and_answers_what_the_app_knows({ open, user, equal }: Story) {
  const asked: Conflict<Task>[] = [];
  const resolver = (conflict: Conflict<Task>): Resolution<Task> => {
    asked.push(conflict);
    const { local, remote } = conflict;
    return { take: "merged", data: { ...remote!, title: `${local!.title} and ${remote!.title}` } };
  };
  const a = await open("a", tasks(cipher));
  const b = await open("b", tasks({ ...cipher, conflictResolver: resolver }));
  const c = await open("c", { ...tasks(cipher), defaultConflictResolver: resolver });
  const there = a.manager<Task>("tasks");
  const { id } = await there.create({ title: "milk", n: 1 });
  for (const device of [a, b, c]) await device.synchronize(user);
  const ofCall: SyncOptions = { conflictResolver: resolver as ConflictResolver<any> };
  for (const [device, options] of [[b, undefined], [c, undefined], [b, ofCall]] as const) {
    const here = device.manager<Task>("tasks");
    await a.synchronize(user);
    await device.synchronize(user);
    await there.patch(id, { title: "theirs" });
    await a.synchronize(user);
    const before = (await here.read(id))!.title;
    await here.patch(id, { title: "mine" });
    const result = await device.synchronize(user, options);
    const { base, local, remote } = asked.pop()!;
    equal([result.conflictsResolved, base!.title], [1, before]);
    equal([local!.title, remote!.title], ["mine", "theirs"]);
    equal([Object.isFrozen(remote), "box" in local!], [true, false]);
    equal((await here.read(id))!.title, "mine and theirs");
    await a.synchronize(user);
    equal((await there.read(id))!.title, "mine and theirs");
  }
  for (const device of [a, b, c]) await device.close();
}

export async function a_parked_conflict_is_seen_and_decided_as_the_app_knows_it({ open, user, equal }: Story) {
  const a = await open("a", tasks(cipher));
  const b = await open("b", tasks({ ...cipher, localOnly: ["draft"], conflictResolver: "ask" }));
  const [here, there] = [b.manager<Task>("tasks"), a.manager<Task>("tasks")];
  const { id } = await there.create({ title: "milk", n: 1 });
  await a.synchronize(user);
  await b.synchronize(user);
  await there.patch(id, { title: "theirs" });
  await a.synchronize(user);
  await here.patch(id, { title: "mine", draft: "kept" });
  await b.synchronize(user);
  const [conflict] = await b.conflicts(user);
  const { base, local, remote } = conflict;
  equal([base!.title, local!.title, remote!.title], ["milk", "mine", "theirs"]);
  equal(["box" in local!, Object.isFrozen(remote)], [false, true]);
  const data = { ...remote, title: "both", draft: "sent" };
  await b.resolveConflict(conflict.id, { take: "merged", data });
  await b.synchronize(user);
  await a.synchronize(user);
  const decided = (await there.read(id))!;
  equal([decided.title, "draft" in decided, (await here.read(id))!.draft], ["both", false, "kept"]);
  await a.close();
  await b.close();
}

export async function a_watch_gives_what_a_read_gives({ open, equal }: Story) {
  const a = await open("a", tasks(cipher));
  const t = a.manager<Task>("tasks");
  const one = await t.create({ title: "milk", n: 1 });
  await t.create({ title: "tea", n: 2 });
  const all = t.watchAll()[Symbol.asyncIterator]();
  const single = t.watchById(one.id)[Symbol.asyncIterator]();
  const none = t.watchById("nobody")[Symbol.asyncIterator]();
  const before: Task[] = (await all.next()).value;
  const first = (await single.next()).value;
  equal([before.map((e) => e.title), first.title, (await none.next()).value], [["milk", "tea"], "milk", null]);
  await t.patch(one.id, { n: 3 });
  const after: Task[] = (await all.next()).value;
  equal([after.map((e) => e.n), (await single.next()).value.n], [[3, 2], 3]);
  equal([after[1] === before[1], Object.isFrozen(after[0])], [true, true]);
  for (const loop of [all, single, none]) await loop.return!();
  await a.close();
}

export async function a_config_that_is_wrong_is_refused({ open, equal, refused }: Story) {
  const hostile = {
    get validate() {
      throw new Error("hostile");
    },
  };
  const configs: [unknown, string][] = [
    [{ validate: 1 }, "`entities.tasks.validate` must be a function"],
    [{ beforeSave: {} }, "beforeSave"],
    [{ afterRead: "x" }, "afterRead"],
    [{ middleware: {} }, "`entities.tasks.middleware` must be an array"],
    [{ middleware: [{}] }, "middleware[0]"],
    [{ middleware: [null] }, "middleware[0]"],
    [{ middleware: [{ afterRead() {} }, { validate: 7 }] }, "middleware[1].validate"],
    [{ middleware: [hostile] }, "hostile"],
    [{ localOnly: ["id"] }, "localOnly"],
    [{ localOnly: [""] }, "localOnly"],
    [{ localOnly: "x" }, "localOnly"],
  ];
  for (const [config, word] of configs) await refused(open("a", tasks(config as never)), "invalidConfig", word);
  const a = await open("a", tasks({ middleware: [], validate: undefined, beforeSave: null } as never));
  equal((await a.manager("tasks").create({ title: "x" })).title, "x");
  await a.close();
}

export async function fields_that_stay_here_pass_through_middleware_like_all_others({ open, user, equal }: Story) {
  const turned = (e: Task) => ({ ...e, draft: turn(e.draft ?? "") });
  const a = await open("a", tasks({ localOnly: ["draft"], beforeSave: turned, afterRead: turned }));
  const b = await open("b");
  const t = a.manager<Task>("tasks");
  const one = await t.create({ title: "milk", draft: "mine" });
  await a.synchronize(user);
  const patched = await t.patch(one.id, { draft: "still mine" });
  equal([patched.draft, await a.pendingCount(user)], ["still mine", 0]);
  await b.synchronize(user);
  const elsewhere = (await b.manager("tasks").read(one.id))!;
  equal([(await t.read(one.id))!.draft, "draft" in elsewhere], ["still mine", false]);
  await a.close();
  await b.close();
}
