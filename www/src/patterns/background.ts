import { Datum, type Entity, type HttpRemote } from "datum-sync";

export interface Task extends Entity {
  title: string;
  done: boolean;
}

// #region background
/** The engine syncs by itself from now on. */
export function openApp(
  remote: HttpRemote,
  userId: string,
  interval = 15 * 60_000,
) {
  return Datum.initialize({
    entities: { tasks: {} },
    remote,
    initialUserId: userId,
    autoStartSync: true,
    autoSyncInterval: interval,
  });
}

/** And the list follows: own writes, other tabs, what was pulled. */
export async function followTasks(
  datum: Datum,
  show: (tasks: readonly Task[]) => void,
) {
  const tasks = datum.manager<Task>("tasks");
  for await (const all of tasks.watchAll()) show(all);
}
// #endregion

/** Off and on again, while the app runs. */
export function setAutoSync(
  datum: Datum,
  userId: string,
  on: boolean,
  interval?: number,
) {
  if (!on) datum.stopAutoSync(userId);
  else datum.startAutoSync(userId, interval ? { interval } : {});
}

/** When the next sync begins by itself; null: not by itself. */
export const nextSync = (datum: Datum, userId: string) =>
  datum.nextSyncTime(userId);
