// What the entry for each framework refuses: each line below a comment must not compile.
import type { Entity, Manager } from "datum-sync";
import { useEntity, useQuery, useSyncStatus } from "datum-sync/FRAMEWORK";

interface Task extends Entity {
  title: string;
}

declare const tasks: Manager<Task>;

export function component() {
  // @ts-expect-error: a type has a name.
  useQuery();
  // @ts-expect-error: there is no such option.
  useQuery(tasks, null, { user: "ada" });
  // @ts-expect-error: a task has no such field.
  useQuery(tasks, null, { select: (all) => all.map((task) => task.name) });
  // @ts-expect-error: an id, or none.
  useEntity(tasks);
  // @ts-expect-error: ids are text.
  useEntity(tasks, 1);
  // @ts-expect-error: the status has no such field.
  useSyncStatus({ select: (status) => status.pending });
}
