import type { Datum, SyncMetadata } from "datum-sync";

// #region welcome
/** The greeting: the server knows whether the user is new. */
export async function welcome(datum: Datum, userId: string) {
  const remote = await datum.getRemoteSyncMetadata(userId);
  if (remote === null || remote.isNeverSynced) return "First time setup";
  return `Welcome back! Your devices: ${remote.deviceCount}`;
}

/** Compares this device with the server, independent of clocks. */
export async function compare(datum: Datum, userId: string) {
  return comparisons[await datum.compareSyncMetadata(userId)];
}

const comparisons = {
  inSync: "Data is in sync",
  remoteNewer: "Remote has newer data: sync needed",
  localNewer: "Local has newer data: push needed",
  diverged: "Both have newer data: sync needed",
  neverSynced: "This device has never synced",
  unknown: "The server gives nothing to compare with",
};
// #endregion

/** The alert while the user has conflicts to resolve. */
export function conflictAlert(local: SyncMetadata | null): string | null {
  if (!local?.hasConflicts) return null;
  return local.conflictCount === 1
    ? "1 conflict to resolve"
    : `${local.conflictCount} conflicts to resolve`;
}

/** The user's devices, the last synced first. */
export function deviceList(
  remote: SyncMetadata | null,
  local: SyncMetadata | null,
) {
  const own = local?.deviceId;
  return Object.entries(remote?.devices ?? {})
    .map(([id, lastSync]) => ({ id, lastSync, isThis: id === own }))
    .sort((a, b) => b.lastSync.localeCompare(a.lastSync));
}

/** Syncs unless this device has synced in the last `age` milliseconds. */
export async function syncIfOlderThan(
  datum: Datum,
  userId: string,
  age: number,
) {
  const local = await datum.getSyncMetadata(userId);
  const last = local?.lastSuccessfulSyncTime;
  if (last && Date.now() - Date.parse(last) < age) return null;
  return datum.synchronize(userId);
}

/** Sets the app's own fields, which the other devices see too. */
export function setAppVersion(datum: Datum, userId: string, version: string) {
  return datum.setCustomMetadata(userId, { appVersion: version });
}

/** Syncs, and leaves conflicts to the user. */
export function syncAndAsk(datum: Datum, userId: string) {
  return datum.synchronize(userId, { conflictResolver: "ask" });
}

/** Resolves all conflicts as the user decided. */
export async function decide(
  datum: Datum,
  userId: string,
  take: "local" | "remote",
) {
  for (const conflict of await datum.conflicts(userId)) {
    await datum.resolveConflict(conflict.id, { take });
  }
  return datum.synchronize(userId);
}
