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

/**
 * Returns whether this device has exactly the server's data; undefined if the
 * server gives nothing to compare with.
 */
export async function isVerified(datum: Datum, userId: string) {
  const result = await datum.compareSyncMetadata(userId);
  return result === "unknown" ? undefined : result === "inSync";
}
// #endregion

/** Pulls only what is new. It is cheap: use it in all other cases. */
export function newData(datum: Datum, userId: string) {
  return datum.synchronize(userId);
}
