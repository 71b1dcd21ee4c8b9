// Free ports, below the range that the system uses for outgoing connections.
import { createServer } from "node:net";

const FIRST = 21_000;
const LAST = 32_000;
let next = FIRST + (process.pid % 5_000);

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/** Returns a free port of 127.0.0.1, a different one at each call. */
export async function freePort() {
  while (next < LAST) {
    const port = next++;
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port below ${LAST}`);
}
