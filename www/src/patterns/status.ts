import type { Datum, SyncStatus } from "datum-sync";

/** What the app's status line shows. */
export interface StatusLine {
  text: string;
  /** 0 to 1; null: no real figure yet; undefined: no cycle runs. */
  progress?: number | null;
}

// #region follow
/** The latest status at once, then every change. */
export async function followStatus(
  datum: Datum,
  userId: string,
  show: (line: StatusLine, status: SyncStatus) => void,
) {
  for await (const status of datum.statusForUser(userId)) {
    show(statusLine(status), status);
  }
}

export function statusLine(status: SyncStatus): StatusLine {
  if (status.status !== "syncing") return { text: texts[status.status] };
  // 0 is no figure yet: shown as indeterminate.
  const progress = status.progress > 0 ? status.progress : null;
  return { text: "Syncing…", progress };
}
// #endregion

const texts = {
  idle: "Not synced yet",
  completed: "Everything is synced",
  failed: "Sync failed. What was written is safe here.",
  paused: "Paused. Writing goes on.",
  cancelled: "Stopped. What was done is kept.",
};
