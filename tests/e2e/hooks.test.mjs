// What the hooks for all frameworks share: each watch once, one user at a time, and nothing after the end.
import assert from "node:assert/strict";
import { before, test } from "./lib/test.mjs";
import { FakeDatum, rest } from "./lib/fake-datum.mjs";
import { load } from "./lib/hooks.mjs";

let core;
before(async () => {
  core = await load(`
    export { connectionOf } from "../../src/js/hooks/connection.ts";
    export { reader, isEqual } from "../../src/js/hooks/state.ts";
    export * from "../../src/js/hooks/topics.ts";
    export { LINGER_MS } from "../../src/js/hooks/watch.ts";
    export { DatumError } from "datum-sync";
  `);
});

/** Subscribes as a component does: `seen` has what it shows after each call. */
function component(connection, topic) {
  const seen = [];
  const stop = connection.subscribe(topic, () => seen.push(connection.snapshot(topic).data));
  return { seen, stop, now: () => connection.snapshot(topic) };
}

const tasks = () => core.queryTopic("tasks");
const A = [{ id: "1", title: "a" }];
const B = [{ id: "1", title: "a" }, { id: "2", title: "b" }];

test("two components with the same query share one watch, however the query was written", async () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const query = () => core.queryTopic("tasks", { where: { field: "done", equals: false } });
  const first = component(connection, query());
  const second = component(connection, query());
  // A builder is the query that it builds, and a manager is its type.
  const third = component(connection, core.queryTopic(datum.manager("tasks"), { toJSON: () => ({ where: { field: "done", equals: false } }) }));
  const other = component(connection, core.queryTopic("tasks", { where: { field: "done", equals: true } }));
  assert.deepEqual(datum.calls, [
    ["watchQuery", "tasks", { where: { field: "done", equals: false } }, { userId: "ada" }],
    ["watchQuery", "tasks", { where: { field: "done", equals: true } }, { userId: "ada" }],
  ]);
  datum.feed(...datum.calls[0]).give(A);
  await rest();
  assert.deepEqual([first.seen, second.seen, third.seen, other.seen], [[A], [A], [A], []]);
  assert.equal(first.now(), third.now(), "they read the same snapshot");
});

test("a query and a list get the options that they take", () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const options = { includeDeleted: true, spaceId: null };
  for (const [query, more] of [[undefined, {}], [{ limit: 1 }, {}], [null, { withSyncState: true }], [undefined, { with: ["project"] }], [{ limit: 1 }, { with: ["project"] }]]) component(connection, core.queryTopic("tasks", query, { ...options, ...more, select: () => 1, userId: undefined }));
  assert.deepEqual(datum.calls, [
    ["watchAll", "tasks", { spaceId: null, includeDeleted: true, userId: "ada" }],
    ["watchQuery", "tasks", { includeDeleted: true, limit: 1 }, { spaceId: null, userId: "ada" }],
    ["watchQuery", "tasks", { includeDeleted: true }, { spaceId: null, withSyncState: true, userId: "ada" }],
    ["watchAll", "tasks", { spaceId: null, includeDeleted: true, with: ["project"], userId: "ada" }],
    ["watchQuery", "tasks", { includeDeleted: true, with: ["project"], limit: 1 }, { spaceId: null, userId: "ada" }],
  ]);
});

test("an entity gets the options that it takes, and one with its sync state is another topic", () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  for (const options of [undefined, { withSyncState: true, spaceId: null, select: () => 1 }, { with: ["project.owner"] }]) component(connection, core.entityTopic("tasks", "a", options));
  assert.deepEqual(datum.calls, [
    ["watchById", "tasks", "a", { userId: "ada" }],
    ["watchById", "tasks", "a", { spaceId: null, withSyncState: true, userId: "ada" }],
    ["watchById", "tasks", "a", { with: ["project.owner"], userId: "ada" }],
  ]);
});

test("a watch goes on while a component is mounted again, and ends a while after the last one", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  component(connection, tasks()).stop();
  const again = component(connection, tasks());
  t.mock.timers.tick(core.LINGER_MS * 2);
  assert.deepEqual([datum.calls.length, datum.all("tasks").open, datum.users.open], [1, 1, 1]);
  again.stop();
  t.mock.timers.tick(core.LINGER_MS - 1);
  assert.equal(datum.all("tasks").open, 1);
  t.mock.timers.tick(1);
  assert.equal(datum.all("tasks").open, 0);
  t.mock.timers.tick(core.LINGER_MS);
  assert.equal(datum.users.open, 0, "the user is not followed for nobody");
});

test("a component that has gone hears nothing, also if its first value is under way", async () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const gone = component(connection, tasks());
  const stays = component(connection, tasks());
  gone.stop();
  gone.stop();
  datum.all("tasks").give(A);
  await rest();
  assert.deepEqual([gone.seen, stays.seen], [[], [A]]);
});

test("without an instance everything loads, and begins when there is one", async () => {
  const datum = new FakeDatum();
  let open;
  const connection = core.connectionOf(new Promise((resolve) => (open = resolve)));
  const list = component(connection, tasks());
  assert.deepEqual(list.now(), { data: undefined, error: undefined, isLoading: true });
  open(datum);
  datum.all("tasks").give(A);
  await rest();
  assert.deepEqual(list.now(), { data: A, error: undefined, isLoading: false });
  const nothing = component(core.connectionOf(undefined), tasks());
  assert.equal(nothing.now().isLoading, true);
});

test("an instance that does not open is everybody's error", async () => {
  const refused = new core.DatumError("storageUnavailable", "no storage");
  const connection = core.connectionOf(Promise.reject(refused));
  const list = component(connection, tasks());
  await rest();
  assert.equal(list.now().error, refused);
  const plain = component(core.connectionOf(Promise.reject(new TypeError("nothing"))), core.statusTopic());
  await rest();
  assert.deepEqual([plain.now().error.code, plain.now().error.message, plain.now().isLoading], ["notInitialized", "nothing", false]);
});

test("when the user changes, nobody sees the rows of one beside the name of the other", async () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const seen = [];
  const look = () => seen.push([connection.snapshot(core.CURRENT_USER).data, connection.snapshot(tasks()).data?.[0]?.title]);
  // The order in which components subscribe decides nothing.
  connection.subscribe(core.CURRENT_USER, look);
  connection.subscribe(tasks(), look);
  datum.all("tasks", "ada").give([{ id: "1", title: "of ada" }]);
  datum.all("tasks", "ben").give([{ id: "1", title: "of ben" }]);
  await rest();
  datum.switchTo("ben");
  await rest();
  datum.all("tasks", "ben").give([{ id: "1", title: "later of ben" }]);
  await rest();
  datum.switchTo(null);
  await rest();
  assert.deepEqual([...new Set(seen.map(String))], ["ada,of ada", "ben,", "ben,of ben", "ben,later of ben", ","]);
  assert.deepEqual(connection.snapshot(tasks()), { data: undefined, error: undefined, isLoading: false }, "nobody is signed in");
  assert.deepEqual([datum.all("tasks", "ada").open, datum.all("tasks", "ben").open], [0, 0]);
  datum.switchTo("ada");
  await rest();
  assert.equal(connection.snapshot(tasks()).data[0].title, "of ada");
});

test("a hook with a user stays with that user", async () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const ben = component(connection, core.queryTopic("tasks", undefined, { userId: "ben" }));
  datum.all("tasks", "ben").give(A);
  await rest();
  datum.switchTo("eve");
  await rest();
  assert.deepEqual([ben.seen, datum.all("tasks", "ben").begun], [[A], 1]);
  // Signed out, and back.
  datum.all("tasks", "ben").end();
  await rest();
  assert.deepEqual(ben.now(), { data: undefined, error: undefined, isLoading: false });
  datum.switchTo("ben");
  await rest();
  assert.deepEqual([ben.now().data, datum.all("tasks", "ben").begun], [A, 2]);
});

test("an instance that is closed leaves what is shown, without an error", async () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const list = component(connection, tasks());
  datum.all("tasks").give(A);
  await rest();
  datum.users.end();
  datum.all("tasks").end();
  await rest();
  assert.deepEqual(list.now(), { data: A, error: undefined, isLoading: false });
});

test("a failure is a value beside the last one, and a later component tries again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const list = component(connection, tasks());
  datum.all("tasks").give(A);
  await rest();
  const corrupt = new core.DatumError("corrupt", "damaged");
  datum.all("tasks").fail(corrupt);
  await rest();
  assert.deepEqual(list.now(), { data: A, error: corrupt, isLoading: false });
  assert.equal(datum.all("tasks").open, 0);
  list.stop();
  t.mock.timers.tick(1);
  const later = component(connection, tasks());
  datum.all("tasks").give(B);
  await rest();
  assert.deepEqual(later.now(), { data: B, error: undefined, isLoading: false });
});

test("what a call throws at once is an error too", async () => {
  const datum = new FakeDatum();
  const refused = new core.DatumError("invalidArgument", "no such type");
  datum.manager = () => {
    throw refused;
  };
  assert.equal(component(core.connectionOf(datum), core.queryTopic("tusks")).now().error, refused);
});

test("a fault in one component keeps nothing from the others", async (t) => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const thrown = [];
  t.mock.method(globalThis, "queueMicrotask", (work) => {
    try {
      work();
    } catch (error) {
      thrown.push(error.message);
    }
  });
  connection.subscribe(tasks(), () => {
    throw new Error("of a component");
  });
  const other = component(connection, tasks());
  datum.all("tasks").give(A);
  await rest();
  assert.deepEqual([other.seen, thrown], [[A], ["of a component"]]);
});

test("a suspended component's watch lasts until its first value, however late that is", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const loaded = connection.load(tasks());
  assert.equal(connection.load(tasks()), loaded, "one promise until then");
  component(connection, tasks()).stop();
  t.mock.timers.tick(core.LINGER_MS * 10);
  datum.all("tasks").give(A);
  await loaded;
  assert.deepEqual(connection.snapshot(tasks()).data, A);
  t.mock.timers.tick(core.LINGER_MS - 1);
  component(connection, tasks());
  t.mock.timers.tick(core.LINGER_MS * 2);
  assert.equal(datum.all("tasks").begun, 1, "the component that appears goes on with it");
});

test("what a suspended component waited for in vain is there until it has been read", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const loaded = connection.load(tasks());
  datum.all("tasks").fail(new core.DatumError("corrupt", "damaged"));
  await loaded;
  t.mock.timers.tick(core.LINGER_MS - 1);
  assert.equal(connection.snapshot(tasks()).error.code, "corrupt");
  connection.touch(tasks());
  t.mock.timers.tick(1);
  assert.deepEqual([connection.snapshot(tasks()).isLoading, datum.all("tasks").begun], [true, 1]);
});

test("the status is there at once, and later only if it differs", async () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  assert.equal(connection.snapshot(core.statusTopic()).data.userId, "ada");
  const status = component(connection, core.statusTopic());
  datum.giveStatus("ada", { pendingOperations: 1 });
  datum.giveStatus("ada", { pendingOperations: 1 });
  datum.giveStatus("ada", { pendingOperations: 2 });
  await rest();
  assert.deepEqual(status.seen.map((status) => status.pendingOperations), [1, 2]);
});

test("one entity is followed, and none without an id", async () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const one = component(connection, core.entityTopic("tasks", "1", { spaceId: "home" }));
  assert.deepEqual(datum.calls, [["watchById", "tasks", "1", { spaceId: "home", userId: "ada" }]]);
  datum.feed(...datum.calls[0]).give(null);
  await rest();
  assert.equal(one.now().data, null);
  const none = component(connection, core.entityTopic("tasks", undefined));
  assert.deepEqual([none.now(), datum.calls.length], [{ data: undefined, error: undefined, isLoading: false }, 1]);
});

test("conflicts and dead letters are read again when there are more, when one is decided, and when an entity in conflict changes", async () => {
  const datum = new FakeDatum();
  const connection = core.connectionOf(datum);
  const conflicts = component(connection, core.conflictsTopic());
  const letters = component(connection, core.deadLettersTopic());
  await rest();
  assert.deepEqual([conflicts.seen, letters.seen], [[[]], [[]]]);
  const changes = datum.feed("events", "ada", "dataChanged");
  assert.equal(changes.open, 0, "nobody pays for the changes of entities while there is no conflict");

  datum.lists.conflicts = [{ id: "c", local: { title: "a" } }];
  datum.feed("events", "ada", ["conflictDetected", "conflictResolved"]).give({ type: "conflictDetected" });
  await rest();
  assert.deepEqual(conflicts.seen.at(-1), datum.lists.conflicts);
  datum.lists.conflicts = [{ id: "c", local: { title: "b" } }];
  changes.give({ type: "dataChanged" });
  await rest();
  assert.equal(conflicts.seen.at(-1)[0].local.title, "b");
  const shown = conflicts.seen.length;
  changes.give({ type: "dataChanged" });
  await rest();
  assert.equal(conflicts.seen.length, shown, "what is the same is not told");
  // Another tab has decided it: only the status says so here.
  datum.lists.conflicts = [];
  datum.giveStatus("ada", { unresolvedConflicts: 1 });
  await rest();
  assert.deepEqual([conflicts.seen.at(-1), changes.open], [[], 0]);

  datum.lists.deadLetters = [{ id: "l" }];
  datum.giveStatus("ada", { deadLetters: 1 });
  await rest();
  assert.deepEqual(letters.seen.at(-1), [{ id: "l" }]);
  const read = datum.reads.deadLetters;
  datum.giveStatus("ada", { deadLetters: 1, pendingOperations: 9 });
  await rest();
  assert.equal(datum.reads.deadLetters, read, "progress alone reads nothing");
});

test("a component that selects gets the same object until what it selects differs", () => {
  const read = core.reader();
  const state = (data) => ({ data, error: undefined, isLoading: false });
  const open = { select: (all) => all.filter(({ done }) => !done) };
  const [a, b, c] = [{ done: false }, { done: true }, { done: false }];
  const first = read(state([a, b]), open);
  assert.deepEqual(first.data, [a]);
  assert.equal(read(state([a, { done: true }]), { select: (all) => all.filter(({ done }) => !done) }), first, "also with a function that is new each time");
  assert.notEqual(read(state([a, b, c]), open), first);
  const count = core.reader();
  assert.equal(count(state([a]), { select: (all) => ({ count: all.length }) }), count(state([c]), { select: (all) => ({ count: all.length }) }));
  assert.ok(!core.isEqual([1], { 0: 1 }) && !core.isEqual({ a: 1 }, { b: 1 }) && !core.isEqual(new Date(0), new Date(0)));
});

test("a promise of the same instance changes nothing, and one of another takes over when it is open", async () => {
  const [datum, other] = [new FakeDatum(), new FakeDatum()];
  const connection = core.connectionOf(datum);
  assert.equal(core.connectionOf(datum), connection);
  const became = [];
  connection.replaceBy(Promise.resolve(datum), (next) => became.push(next));
  await rest();
  assert.deepEqual(became, []);
  const opening = Promise.resolve(other);
  connection.replaceBy(opening, (next) => became.push(next.datum));
  connection.replaceBy(Promise.resolve(other), () => assert.fail("it was forgotten"))();
  assert.deepEqual(became, []);
  await rest();
  assert.deepEqual(became, [other]);
});
