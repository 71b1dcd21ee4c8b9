import type { Datum } from "datum-sync";

// #region options
/** Fetches, and sends nothing: local writes go on waiting. */
export const pullOnly = (datum: Datum, userId: string) =>
  datum.synchronize(userId, { direction: "pullOnly" });

/** Sends, and fetches nothing. Skipped where nothing waits. */
export const pushOnly = (datum: Datum, userId: string) =>
  datum.synchronize(userId, { direction: "pushOnly" });

/** At most `size` operations a push, and `size` rows a page. */
export const inBatches = (datum: Datum, userId: string, size = 50) =>
  datum.synchronize(userId, { overrideBatchSize: size });
// #endregion
