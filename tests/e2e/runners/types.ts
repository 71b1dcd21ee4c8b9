import { Datum, type Entity } from "datum-sync";
import { MemoryRemote, type Fault } from "datum-sync/testing";
import { handleBackgroundSync } from "datum-sync/service-worker";

interface Task extends Entity {
  title: string;
}

const remote = new MemoryRemote({ decide: ({ data }) => (data === undefined ? undefined : { status: "rejected", code: "no", message: "no" }) });
const faults: Fault[] = ["offline", { status: 503, retryAfterMs: 10 }, new Error("x"), ({ kind }) => (kind === "push" ? "lostReply" : undefined)];
for (const fault of faults) remote.fail(fault, { on: ["pull", "push"], times: 1 });
const datum = await Datum.initialize({ entities: { tasks: {} }, remote });
const all: Readonly<Task>[] = await datum.manager<Task>("tasks").readAll();
await datum[Symbol.asyncDispose]();
handleBackgroundSync(() => ({ entities: { tasks: {} }, remote }));
console.log(all, remote.get("ada", "tasks", "1")?.version);
const home: string = remote.createSpace("ada", "Home");
remote.setRole("ada", home, "ben", "writer");
remote.setRole("ada", home, "ben", null);
const role: "reader" | "writer" | "owner" | undefined = remote.spaces("ada")[0]?.role;
remote.move("ada", "tasks", "1", home, { spaceId: null });
console.log(role, remote.members(home).length, remote.all("ada", "tasks", { spaceId: home }).length, remote.deleteSpace("ada", home));
// @ts-expect-error no such role
remote.setRole("ada", home, "ben", "king");
// @ts-expect-error no such fault
remote.fail("slow");
