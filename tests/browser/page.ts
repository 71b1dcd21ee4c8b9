// What the browser tells a page or a worker, changed for a test.

/** Sets `document.visibilityState`; without a state, the browser's own again. */
export function setVisibility(state?: DocumentVisibilityState): void {
  if (state === undefined) delete (document as { visibilityState?: unknown }).visibilityState;
  else Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
}

/** Dispatches an event on the window or the worker. */
export function fire(event: string): void {
  dispatchEvent(new Event(event));
}

export function fireAtDocument(event: string): void {
  document.dispatchEvent(new Event(event));
}

/** Dispatches `pagehide` or `pageshow`. */
export function turnPage(event: string, persisted: boolean): void {
  dispatchEvent(new PageTransitionEvent(event, { persisted }));
}

/** Ways to have no Web Locks. */
const NO_LOCKS = {
  missing: undefined,
  rejecting: { request: () => Promise.reject(new DOMException("no", "SecurityError")) },
  throwing: {
    request() {
      throw new TypeError("no");
    },
  },
};

/** Replaces Web Locks until `restoreLocks`. */
export function replaceLocks(kind: keyof typeof NO_LOCKS): void {
  Object.defineProperty(navigator, "locks", { value: NO_LOCKS[kind], configurable: true });
}

export function restoreLocks(): void {
  delete (navigator as { locks?: unknown }).locks;
}

/** Holders and waiters of an app's lock, as the browser has them. */
export async function lockCounts(app: string): Promise<string> {
  const { held, pending } = await navigator.locks.query();
  const count = (all: LockInfo[] = []) => all.filter((lock) => lock.name?.endsWith(app)).length;
  return `${count(held)},${count(pending)}`;
}

export function hasStorageEstimate(): boolean {
  return typeof navigator.storage?.estimate === "function";
}

const clear = globalThis.clearTimeout;
let cleared = 0;

/** Counts cleared timers until `clearedTimers`. */
export function countClearedTimers(): void {
  cleared = 0;
  globalThis.clearTimeout = (id) => {
    cleared++;
    clear(id);
  };
}

export function clearedTimers(): number {
  globalThis.clearTimeout = clear;
  return cleared;
}

/** Sets `navigator.onLine`; without a value, the browser's own again. */
export function setOnline(online?: boolean): void {
  if (online === undefined) delete (navigator as { onLine?: unknown }).onLine;
  else Object.defineProperty(navigator, "onLine", { get: () => online, configurable: true });
}
