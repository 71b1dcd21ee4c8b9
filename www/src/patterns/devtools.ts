import type { Datum } from "datum-sync";

// #region mount
/** Shows the panel for developers. Its code is loaded now, and is in no other part of the app. */
export async function showDevtools(datum: Datum<any>) {
  const { mountDevtools } = await import("datum-sync/devtools");
  return mountDevtools(datum, { open: true });
}
// #endregion
