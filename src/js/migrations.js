// The entry for migrations that are checked where they are written. A config takes them as a bare array as well.

import { DatumError } from "./index.js";
import { chainOf } from "./migration-chain.js";

/** Returns the migrations of a config. */
export function migrations(list) {
  return chainOf(list, DatumError);
}
