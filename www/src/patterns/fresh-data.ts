import type { Datum } from "datum-sync";

// #region fresh
/**
 * Forgets what was synced, then pulls everything and drops what the server
 * no longer has. Local writes that still wait are kept, and pushed.
 */
export async function freshData(datum: Datum, userId: string) {
  await datum.clearSyncMetadata(userId);
  return datum.synchronize(userId, {
    direction: "pullThenPush", // pull first, then push
    forceFullSync: true, // whatever was pulled before
  });
}

/** Whether this device now has exactly what the server has. */
export async function isVerified(datum: Datum, userId: string) {
  return (await datum.compareSyncMetadata(userId)) === "inSync";
}
// #endregion

/** The everyday one: only what is new. Cheap: use it everywhere else. */
export function newData(datum: Datum, userId: string) {
  return datum.synchronize(userId);
}
