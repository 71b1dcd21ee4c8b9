// Live queries of the real engine: written in the call, by a builder, with sync states.
import { Datum, type Entity, type EntitySyncState } from "datum-sync";
import { query } from "datum-sync/query";
import { DatumProvider, useQuery } from "datum-sync/react";
import { MemoryRemote } from "datum-sync/testing";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

interface Task extends Entity {
  title: string;
  done: boolean;
}
type Shown = Task & { $syncState: EntitySyncState };

const opening = Datum.initialize<{ tasks: Task }>({ name: "queries", entities: { tasks: {} }, remote: new MemoryRemote(), initialUserId: "ada" });
Object.assign(globalThis, { opening });

function Lists() {
  const open = useQuery<Task>("tasks", { where: { field: "done", equals: false }, orderBy: [{ field: "title", descending: true }], limit: 2 });
  const built = useQuery<Task>("tasks", query<Task>().where("title").startsWith("b"));
  const states = useQuery<Shown>("tasks", null, { withSyncState: true });
  const titles = (all: readonly Task[] | undefined) => all?.map(({ title }) => title).join();
  return <p>{`open [${titles(open.data)}], b [${titles(built.data)}], states [${states.data?.map((task) => task.$syncState).join()}]`}</p>;
}

createRoot(document.querySelector("#engine")!).render(
  <StrictMode>
    <DatumProvider datum={opening}>
      <Lists />
    </DatumProvider>
  </StrictMode>,
);
