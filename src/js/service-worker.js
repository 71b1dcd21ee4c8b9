// Background Sync: opens the engine in a service worker for one sync, and closes it again. A
// separate module, so that pages do not load it.

import { Datum, DatumError } from "./index.js";

/**
 * Handles the browser's `sync` and `periodicsync` events for an instance. Call it while the service
 * worker's script first runs: browsers ignore listeners that are added later.
 */
export function handleBackgroundSync(config) {
  const given = typeof config === "function" ? config : () => config;
  // One at a time: instances of one name are shared, and the first to end would close it for the
  // next.
  let last = Promise.resolve();
  const answer = (event) => {
    const { tag } = event;
    if (!tag?.startsWith(PREFIX)) return;
    const run = last.then(() => given()).then((config) => (tag === PREFIX + (config?.name ?? "datum") ? synchronize(config) : undefined));
    last = run.catch(() => {});
    // The browser repeats a sync that rejects, at growing intervals.
    event.waitUntil(run);
  };
  addEventListener("sync", answer);
  addEventListener("periodicsync", answer);
}

const PREFIX = "datum-sync:";

async function synchronize(config) {
  const { initialUserId, autoStartSync, realtime, backgroundSync, ...rest } = config;
  const userId = typeof initialUserId === "function" ? await initialUserId() : initialUserId;
  // The headers are those of the signed-in user. Operations of other users stay pending.
  if (userId === undefined || userId === null) return;
  const datum = await Datum.initialize({ ...rest, flushOnLeave: false });
  try {
    const { isSuccess, wasSkipped, skipReason, pendingOperations, error } = await datum.synchronize(userId);
    // Having nothing to do is not a failure; losing the network again is.
    const isDone = wasSkipped ? skipReason !== "offline" : isSuccess || pendingOperations === 0;
    if (!isDone) throw new DatumError(error?.code ?? "network", error?.message ?? "The sync in the background did not finish.");
  } finally {
    await datum.close();
  }
}
