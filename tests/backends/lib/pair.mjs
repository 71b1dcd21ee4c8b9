// Two devices of one user in Node over fake-indexeddb, with an adapter each; and requests to an adapter without a device.
import { atEnd } from "./cleanup.mjs";

let count = 0;

/** Opens two devices of the user. `remote()` makes the adapter of one. Timers of tests do not end the process before they do. */
export async function pair({ Datum }, userId, remote) {
  const open = async () => {
    const datum = await Datum.initialize({ name: `pair-${++count}`, entities: { tasks: {} }, remote: remote(), initialUserId: userId, retry: { maxAttempts: 1 } });
    atEnd(() => datum.close());
    const tasks = datum.manager("tasks");
    return {
      datum,
      tasks,
      sync: () => datum.synchronize(userId),
      failure: () => datum.synchronize(userId).then(() => "none", (error) => error.code),
      /** What there is, in the order of titles. */
      rows: async () => JSON.parse(JSON.stringify((await tasks.readAll()).map(({ title, done, count }) => ({ title, done, count })))).sort((one, two) => (one.title < two.title ? -1 : 1)),
      waiting: () => datum.pendingCount(userId),
    };
  };
  return [await open(), await open()];
}

/** What any backend must do for two devices: edits of different fields offline are merged, deletions arrive, and nothing is left waiting. */
export async function agree([phone, laptop], assert) {
  const task = await phone.tasks.create({ title: "Buy bread", done: false, count: 1 });
  await phone.tasks.create({ title: "Call Ann", done: false, count: 1 });
  for (const device of [phone, laptop]) await device.sync();
  await phone.tasks.patch(task.id, { title: "Buy milk" });
  await laptop.tasks.patch(task.id, { done: true });
  for (const device of [phone, laptop, phone]) await device.sync();
  const both = [{ title: "Buy milk", done: true, count: 1 }, { title: "Call Ann", done: false, count: 1 }];
  for (const device of [phone, laptop]) assert.deepEqual(await device.rows(), both);
  await laptop.tasks.delete(task.id);
  for (const device of [laptop, phone]) await device.sync();
  for (const device of [phone, laptop]) {
    assert.deepEqual(await device.rows(), both.slice(1));
    assert.equal(await device.waiting(), 0);
  }
}

/** One that is never aborted. */
export const signal = new AbortController().signal;

/** An operation, whose id says what it does. */
export const op = (kind, id, baseVersion, data) => ({ opId: `${kind}-${id}-${baseVersion}`, entity: "tasks", id, kind, baseVersion, ...(data ? { data } : {}) });

/** Pushes to a user's adapter, and returns the verdicts. */
export const push = async ({ user, remote }, ...operations) => (await remote.push({ clientId: "d", userId: user, operations }, signal)).results;
