// Free ports, below the range that the system uses for outgoing connections.
import { createServer } from "node:net";

const FIRST = 21_000;
const LAST = 32_000;
// Processes that begin one after the other, and run at once, look in different places.
const APART = 197;
let next = FIRST + ((process.pid * APART) % (LAST - FIRST));

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/** Returns a free port of 127.0.0.1, a different one at each call. */
export async function freePort() {
  for (let left = LAST - FIRST; left > 0; left--) {
    const port = next;
    next = next + 1 < LAST ? next + 1 : FIRST;
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port from ${FIRST} to ${LAST}`);
}
