import { DatumError, type Datum, type SyncOptions } from "datum-sync";

/** What the app shows after a sync. */
export interface Notice {
  tone: "good" | "note" | "bad";
  text: string;
}

// #region errors
/** Syncs, and always returns a notice to show. */
export async function syncAndNotify(
  datum: Datum,
  userId: string,
  options: SyncOptions = {},
): Promise<Notice> {
  try {
    const result = await datum.synchronize(userId, options);
    if (result.isSuccess) {
      return good(`Sync completed: ${result.syncedCount} items`);
    }
    if (result.wasSkipped) return note(`Not now: ${result.skipReason}`);
    if (result.wasCancelled) return note("Sync stopped");
    return bad(`Sync failed: ${result.failedCount} errors`);
  } catch (error) {
    if (!(error instanceof DatumError)) throw error; // the app's own bug
    if (error.code === "unauthorized") return bad("Please sign in again");
    const again = error.retryable ? " It can be tried again." : "";
    return bad(`Sync error (${error.code}): ${error.message}${again}`);
  }
}
// #endregion

const good = (text: string): Notice => ({ tone: "good", text });
const note = (text: string): Notice => ({ tone: "note", text });
const bad = (text: string): Notice => ({ tone: "bad", text });

/** The writes that the server rejected, with its reasons. */
export async function rejections(datum: Datum, userId: string) {
  const letters = await datum.deadLetters(userId);
  return letters.map(({ id, message }) => ({ id, message }));
}

/** Shows a loading state. It always ends: `synchronize` always settles. */
export async function whileLoading<T>(
  setLoading: (on: boolean) => void,
  work: () => Promise<T>,
) {
  setLoading(true);
  try {
    return await work();
  } finally {
    setLoading(false);
  }
}
