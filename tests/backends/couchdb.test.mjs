// The adapter of docs/couchdb.md over CouchDB's protocol: the conformance kit, devices, lost answers, and databases that others write, replace and replicate.
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { before, test, within } from "../e2e/lib/test.mjs";
import { atEnd } from "./lib/cleanup.mjs";
import { startCouch } from "./lib/couchdb.mjs";
import { documented } from "./lib/documented.mjs";
import { loadPackage } from "./lib/package.mjs";
import { agree, op, pair, push, signal } from "./lib/pair.mjs";

let library, couch, couchRemote, kit;
before(async () => {
  library = await loadPackage();
  couch = await startCouch();
  atEnd(() => couch.stop());
  ({ couchRemote } = await documented(library, "couchdb.md", "couchdb=adapter"));
  kit = await import(pathToFileURL(join(library.installed, "conformance", "index.js")));
});

let people = 0;
/** A new user with a database. */
async function person() {
  const user = `Jörg ${++people}`;
  return { user, database: await couch.database(user), remote: couchRemote({ url: couch.url }) };
}

const pull = ({ user, remote }, cursor = null, more = {}) => remote.pull({ clientId: "d", userId: user, cursor, limit: 100, ...more }, signal);
const failed = (work) => work.then(
  () => assert.fail("it succeeded"),
  (error) => error,
);

test("it passes the conformance kit, but for a field that PouchDB cannot hold", async () => {
  const [a, b] = [await person(), await person()];
  // It drops `__proto__`.
  const report = await kit.checkRemoteAdapter(a.remote, { userId: a.user, other: { userId: b.user }, entity: ["tasks", "lists"], limit: 150_000, without: ["values.keys"] });
  assert.deepEqual([report.failures.map(({ id }) => id), report.stopped, report.rowsLeft], [[], undefined, 0], report.text);
});

test("what another program writes over a write whose answer got lost is shown", async () => {
  const own = await person();
  const [phone] = await pair(library, own.user, () => own.remote);
  const { id } = await phone.tasks.create({ title: "mine", done: false, count: 1 });
  couch.faults.late = ({ path }) => path.endsWith("/_bulk_docs");
  await phone.failure();
  couch.faults.late = () => false;
  const doc = await own.database.get(`tasks/${id}`);
  await own.database.put({ ...doc, data: { ...doc.data, title: "of the program" } });
  await phone.sync();
  assert.equal((await phone.tasks.read(id)).title, "of the program");
});

test("two devices agree", async () => {
  const { user } = await person();
  await agree(await pair(library, user, () => couchRemote({ url: couch.url })), assert);
});

test("an answer that gets lost does nothing twice, on a device too", async () => {
  const own = await person();
  const [phone] = await pair(library, own.user, () => own.remote);
  for (const work of [() => phone.tasks.create({ title: "mine", done: false, count: 1 }), async () => phone.tasks.patch((await phone.tasks.readAll())[0].id, { done: true }), async () => phone.tasks.delete((await phone.tasks.readAll())[0].id)]) {
    await work();
    couch.faults.late = ({ path }) => path.endsWith("/_bulk_docs");
    await phone.failure();
    couch.faults.late = () => false;
    const { update_seq } = await own.database.info();
    const result = await phone.sync();
    assert.deepEqual([await phone.waiting(), result.conflictsResolved ?? 0, (await phone.datum.deadLetters(own.user)).length], [0, 0, 0]);
    assert.equal((await own.database.info()).update_seq, update_seq, "it was written again");
  }
});

test("a push is four requests, however many operations it has; a pull is two", async () => {
  const own = await person();
  await pull(own);
  couch.requests.length = 0;
  await push(own, ...Array.from({ length: 200 }, (_, at) => op("create", `row-${at}`, null, { title: "new" })));
  assert.ok(couch.requests.length <= 4, JSON.stringify(couch.requests));
  couch.requests.length = 0;
  const { changes, more } = await pull(own, null, { limit: 1_000 });
  assert.deepEqual([changes.length, more, couch.requests.length], [200, false, 2]);
});

test("what another program writes arrives; documents that are no rows do not", async () => {
  const own = await person();
  await own.database.put({ _id: "tasks/theirs", data: { title: "theirs", _odd: 1 } });
  await own.database.put({ _id: "_design/views", views: {} });
  await own.database.put({ _id: "settings", dark: true });
  await own.database.put({ _id: "tasks/unfinished" });
  const { changes } = await pull(own);
  assert.deepEqual(changes.map(({ entity, id, data }) => [entity, id, data]), [["tasks", "theirs", { title: "theirs", _odd: 1 }]]);
  const [verdict] = await push(own, op("patch", "theirs", changes[0].version, { title: "ours" }));
  assert.equal(verdict.status, "applied");
  assert.deepEqual((await own.database.get("tasks/theirs")).data, { title: "ours", _odd: 1 });
});

test("a cursor of another user, of a replaced database, or of nobody is 410, and operations of an earlier epoch wait", async () => {
  const [own, other] = [await person(), await person()];
  await push(own, op("create", "a", null, { title: "a" }));
  const { cursor, epoch } = await pull(own);
  for (const wrong of ["", "7", "[]", "{}", "[1,2,3]", (await pull(other)).cursor]) assert.equal((await failed(pull(own, wrong))).status, 410, wrong);
  await own.database.remove(await own.database.get("_local/datum-sync"));
  assert.equal((await failed(pull(own, cursor))).status, 410);
  const late = await own.remote.push({ clientId: "d", userId: own.user, epoch, operations: [op("create", "b", null, {})] }, signal);
  assert.deepEqual([late.results[0].code, late.epoch === (await pull(own)).epoch], ["epochChanged", true]);
});

test("of two revisions by replication a device gets the one that CouchDB prefers, whichever it had before", async () => {
  for (const [first, second] of [["1-aaaaa", "1-bbbbb"], ["1-bbbbb", "1-aaaaa"]]) {
    const own = await person();
    const rev = (short) => short.padEnd(34, "0");
    const arrives = (short) => own.database.bulkDocs([{ _id: "tasks/a", _rev: rev(short), data: { title: short } }], { new_edits: false });
    const [phone] = await pair(library, own.user, () => own.remote);
    await arrives(first);
    await phone.sync();
    await arrives(second);
    await phone.sync();
    assert.deepEqual(await phone.rows(), [{ title: "1-bbbbb" }]);
  }
});

test("a subscriber hears of a change, and of none after the end", async () => {
  const own = await person();
  let hints = 0;
  let heard = () => {};
  const end = own.remote.subscribe(own.user, () => {
    hints += 1;
    heard();
  });
  // The first request may not be there yet: it asks from "now".
  for (let at = 0; hints === 0 && at < 50; at++) {
    const told = new Promise((resolve) => (heard = resolve));
    await push(own, op("create", `row-${at}`, null, {}));
    await Promise.race([told, new Promise((resolve) => setTimeout(resolve, 200))]);
  }
  assert.ok(hints > 0);
  end();
  const before = hints;
  await within(5_000, "a push", push(own, op("create", "last", null, {})));
  assert.equal(hints, before);
});

test("a server that is away, refuses, or is something else fails as the engine expects", async () => {
  const own = await person();
  const at = (url) => ({ user: own.user, remote: couchRemote({ url }) });
  assert.equal((await failed(pull(at(`${couch.url}/elsewhere`)))).status, 404);
  const away = await failed(pull(at("http://127.0.0.1:9")));
  assert.equal(away.name, "TypeError");
  const stranger = { user: "nobody", remote: own.remote };
  assert.equal((await failed(pull(stranger))).status, 404);
});
