import type { Datum, SyncMetadata } from "datum-sync";

// #region welcome
/** What the first screen says: the server knows who was here before. */
export async function welcome(datum: Datum, userId: string) {
  const remote = await datum.getRemoteSyncMetadata(userId);
  if (remote === null || remote.isNeverSynced) return "First time setup";
  return `Welcome back! Your devices: ${remote.deviceCount}`;
}

/** By digest: no clock has a say in it. */
export async function compare(datum: Datum, userId: string) {
  switch (await datum.compareSyncMetadata(userId)) {
    case "inSync":
      return "Data is in sync";
    case "remoteNewer":
      return "Remote has newer data: sync needed";
    case "localNewer":
      return "Local has newer data: push needed";
    case "diverged":
      return "Both have newer data: sync needed";
    case "neverSynced":
      return "This device has never synced";
  }
}
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
  if (last !== undefined && Date.now() - Date.parse(last) < age) return null;
  return datum.synchronize(userId);
}

/** Leaves what both sides changed undecided: the app asks its user first. */
export function syncAndAsk(datum: Datum, userId: string) {
  return datum.synchronize(userId, { resolveConflicts: false });
}

/** The user has decided. */
export function decide(
  datum: Datum,
  userId: string,
  keep: "mine" | "theirs",
) {
  return datum.synchronize(userId, {
    conflictResolver: keep === "mine" ? "localPriority" : "remotePriority",
  });
}
