// What `cargo xtask test` tells the end-to-end tests: where the built things are.
import { existsSync } from "node:fs";

function place(name, what) {
  const path = process.env[name];
  if (!path || !existsSync(path)) {
    throw new Error(`${name} must name ${what}${path ? `; there is no ${path}` : ""}. \`cargo xtask test\` sets it.`);
  }
  return path;
}

/** The datum-server program. */
export const serverProgram = () => place("DATUM_SERVER", "the datum-server program");
/** The packed npm package. */
export const tarball = () => place("DATUM_TARBALL", "the packed datum-sync tarball");
/** The Chromium program. */
export const chromiumProgram = () => place("CHROMIUM", "the Chromium program");
