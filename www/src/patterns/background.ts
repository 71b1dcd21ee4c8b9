import { Datum, type Entity, type HttpRemote } from "datum-sync";

export interface Task extends Entity {
  title: string;
  done: boolean;
}

// #region background
/** Opens the app's data and starts automatic sync. */
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

/** Updates the list after local writes, pulls and writes of other tabs. */
export async function followTasks(
  datum: Datum,
  show: (tasks: readonly Task[]) => void,
) {
  const tasks = datum.manager<Task>("tasks");
  for await (const all of tasks.watchAll()) show(all);
}
// #endregion

/** Turns automatic sync on or off while the app runs. */
export function setAutoSync(
  datum: Datum,
  userId: string,
  on: boolean,
  interval?: number,
) {
  if (!on) datum.stopAutoSync(userId);
  else datum.startAutoSync(userId, interval ? { interval } : {});
}

/** When the next automatic sync begins; null if none is scheduled. */
export const nextSync = (datum: Datum, userId: string) =>
  datum.nextSyncTime(userId);
