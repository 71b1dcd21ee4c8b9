// What needs a decision, by the real engine.
import { Datum, type Entity } from "datum-sync";
import { DatumProvider, useConflicts, useDeadLetters, useEntity, useSuspenseQuery, useSyncStatus } from "datum-sync/react";
import { MemoryRemote } from "datum-sync/testing";
import { StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";

interface Task extends Entity {
  title: string;
}

const remote = new MemoryRemote();
const opening = Datum.initialize<{ tasks: Task }>({ name: "engine", entities: { tasks: { conflictResolver: "ask" } }, remote, initialUserId: "ada" });
Object.assign(globalThis, { opening, remote });

function Decisions() {
  const conflicts = useConflicts();
  const letters = useDeadLetters();
  const first = useEntity<Task>("tasks", "1").data;
  const all = useSuspenseQuery<Task>("tasks");
  const status = useSyncStatus();
  const sides = conflicts.data?.map(({ local, remote }) => `${local?.["title"]}/${remote?.["title"]}`).join();
  return <p>{`${all.length} tasks, first ${first?.title}, conflicts [${sides}], letters [${letters.data?.map(({ code }) => code).join()}], ${status?.status}`}</p>;
}

createRoot(document.querySelector("#engine")!).render(
  <StrictMode>
    <DatumProvider datum={opening}>
      <Suspense fallback="opening">
        <Decisions />
      </Suspense>
    </DatumProvider>
  </StrictMode>,
);
