// Background Sync: the engine inside a service worker, opened for one sync and closed again.
// A module of its own, so that pages do not load it.

import { Datum, DatumError } from "./index.js";

/**
 * Answers the browser's `sync` and `periodicsync` events of an instance. To be called while the service
 * worker's script runs for the first time: browsers take no listeners later.
 */
export function handleBackgroundSync(config) {
  const given = typeof config === "function" ? config : () => config;
  // One at a time: instances of one name are shared, and the first to end would close it for the next.
  let last = Promise.resolve();
  const answer = (event) => {
    const { tag } = event;
    if (!tag?.startsWith(PREFIX)) return;
    const run = last.then(() => given()).then((config) => (tag === PREFIX + (config?.name ?? "datum") ? synchronize(config) : undefined));
    last = run.catch(() => {});
    // What rejects here is tried again by the browser, later and less and less often.
    event.waitUntil(run);
  };
  addEventListener("sync", answer);
  addEventListener("periodicsync", answer);
}

const PREFIX = "datum-sync:";

async function synchronize(config) {
  const { initialUserId, autoStartSync, realtime, backgroundSync, ...rest } = config;
  const userId = typeof initialUserId === "function" ? await initialUserId() : initialUserId;
  // Headers are those of whoever is signed in. What waits for other users waits on.
  if (userId === undefined || userId === null) return;
  const datum = await Datum.initialize({ ...rest, flushOnLeave: false });
  try {
    const { isSuccess, wasSkipped, skipReason, pendingOperations, error } = await datum.synchronize(userId);
    // Nothing to be done here is no failure; a network that has gone again is.
    const isDone = wasSkipped ? skipReason !== "offline" : isSuccess || pendingOperations === 0;
    if (!isDone) throw new DatumError(error?.code ?? "network", error?.message ?? "The sync in the background did not finish.");
  } finally {
    await datum.close();
  }
}
