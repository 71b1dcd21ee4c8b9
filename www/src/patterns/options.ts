import type { Datum } from "datum-sync";

// #region options
/** Pulls only: local writes stay pending. */
export const pullOnly = (datum: Datum, userId: string) =>
  datum.synchronize(userId, { direction: "pullOnly" });

/** Pushes only. Skipped if nothing is pending. */
export const pushOnly = (datum: Datum, userId: string) =>
  datum.synchronize(userId, { direction: "pushOnly" });

/** At most `size` operations per push and `size` rows per page. */
export const inBatches = (datum: Datum, userId: string, size = 50) =>
  datum.synchronize(userId, { overrideBatchSize: size });
// #endregion
