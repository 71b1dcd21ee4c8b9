import type { Datum, SyncStatus } from "datum-sync";

/** What the app's status line shows. */
export interface StatusLine {
  text: string;
  /** 0 to 1; null while there is no real figure yet; undefined: no cycle runs. */
  progress?: number | null;
}

// #region follow
/** Shows the latest status at once, then every change; ends with the engine. */
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
  switch (status.status) {
    case "idle":
      return { text: "Not synced yet" };
    case "syncing":
      return {
        text: "Syncing…",
        progress: status.progress > 0 ? status.progress : null,
      };
    case "completed":
      return { text: "Everything is synced" };
    case "failed":
      return { text: `Sync failed: ${status.errors.at(-1)?.message}` };
    case "paused":
      return { text: "Paused. Writing goes on." };
    case "cancelled":
      return { text: "Stopped. What was done is kept." };
  }
}
// #endregion
