// Finds out which of the module's functions an app's first paint runs, and which its first writes and cycles run besides.
//
//   node profile.mjs PACKAGE OUT [EACH]     PACKAGE has a module that notes what has run; CHROMIUM names the browser
//
// OUT gets a JSON list: for each stage the notes, 32 bits a number. EACH gets the notes of each scenario, for a person who looks
// for what makes a stage large. A stage has what apps may do then in all their ways: what a page does before its later
// parts are there, and a profile does not know of, makes it stand still.
//
// Two profiles of one module have to be equal, on a busy machine as well. So nothing here waits for a time: it waits
// until something has happened, and then until nothing more does.
import { writeFile } from "node:fs/promises";
import { CYCLE, PAINT, begin, collect, device, enter, note, origin, quiet, release, remoteOf, reopen, run, scenarios, stages, stop, sync, until } from "./profile-browser.mjs";
import { rare } from "./profile-rare.mjs";
import { NAMES, rowOf } from "./profile-rows.mjs";

const [, out, each] = process.argv.slice(2);
/** Three minutes are usual. */
const LIMIT_MS = 900_000;
setTimeout(() => {
  console.error("a page has not answered");
  process.exit(1);
}, LIMIT_MS).unref();

/** First paint, on an empty device and in a second tab; the app writes, and the tabs hear of each other. */
async function paint(config, user) {
  const context = await device();
  const page = await begin(context, config, user);
  await until(page, () => feed.current.isLeader);
  await run(page, () => reacts());
  await collect(page);
  const second = await begin(context, config, user);
  await run(second, () => reacts());
  await note(PAINT, `${config}: first paint in two tabs`, page, second);
  for (const one of [page, second]) await release(one);
  await run(page, () => writes());
  await run(second, () => writes());
  const all = () => tasks.count();
  const count = await run(second, all);
  await until(page, (count) => tasks.count().then((known) => known === count), count);
  await note(CYCLE, `${config}: writes in two tabs`, page, second);
  await page.close();
  await until(second, () => feed.current.isLeader);
  await note(CYCLE, `${config}: the other tab leads`, second);
  return { context, page: second };
}

/** First cycles: what is pending goes out, and what others wrote comes in. */
async function cycles(config, user, page) {
  await run(page, () => more());
  await sync(page);
  await sync(page);
  await note(CYCLE, `${config}: first cycles`, page);
  const remote = remoteOf(user);
  for (let n = 0; n < 3_000; n++) remote.put(user, "tasks", { id: `other-${n}`, title: `other ${n}`, done: false, note: "call the supplier about the order".repeat(6) });
  await sync(page);
  await run(page, () => reads());
  remote.patch(user, "tasks", "other-1", { title: "theirs" });
  remote.delete(user, "tasks", "other-3");
  await run(page, () => tasks.patch("other-2", { done: true }));
  // Edits of what is still to be sent.
  await run(page, async () => {
    for (const title of ["again", "and again"]) await tasks.patch("other-2", { title, points: 1 });
    await tasks.update({ ...(await tasks.read("other-5")), title: "whole" });
    await tasks.patch("other-5", { title: "in part" });
    await tasks.patch("other-6", { title: "in vain" });
    for (const id of ["other-6", "other-7"]) await tasks.delete(id);
    await tasks.create({ id: "other-7", title: "once more" });
  });
  await run(page, () => tasks.delete("other-4"));
  await run(page, () => (busy(), tasks.create({ title: "more" })));
  await sync(page);
  await run(page, () => (delete performance.now, reads()));
  await note(CYCLE, `${config}: rows of others`, page);
}

/** The schedule, by itself: after a write, at a hint of the remote, and without a network. */
async function schedule(config, user) {
  const context = await device();
  const page = await begin(context, config, user);
  await release(page);
  const sent = () => until(page, () => datum.pendingCount(user).then((count) => count === 0));
  await run(page, () => datum.startAutoSync(user));
  await run(page, () => tasks.create({ title: "by itself" }));
  await sent();
  await note(CYCLE, `${config}: schedule`, page);
  await context.setOffline(true);
  await run(page, () => tasks.create({ title: "offline" }));
  await sync(page, { force: true });
  await note(CYCLE, `${config}: offline`, page);
  await context.close();
}

/** What is rare waits for the last part; where that cannot be had, a cycle fails, be it the push alone, and the next one tries again. */
async function withoutLastPart(config, user) {
  const context = await device();
  const page = await enter(context, config, user);
  const remote = remoteOf(user);
  await run(page, () => (window.lacksFrom = 2));
  await release(page);
  await run(page, () => tasks.create({ id: "task", title: "first" }));
  await sync(page);
  await run(page, () => tasks.patch("task", { title: "mine" }));
  const heal = remote.fail({ status: 503 });
  for (const direction of ["pushThenPull", "pullThenPush"]) await sync(page, { direction, force: true });
  heal();
  for (const status of ["rejected", "retry"]) {
    remote.decide = () => ({ status, code: "forbidden", message: "No." });
    for (const direction of ["pushOnly", "pushThenPull", "pullThenPush"]) await sync(page, { direction, force: true });
  }
  remote.decide = undefined;
  remote.isCut = true;
  for (const direction of ["pushOnly", "pullOnly"]) await sync(page, { direction, force: true });
  remote.isCut = false;
  remote.patch(user, "tasks", "task", { title: "theirs" });
  for (const direction of ["pushThenPull", "pullThenPush", "pushOnly", "pullOnly"]) await sync(page, { direction, force: true });
  await note(CYCLE, `${config}: without the last part`, page);
  await context.close();
}

/** First paint again: on a device with many rows, and after a write that the page did not outlive. */
async function paintAgain(config, user, context, page) {
  await run(page, () => void addEventListener("pagehide", () => void tasks.create({ title: "as it goes" })));
  await page.close({ runBeforeUnload: true });
  for (let time = 0; time < 2; time++) {
    const again = await begin(context, config, user);
    // Another tab writes and syncs. What it tells waits for the second part.
    const other = await begin(context, config, user);
    await release(other);
    await run(other, () => tasks.create({ title: "of the other tab" }));
    await note(PAINT, `${config}: first paint with rows`, again);
    await release(again);
    await run(other, () => more());
    await run(other, () => datum.pauseSync(user));
    await run(other, () => datum.resumeSync(user));
    await sync(other);
    const count = await run(other, () => tasks.count());
    await until(again, (count) => tasks.count().then((known) => known === count), count);
    await note(CYCLE, `${config}: another tab works`, again);
    await other.close();
    await again.close();
  }
  await context.close();
}

/**
 * First paint of a page that only reads what was pulled: as long as nothing else needs them, rows are read in ways of
 * their own. Each way of reading is once the first.
 */
async function reader(config, user, names, filled = () => {}) {
  const context = await device();
  const remote = remoteOf(user);
  const idOf = NAMES[names];
  for (let n = 0; n < 3_000; n++) remote.put(user, "tasks", rowOf(idOf(n), n));
  const filling = await enter(context, config, user);
  await release(filling);
  await sync(filling);
  await filled(remote, user, filling, idOf);
  await quiet(filling);
  await filling.close();
  for (const name of ["readAll", "read", "readPage", "count", "exists", "watchAll", "watchById"]) {
    const page = await enter(context, config, user);
    await run(page, ([name, id]) => readBy(name, id), [name, idOf(1_234)]);
    await run(page, ([name, id]) => readBy(name, id), [name, idOf(77)]);
    await note(PAINT, `${config}, ids ${names}: first of all ${name}`, page);
    await page.close();
  }
  // Once something has changed, too.
  for (const name of ["readAll", "read", "watchAll"]) {
    const page = await enter(context, config, user);
    await release(page);
    await run(page, () => tasks.create({ title: "mine" }));
    await run(page, ([name, id]) => readBy(name, id), [name, idOf(2)]);
    await note(CYCLE, `${config}, ids ${names}: ${name} after a write`, page);
    await run(page, (id) => tasks.patch(id, { done: true }), idOf(3));
    await run(page, (id) => tasks.delete(id), idOf(name.length));
    remote.patch(user, "tasks", idOf(20 + name.length), { title: "theirs" });
    await sync(page);
    await quiet(page);
    await page.close();
  }
  await context.close();
}

/** Rows that were changed later, not in the order of their ids: as the logs of most devices are. */
async function updated(remote, user, page, idOf) {
  for (const n of [2_000, 5, 1_200]) {
    remote.patch(user, "tasks", idOf(n), { title: "changed" });
    await sync(page);
  }
}

/** So much that is outdated that the log is compacted. */
async function compacted(remote, user, page) {
  for (let time = 0; time < 4; time++) {
    remote.put(user, "tasks", { id: "large", note: String(time).repeat(900_000) });
    await sync(page);
    await quiet(page);
  }
}

/** First paint of a device that has had everything that a log can tell of. */
async function history() {
  const [config, user] = ["full", "history"];
  const context = await device();
  const remote = remoteOf(user);
  let page;
  const visit = async (work, given) => {
    page = await begin(context, config, user);
    await release(page);
    const value = work && (await run(page, work, given));
    return value;
  };
  const look = async (name, space) => {
    const held = await begin(context, config, user);
    if (space) await run(held, (space) => readsOf(space), space);
    await note(PAINT, `history: ${name}`, held);
    await held.close();
  };
  /** Looks at what there is, in a log as it was written and in one that was compacted. */
  const revisit = async (name, space) => {
    await quiet(page);
    await page.close();
    await look(name, space);
    await visit();
    await compacted(remote, user, page);
    await page.close();
    await look(`${name}, compacted`, space);
  };

  // Pending operations are not sent meanwhile.
  let heal = remote.fail({ status: 503 });
  await visit(async () => {
    await more();
    await datum.manager("notes").create({ id: "note-1", text: "mine" });
    await tasks.create({ id: "task-2", title: "to merge", note: "one two", points: 1, draft: "local" });
    await datum.manager("lists").create({ id: "list-1", name: "list" });
    await datum.setCustomMetadata(user, { theme: "dark" });
  });
  await revisit("nothing synced");
  heal();
  const backup = remote.backup();
  await visit();
  await sync(page);
  await revisit("synced");

  await visit(async () => {
    await tasks.patch("task-2", { note: "one two three", points: 2 });
    await datum.manager("notes").patch("note-1", { text: "mine again" });
    await datum.manager("lists").patch("list-1", { name: "ours" });
  });
  remote.patch(user, "tasks", "task-2", { note: "zero one two", points: 5 });
  remote.patch(user, "notes", "note-1", { text: "theirs" });
  remote.patch(user, "lists", "list-1", { name: "theirs" });
  await sync(page);
  await revisit("conflicts");

  await visit(async () => {
    const [conflict] = await datum.conflicts(user);
    if (conflict) await datum.resolveConflict(conflict.id, { take: "local" });
    await tasks.create({ id: "task-3", title: "refused" });
    await tasks.create({ id: "task-4", title: "refused too" });
    await tasks.patch("task-2", { points: 3 });
  });
  remote.decide = ({ id }) => (id === "task-3" || id === "task-4" ? { status: "rejected", code: "forbidden", message: "No." } : id === "task-2" ? { status: "retry", retryAfterMs: 60_000 } : undefined);
  await sync(page);
  await revisit("dead letters");
  remote.decide = undefined;
  await visit(async () => {
    const [one, other] = await datum.deadLetters(user);
    await datum.discardDeadLetter(one.id);
    await datum.retryDeadLetter(other.id);
  });
  await sync(page);
  await revisit("dead letters decided");

  heal = remote.fail({ status: 503 });
  await visit(async () => {
    for (const name of ["home", "work"]) await tasks.create({ title: "shared", spaceId: await datum.spaces().create(name) });
  });
  await revisit("spaces that wait");
  heal();
  const other = await begin(context, config, user);
  await release(other);
  await visit();
  await sync(page);
  const [{ spaceId: space }] = remote.spaces(user);
  await run(page, (space) => tasks.move("task-2", space), space);
  await sync(page);
  remote.setRole(user, space, "ben", "writer");
  remote.put(user, "tasks", { id: "shared-2", title: "of a space" }, { spaceId: space });
  await sync(page);
  await run(page, (space) => tasks.readAll({ spaceId: space }), space);
  await until(other, () => datum.spaces().list().then((spaces) => spaces.length > 0));
  await note(CYCLE, "history: another tab makes a space", other);
  await other.close();
  await revisit("spaces", space);
  await visit((space) => datum.spaces().leave(space).catch(() => datum.spaces().delete(space)), space);
  await sync(page);
  await revisit("a space that was left");

  remote.expireCursors();
  remote.forgetTombstones();
  await visit();
  await sync(page);
  await sync(page, { forceFullSync: true });
  await sync(page, { scope: { entities: ["tasks"] } });
  await revisit("pulled from the beginning");
  remote.restore(backup);
  await visit();
  await sync(page);
  await sync(page);
  await revisit("a restored server");
  await context.close();
}

/** First paint where the browser has lost what was stored, and where it stores nothing. */
async function storage() {
  const context = await device();
  const erase = async () => {
    for (const { name } of await indexedDB.databases()) {
      if (name.includes("storage")) await new Promise((resolve) => (indexedDB.deleteDatabase(name).onsuccess = resolve));
    }
  };
  const visit = async (scenario) => {
    const page = await begin(context, "usual", "storage");
    await note(PAINT, scenario, page);
    await release(page);
    await run(page, () => writes());
    await note(CYCLE, `${scenario}, and writes`, page);
    await page.close();
  };
  // The second visit notes what the first has left.
  for (let time = 0; time < 2; time++) await visit("before a loss");
  const eraser = await context.newPage();
  await eraser.goto(origin);
  await run(eraser, erase);
  await eraser.close();
  await visit("after a loss");
  await context.addInitScript(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException("A mutation operation was attempted on a database that did not allow mutations.", "InvalidStateError");
    };
  });
  await visit("without storage");
  await context.close();
}

/** A visitor, and an app that names the user in each call. */
async function visitor() {
  const context = await device();
  for (let time = 0; time < 2; time++) {
    const named = await enter(context, "visitor", "named");
    await run(named, async () => {
      const userId = user;
      await tasks.read("task-1", { userId });
      await tasks.readAll({ userId });
      for await (const _ of tasks.watchAll({ userId })) break;
    });
    await note(PAINT, "each call names its user", named);
    await release(named);
    await run(named, () => tasks.create({ title: "first" }, { userId: user }));
    await note(CYCLE, "a write names its user", named);
    await named.close();
  }
  const page = await enter(context, "visitor", "account");
  await run(page, async () => {
    await tasks.readAll().catch(() => {});
    await (async () => {
      for await (const _ of tasks.watchAll());
    })().catch(() => {});
  });
  // To sign in waits for all parts.
  await note(PAINT, "nobody is signed in", page);
  await context.close();
}

/** An app that cannot say who its user is, and tries again. */
async function refused() {
  const context = await device();
  const page = await reopen(context, "refused", "usual", "nobody");
  await note(PAINT, "a second attempt to open", page);
  await context.close();
}

try {
  for (const config of ["usual", "manual", "full", "adapter", "plain", "plain-adapter"]) {
    const { context, page } = await paint(config, `${config}-0`);
    await cycles(config, `${config}-0`, page);
    await paintAgain(config, `${config}-0`, context, page);
    await schedule(config, `${config}-1`);
    await withoutLastPart(config, `${config}-2`);
  }
  for (const names of Object.keys(NAMES)) await reader("usual", `reader-${names}`, names);
  await reader("full", "reader-full", "sorted");
  await reader("usual", "reader-updated", "sorted", updated);
  await reader("usual", "reader-compacted", "sorted", compacted);
  await history();
  await storage();
  await visitor();
  await refused();
  await rare();
  await writeFile(out, JSON.stringify(stages));
  if (each) await writeFile(each, JSON.stringify(scenarios));
} finally {
  await stop();
}
