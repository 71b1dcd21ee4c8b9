import type { Datum, SyncMetadata } from "datum-sync";

// #region welcome
/** What the first screen says: the server knows who was here before. */
export async function welcome(datum: Datum, userId: string) {
  const remote = await datum.getRemoteSyncMetadata(userId);
  if (remote === null || remote.isNeverSynced) return "First time setup";
  return `Welcome back! Your devices: ${remote.deviceCount}`;
}

/** How this device and the server stand. No clock has a say in it. */
export async function compare(datum: Datum, userId: string) {
  return standings[await datum.compareSyncMetadata(userId)];
}

const standings = {
  inSync: "Data is in sync",
  remoteNewer: "Remote has newer data: sync needed",
  localNewer: "Local has newer data: push needed",
  diverged: "Both have newer data: sync needed",
  neverSynced: "This device has never synced",
};
// #endregion

/** The alert, while conflicts wait for the user's decision. */
export function conflictAlert(local: SyncMetadata | null): string | null {
  if (!local?.hasConflicts) return null;
  return local.conflictCount === 1
    ? "1 conflict to resolve"
    : `${local.conflictCount} conflicts to resolve`;
}

/** Every device of the user, the latest first. */
export function deviceList(
  remote: SyncMetadata | null,
  local: SyncMetadata | null,
) {
  const own = local?.deviceId;
  return Object.entries(remote?.devices ?? {})
    .map(([id, lastSync]) => ({ id, lastSync, isThis: id === own }))
    .sort((a, b) => b.lastSync.localeCompare(a.lastSync));
}

/** Syncs, unless this device did within the last `age` milliseconds. */
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

/** The app's own fields: the other devices see them, too. */
export function tellVersion(datum: Datum, userId: string, version: string) {
  return datum.setCustomMetadata(userId, { appVersion: version });
}

/** Leaves what both sides changed to the user; until then it waits. */
export function syncAndAsk(datum: Datum, userId: string) {
  return datum.synchronize(userId, { conflictResolver: "ask" });
}

/** The user has decided. */
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
