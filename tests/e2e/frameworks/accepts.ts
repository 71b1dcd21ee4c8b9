// What the entry for each framework takes: all of it must compile under `strict`. The name of the framework is filled in.
import type { Datum, DatumError, Entity, Manager } from "datum-sync";
import { useConflicts, useCurrentUser, useDatum, useDeadLetters, useEntity, useQuery, useSyncStatus } from "datum-sync/FRAMEWORK";
import type { DatumSource, Result, Selection } from "datum-sync/FRAMEWORK";

interface Task extends Entity {
  title: string;
  done: boolean;
}

declare const tasks: Manager<Task>;
declare const datum: Datum<{ tasks: Task }>;

export const sources: DatumSource[] = [datum, Promise.resolve(datum), undefined, null];
export const selection: Selection<readonly Task[], string[]> = { select: (all) => all.map((task) => task.title), isEqual: (a, b) => a.length === b.length };
export const titles = (result: Result<readonly Readonly<Task>[]>): string[] => result.data?.map((task) => task.title) ?? [];
export const code = (result: Result<unknown>): DatumError["code"] | undefined => result.error?.code;

export function component() {
  useDatum();
  useDatum<{ tasks: Task }>();
  useCurrentUser();
  useQuery(tasks);
  useQuery<Task>("tasks");
  useQuery(tasks, { where: { field: "done", equals: false } }, { userId: "ada", spaceId: null, includeDeleted: true });
  useQuery(tasks, { toJSON: () => ({}) });
  useQuery(tasks, null, { select: (all) => all.filter((task) => task.done).length });
  useEntity(tasks, "1", { spaceId: "home", select: (task) => task?.title });
  useEntity<Task>("tasks", undefined);
  useSyncStatus();
  useSyncStatus("ada");
  useSyncStatus({ userId: "ada", select: (status) => status.pendingOperations });
  useConflicts();
  useConflicts({ select: (all) => all.length });
  useDeadLetters("ada");
}
