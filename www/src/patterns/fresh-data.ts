import type { Datum } from "datum-sync";

// #region fresh
/**
 * Clears the sync state, pulls everything, and drops what the server no
 * longer has. Pending local writes are kept and pushed.
 */
export async function freshData(datum: Datum, userId: string) {
  await datum.clearSyncMetadata(userId);
  return datum.synchronize(userId, {
    direction: "pullThenPush", // pull first, then push
    forceFullSync: true, // ignore what was pulled before
  });
}

/** Returns whether this device has exactly the server's data. */
export async function isVerified(datum: Datum, userId: string) {
  return (await datum.compareSyncMetadata(userId)) === "inSync";
}
// #endregion

/** Pulls only what is new. It is cheap: use it in all other cases. */
export function newData(datum: Datum, userId: string) {
  return datum.synchronize(userId);
}
