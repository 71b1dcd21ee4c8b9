// `datum-sync/rest` over a real Kinto, with the functions of docs/rest.md: the conformance kit, devices, lost answers, and rows that have moved on.
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { before, test } from "../e2e/lib/test.mjs";
import { atEnd } from "./lib/cleanup.mjs";
import { documented } from "./lib/documented.mjs";
import { noKinto, startKinto } from "./lib/kinto.mjs";
import { loadPackage } from "./lib/package.mjs";
import { agree, op, pair, push, signal } from "./lib/pair.mjs";

let library, kinto, kintoRemote, kit;
before(async () => {
  if (noKinto) return;
  library = await loadPackage();
  kinto = await startKinto();
  atEnd(() => kinto.stop());
  ({ kintoRemote } = await documented(library, "rest.md", "kinto=remote"));
  kit = await import(pathToFileURL(join(library.installed, "conformance", "index.js")));
});
const declare = (title, work) => test(title, { skip: noKinto }, work);

let people = 0;
/** A new user. */
function person() {
  const user = `person-${++people}`;
  return { user, remote: kintoRemote(kinto.url, () => kinto.headers(user), () => user) };
}

async function pullAll({ user, remote }, cursor = null, limit = 1_000) {
  for (const changes = []; ; ) {
    const page = await remote.pull({ clientId: "d", userId: user, cursor, limit }, signal);
    changes.push(...page.changes);
    cursor = page.cursor;
    if (!page.more) return { changes, cursor };
  }
}

/** Loses answers of Kinto to requests with these methods while `work` runs: what was asked is done. Returns how many. */
async function losing(methods, work) {
  const real = globalThis.fetch;
  let lost = 0;
  globalThis.fetch = async (input, init) => {
    const response = await real(input, init);
    if (!methods.includes(init?.method)) return response;
    await response.arrayBuffer();
    lost += 1;
    throw new TypeError("fetch failed");
  };
  try {
    await work();
    return lost;
  } finally {
    globalThis.fetch = real;
  }
}

// There is no memory of operations: the row says whether a write was done, and a later one hides it. Ids are letters, digits, "-" and "_".
// Kinto compares `If-Match` and writes in two steps: of two writes at one moment both may pass, which was seen on a busy machine.
const WITHOUT = ["replays.create", "replays.update", "replays.patch", "replays.delete", "values.ids", "conflicts.sameMoment", "conflicts.createdAtOnce"];

declare("it passes the conformance kit as far as an API without a memory of operations can", async () => {
  const [a, b] = [person(), person()];
  const report = await kit.checkRemoteAdapter(a.remote, { userId: a.user, other: { userId: b.user, adapter: b.remote }, entity: ["tasks", "lists"], limit: 170_000, without: WITHOUT });
  assert.deepEqual([report.failures.map(({ id }) => id), report.stopped, report.rowsLeft], [[], undefined, 0], report.text);
});

declare("two devices agree", async () => {
  const { user, remote } = person();
  await agree(await pair(library, user, () => remote), assert);
});

declare("a write whose answer got lost is recognised, and nobody sees a dead letter", async () => {
  const own = person();
  const [phone, laptop] = await pair(library, own.user, () => own.remote);
  const first = async () => (await phone.tasks.readAll())[0].id;
  const writes = { PUT: () => phone.tasks.create({ title: "mine", done: false, count: 1 }), PATCH: async () => phone.tasks.patch(await first(), { done: true }), DELETE: async () => phone.tasks.delete(await first()) };
  for (const [method, write] of Object.entries(writes)) {
    await write();
    assert.notEqual(await losing([method], phone.failure), 0, method);
    await phone.sync();
    await laptop.sync();
    assert.deepEqual([await phone.waiting(), (await phone.datum.deadLetters(own.user)).length], [0, 0], method);
    assert.deepEqual(await laptop.rows(), await phone.rows(), method);
  }
});

declare("412 says that a row has moved on: its fields come with the conflict, and what was there stays", async () => {
  const own = person();
  const [created] = await push(own, op("create", "a", null, { title: "first", done: false }));
  const [edited] = await push(own, op("patch", "a", created.version, { title: "second" }));
  for (const kind of ["patch", "update", "delete"]) {
    const [verdict] = await push(own, op(kind, "a", created.version, kind === "delete" ? undefined : { title: "late" }));
    assert.deepEqual([verdict.status, verdict.version, verdict.row?.title], ["conflict", edited.version, "second"], kind);
  }
  const [taken] = await push(own, { ...op("create", "a", null, { title: "another" }), opId: "other" });
  assert.deepEqual([taken.status, taken.row.title], ["conflict", "second"]);
});

declare("tombstones come with `_since`, and a row may come back", async () => {
  const own = person();
  const [kept, gone] = await push(own, op("create", "kept", null, { title: "kept" }), op("create", "gone", null, { title: "gone" }));
  const { cursor } = await pullAll(own);
  await push(own, op("delete", "gone", gone.version));
  const { changes, cursor: later } = await pullAll(own, cursor);
  assert.deepEqual(changes.map(({ id, deleted }) => [id, deleted]), [["gone", true]]);
  const live = (await pullAll(own)).changes.filter(({ deleted }) => !deleted);
  assert.deepEqual(live.map(({ id, version }) => [id, version]), [["kept", kept.version]]);
  const [back] = await push(own, { ...op("create", "gone", null, { title: "again" }), opId: "again" });
  assert.equal(back.status, "applied");
  const again = (await pullAll(own, later)).changes.filter(({ id }) => id === "gone");
  assert.deepEqual(again.map(({ version, data }) => [version, data.title]), [[back.version, "again"]]);
});

declare("pages smaller than what there is leave nothing out", async () => {
  const own = person();
  await push(own, ...Array.from({ length: 40 }, (_, at) => op("create", `row-${at}`, null, { title: String(at) })));
  const { changes, cursor } = await pullAll(own, null, 7);
  assert.equal(new Set(changes.map(({ id }) => id)).size, 40);
  assert.deepEqual((await pullAll(own, cursor, 7)).changes, []);
});

declare("an id that Kinto does not take is rejected with its words, and the others go", async () => {
  const own = person();
  const [wrong, right] = await push(own, op("create", "a b", null, { title: "wrong" }), op("create", "right", null, { title: "right" }));
  assert.equal(wrong.status, "rejected");
  assert.notEqual(wrong.message, "");
  assert.equal(right.status, "applied");
});
