// Timers, where the runtime has them.

/** @internal Calls back once after a time, or never in a runtime without timers. Returns what takes that back. */
export function after(ms: number, call: () => void): () => void {
  if (typeof setTimeout !== "function") return () => {};
  const timer: unknown = setTimeout(call, Math.min(ms, 2_147_483_647));
  // A process that has nothing else to do may end.
  (timer as { unref?: () => void }).unref?.();
  return () => clearTimeout(timer as number);
}
