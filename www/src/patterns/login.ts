import type { Datum } from "datum-sync";

/** What the app's window can show. */
export interface Screens {
  /** `unsent`: what waits on this device for the next sign-in. */
  login(unsent: number): void;
  /** `progress` is null until it is real. */
  waiting(text: string, progress: number | null): void;
  tasks(userId: string): void;
}

// #region login
/** Signed out: what waits is sent if it can be, then nothing syncs. */
export async function onSignedOut(
  datum: Datum,
  userId: string,
  screens: Screens,
) {
  const { unsynced } = await datum.logout(userId, { flush: 5_000 });
  await datum.pauseSync();
  screens.login(unsynced.length);
}

/** Signed in, again or for the first time: the latest data first. */
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
      timeout: 15_000, // nobody waits for ever
    });
  } catch {
    // The status says why. The data of last time is better than none.
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
