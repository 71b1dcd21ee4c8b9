import type { Datum } from "datum-sync";

/** The app's screens. */
export interface Screens {
  /** `unsent`: the number of local changes that are not synced yet. */
  login(unsent: number): void;
  /** `progress` is null until there is a real figure. */
  waiting(text: string, progress: number | null): void;
  tasks(userId: string): void;
}

// #region login
/** Sends pending changes if possible, then stops all syncing. */
export async function onSignedOut(
  datum: Datum,
  userId: string,
  screens: Screens,
) {
  const { unsynced } = await datum.logout(userId, { flush: 5_000 });
  await datum.pauseSync();
  screens.login(unsynced.length);
}

/** Pulls the latest data before the user sees the tasks. */
export async function onSignedIn(
  datum: Datum,
  userId: string,
  screens: Screens,
) {
  screens.waiting("Syncing latest data…", null);
  await datum.switchUser({ newUserId: userId, strategy: "keepLocal" });
  await datum.resumeSync();
  void showProgress(datum, userId, screens);
  try {
    await datum.clearSyncMetadata(userId);
    await datum.synchronize(userId, {
      direction: "pullThenPush",
      forceFullSync: true,
      timeout: 15_000, // do not block the screen for ever
    });
  } catch {
    // The status feed has the reason. Show the data from last time.
  } finally {
    screens.tasks(userId);
  }
}
// #endregion

async function showProgress(
  datum: Datum,
  userId: string,
  screens: Screens,
) {
  const before = datum.statusForUser(userId).current.lastStartedAt;
  for await (const now of datum.statusForUser(userId)) {
    if (now.status === "syncing") {
      screens.waiting("Syncing latest data…", now.progress || null);
    } else if (now.lastStartedAt !== before) {
      return; // completed, failed or stopped
    }
  }
}
