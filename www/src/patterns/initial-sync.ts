import { Datum, DatumError, type HttpRemote } from "datum-sync";

/** Opens this device's data, online or offline. */
export function openApp(
  remote: HttpRemote,
  userId: string | null,
  name: string,
) {
  return Datum.initialize({
    name, // prefix of the IndexedDB databases
    entities: { tasks: {} },
    remote,
    initialUserId: () => userId, // null: nobody is signed in
  });
}

/** The app's log, for example `console`. */
export type Log = Pick<Console, "info" | "warn">;

// #region initial
/** Pulls once when the app starts. If that fails, the app continues. */
export async function initialSync(
  datum: Datum,
  userId: string | null,
  log: Log,
) {
  if (userId === null) return; // nobody signed in: no request
  log.info("Initial sync started");
  try {
    const result = await datum.synchronize(userId, {
      direction: "pullThenPush",
      forceFullSync: true,
    });
    if (result.remoteFetched) {
      log.info(`Initial sync completed: ${result.syncedCount} items`);
    } else {
      log.warn(`Initial sync skipped: ${result.skipReason}`);
    }
  } catch (error) {
    const why = error instanceof DatumError ? error.code : error;
    log.warn(`Initial sync failed, but app continues: ${why}`);
  }
}
// #endregion
