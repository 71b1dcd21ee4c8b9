// Conflicts as an app sees them: fields merged by policy, explanations, and resolvers that fail.
import type { Conflict, Datum, DatumErrorCode, FieldPolicy, Manager } from "datum-sync";
import type { Story, Task, TaskConfig } from "./story.ts";

/** The settings of a device whose tasks have this configuration. */
const tasks = (config: TaskConfig) => ({ entities: { tasks: config } });

/** Creates the task `t`, and changes it on both devices. Returns the tasks of `b`, which has not synced. */
async function clash(a: Datum, b: Datum, base: object, theirs: object, mine: object): Promise<Manager<Task>> {
  const [there, here] = [a.manager<Task>("tasks"), b.manager<Task>("tasks")];
  const user = a.currentUserId!;
  await there.create({ id: "t", ...base });
  await a.synchronize(user);
  await b.synchronize(user);
  await there.patch("t", theirs);
  await a.synchronize(user);
  await here.patch("t", mine);
  return here;
}

export async function fields_are_merged_by_policy_and_the_app_can_ask_why({ open, user, equal, refused }: Story) {
  const policies: Record<string, FieldPolicy> = {
    votes: "sum",
    price: "sum",
    tags: "union",
    due: "min",
    text: "text",
    "place.city": "remote",
  };
  const config = tasks({ mergeFields: policies });
  const [a, b] = [await open("a", config), await open("b", config)];
  const t = await clash(
    a,
    b,
    {
      title: "milk",
      votes: 1,
      price: 0.1,
      tags: ["x"],
      due: "2026-03-01T00:00:00Z",
      text: "one two",
      place: { city: "Bonn", floor: 1 },
    },
    {
      title: "tea",
      votes: 2,
      price: 0.2,
      tags: ["x", "y"],
      due: "2026-02-01T00:00:00Z",
      text: "one 2",
      place: { city: "Rom", floor: 1 },
    },
    {
      title: "salt",
      votes: 2,
      price: 0.3,
      tags: [],
      due: "2026-02-02T00:00:00Z",
      text: "one two three",
      place: { city: "Kiel", floor: 2 },
    },
  );
  const next = b.events({ type: "conflictResolved" })[Symbol.asyncIterator]().next();
  const result = await b.synchronize(user);
  equal([result.isSuccess, result.conflictsResolved], [true, 1]);
  const { title, votes, price, tags, due, text, place } = (await t.read("t"))!;
  equal(
    { title, votes, price, tags, due, text, place },
    {
      title: "salt",
      votes: 3,
      price: 0.4,
      tags: ["y"],
      due: "2026-02-01T00:00:00Z",
      text: "one 2 three",
      place: { city: "Rom", floor: 2 },
    },
  );
  await a.synchronize(user);
  equal((await a.manager("tasks").read("t"))!.price, 0.4);
  const all = await b.explainMerge("tasks", "t");
  equal([all.length, all[0].resolver, all[0].entity, all[0].entityId], [1, "merge", "tasks", "t"]);
  const by = Object.fromEntries(all[0].fields.map((field) => [field.field, field]));
  equal([by.votes.base, by.votes.local, by.votes.remote, by.votes.taken], [1, 2, 2, "merged"]);
  equal(
    [by["place.city"].taken, by["place.floor"].because, by.title.because],
    ["remote", "Only this device changed it.", "Both sides changed it: the later write, here, was taken."],
  );
  if (!Object.isFrozen(all) || !Object.isFrozen(by.votes)) throw new Error("not frozen");
  const { value: event } = await next;
  equal([event.taken, event.explanation], ["merged", all[0]]);
  equal([await b.explainMerge("tasks", "nothing"), await a.explainMerge("tasks", "t")], [[], []]);
  equal((await b.explainMerge("tasks", "t", { userId: "bob" })).length, 0);
  await refused(b.explainMerge("nothing", "t"), "invalidArgument", "nothing");
  await refused(b.explainMerge("tasks", 7 as never), "invalidArgument", "`id`");
  await refused(b.explainMerge("tasks", "t", { user: "ann" } as never), "invalidArgument", "userId");
  await b.close();
  const again = await open("b", config);
  equal(await again.explainMerge("tasks", "t"), all);
  await again.clearUserData(user);
  equal(await again.explainMerge("tasks", "t"), []);
  await a.close();
  await again.close();
}

export async function policies_that_cannot_be_are_refused({ open, refused }: Story) {
  const wrong: [unknown, string][] = [
    [{ votes: "add" }, "`entities.tasks.mergeFields.votes` must be one of"],
    [{ votes: 1 }, "mergeFields.votes"],
    [{ version: "max" }, "mergeFields.version"],
    [{ "id.x": "max" }, "mergeFields.id.x"],
    [{ "a..b": "max" }, "`address.city`"],
    [{ draft: "text" }, "`localOnly`"],
    [[], "mergeFields"],
    ["sum", "mergeFields"],
  ];
  for (const [mergeFields, word] of wrong) {
    const config = tasks({ localOnly: ["draft"], mergeFields: mergeFields as never });
    await refused(open("a", config), "invalidConfig", word);
  }
  await refused(open("a", { resolverTimeout: 0 }), "invalidConfig", "`resolverTimeout`");
  await (await open("a", tasks({ mergeFields: null, localOnly: ["draft"] } as never))).close();
}

type Answer = (conflict: Conflict<Task>) => unknown;

/** Resolvers that fail, with the code and a word of the error. */
const FAILING: [Answer, DatumErrorCode, string][] = [
  [() => new Promise(() => {}), "timeout", "`resolverTimeout`"],
  [
    () => {
      throw new Error("no");
    },
    "conflict",
    "threw",
  ],
  [
    async () => {
      throw new Error("no");
    },
    "conflict",
    "rejected",
  ],
  [() => undefined, "conflict", "take"],
  [() => ({ take: "mine" }), "conflict", "take"],
  [() => ({ take: "merged", data: 7 }), "invalidEntity", "object"],
  [() => ({ take: "merged", data: { n: 1n } }), "invalidEntity", "BigInt"],
  [({ local }) => ({ take: "merged", data: { ...local, id: "other" } }), "invalidEntity", "`id`"],
];

export async function a_resolver_that_fails_parks_the_conflict_and_is_asked_again({ open, user, equal }: Story) {
  let answer: Answer;
  let asked = 0;
  const conflictResolver = (conflict: Conflict<Task>) => {
    asked += 1;
    return answer(conflict) as never;
  };
  const settings = { ...tasks({ conflictResolver }), resolverTimeout: 50 };
  for (const [failing, code, word] of FAILING) {
    const [a, b] = [await open("a"), await open("b", settings)];
    const t = await clash(a, b, { title: "milk" }, { title: "theirs" }, { title: "mine" });
    await t.create({ title: "tea" });
    [answer, asked] = [failing, 0];
    const first = await b.synchronize(user);
    equal([first.isSuccess, first.error!.code, first.error!.entityId], [false, code, "t"]);
    equal([first.conflictsDetected, first.conflictsResolved, first.pushedCount, asked], [1, 0, 1, 1]);
    if (!first.error!.message.includes(word)) throw new Error(first.error!.message);
    const status = b.statusForUser(user).current;
    equal([status.unresolvedConflicts, status.errors.length], [1, 1]);
    equal((await b.getSyncMetadata(user))!.conflictCount, 1);
    equal([(await t.read("t"))!.title, (await b.explainMerge("tasks", "t")).length], ["mine", 0]);
    answer = ({ local, remote }) => ({
      take: "merged",
      data: { ...local, title: `${remote!.title} and ${local!.title}` },
    });
    const second = await b.synchronize(user);
    equal([second.isSuccess, second.conflictsResolved, asked], [true, 1, 2]);
    equal([(await b.conflicts(user)).length, (await t.read("t"))!.title], [0, "theirs and mine"]);
    const [{ resolver, fields }] = await b.explainMerge("tasks", "t");
    equal([resolver, fields.map((field) => [field.field, field.taken])], ["function", [["title", "merged"]]]);
    await clear(a, b);
  }
}

/** Removes everything from both devices and the server, and closes the devices. */
async function clear(a: Datum, b: Datum) {
  const user = a.currentUserId!;
  const tasks = a.manager("tasks");
  await a.clearUserData(user);
  await b.clearUserData(user);
  await tasks.delete("t");
  await a.synchronize(user);
  await tasks.deleteMany((await tasks.readAll()).map((task) => task.id));
  await a.synchronize(user);
  await a.close();
  await b.close();
}

export async function aborting_stops_a_cycle_whose_resolver_hangs({ open, user, equal }: Story) {
  let entered = () => {};
  const inside = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const conflictResolver = () => {
    entered();
    return new Promise<never>(() => {});
  };
  const [a, b] = [await open("a"), await open("b", tasks({ conflictResolver }))];
  await clash(a, b, { title: "milk" }, { title: "theirs" }, { title: "mine" });
  const controller = new AbortController();
  const cycle = b.synchronize(user, { signal: controller.signal });
  await inside;
  controller.abort();
  equal((await cycle).wasCancelled, true);
  equal([(await b.conflicts(user)).length, await b.pendingCount(user)], [0, 1]);
  const retried = await b.synchronize(user, { conflictResolver: () => ({ take: "remote" }) });
  equal(retried.isSuccess, true);
  equal(await b.pendingCount(user), 0);
  await a.close();
  await b.close();
}
