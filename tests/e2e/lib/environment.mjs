// The environment variables that `cargo xtask test` sets: where the built programs and the package are.
import { existsSync } from "node:fs";
import { withTraces } from "./traces.mjs";

function pathFrom(name, what) {
  const path = process.env[name];
  if (!path || !existsSync(path)) {
    throw new Error(`${name} must name ${what}${path ? `; there is no ${path}` : ""}. \`cargo xtask test\` sets it.`);
  }
  return path;
}

/** Returns the path of the datum-server program. */
export const serverProgram = () => pathFrom("DATUM_SERVER", "the datum-server program");
/** Returns the path of the packed package; see `traces.mjs`. */
export const tarball = () => withTraces(pathFrom("DATUM_TARBALL", "the packed datum-sync tarball"));
/** Returns the path of Chromium. */
export const chromiumProgram = () => pathFrom("CHROMIUM", "the Chromium program");
