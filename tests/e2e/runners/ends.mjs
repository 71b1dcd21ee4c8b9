// A process of Node that closes nothing.
import "fake-indexeddb/auto";
import { Datum } from "datum-sync";
import { MemoryRemote } from "datum-sync/testing";

const remote = new MemoryRemote();
const open = (name, remote) => Datum.initialize({ name, entities: { tasks: {} }, remote, initialUserId: "ada", autoStartSync: true, realtime: true });
const datum = await open("ends", remote);
// These wait for something new, and keep nothing.
void (async () => { for await (const _ of datum.manager("tasks").watchAll()); })();
void (async () => { for await (const _ of datum.statusForUser("ada")); })();
void datum.events()[Symbol.asyncIterator]().next();
await datum.manager("tasks").create({ title: "Buy milk" });
await datum.synchronize("ada");

// A call that is under way is waited for, here over the delays between three attempts.
datum.stopAutoSync();
await datum.manager("tasks").patch(remote.all("ada", "tasks")[0].id, { done: true });
remote.fail("offline", { on: "push", times: 2 });
const { isSuccess } = await datum.synchronize("ada");
console.log(`${remote.all("ada", "tasks").length} row, ${isSuccess}`);
