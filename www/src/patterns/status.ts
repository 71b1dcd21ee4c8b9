import type { Datum, SyncStatus } from "datum-sync";

/** The app's status line. */
export interface StatusLine {
  text: string;
  /** 0 to 1; null without a real figure; undefined if no cycle runs. */
  progress?: number | null;
}

// #region follow
/** Shows the latest status at once, then every change. */
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
  // 0 means that there is no figure yet: show it as indeterminate.
  const progress = status.progress > 0 ? status.progress : null;
  return { text: "Syncing…", progress };
}
// #endregion

const texts = {
  idle: "Not synced yet",
  completed: "Everything is synced",
  failed: "Sync failed. Your changes are saved on this device.",
  paused: "Paused. You can still make changes.",
  cancelled: "Stopped. Completed work is kept.",
};
