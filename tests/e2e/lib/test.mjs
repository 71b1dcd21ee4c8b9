// node:test, with an end for everything: a promise that never settles fails its test, and the next one runs.
import * as node from "node:test";
import { isLeftOut } from "./traces.mjs";

// An honest test takes seconds, and some of them a minute on a busy machine.
const TEST_MS = 180_000;
const HOOK_MS = 120_000;
/** How long a file may take to exit after its last test, whatever it has left open. */
const EXIT_MS = 30_000;

node.after(() => void setTimeout(() => process.exit(1), EXIT_MS + HOOK_MS).unref());

/** Declares what runs before or after the tests; nothing in a file that is left out. */
const hook = (declare) => (work) => void (isLeftOut || declare(work, { timeout: HOOK_MS }));
export const before = hook(node.before);
export const after = hook(node.after);

/** Declares a test, with or without options. */
export const test = (name, options, work = options) =>
  node.test(name, { timeout: TEST_MS, ...(work === options ? {} : options), ...(isLeftOut ? { skip: true } : {}) }, work);

/** Rejects if the promise has not settled in time; `what` names it. */
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not within ${ms / 1000} s: ${what}`)), ms)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
