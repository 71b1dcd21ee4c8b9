// The libraries for SQLite that are here: better-sqlite3 where npm could install it, and `node:sqlite` from Node 22.5 on. The first is compiled
// for minutes on some machines, so it is a package of `tests/backends`: packing needs those of `tests/e2e`.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../backends/package.json", import.meta.url));

/** Where better-sqlite3 is, if it is here. */
export function betterSqlite3() {
  try {
    return require.resolve("better-sqlite3/package.json").replace(/.package\.json$/, "");
  } catch {
    return undefined;
  }
}

/** Returns for each its name and a function that opens a file. */
export async function sqliteDrivers() {
  const found = [];
  if (betterSqlite3() !== undefined) found.push({ name: "better-sqlite3", open: (file) => new (require("better-sqlite3"))(file) });
  const builtIn = await import("node:sqlite").catch(() => undefined);
  if (builtIn !== undefined) found.push({ name: "node:sqlite", open: (file) => new builtIn.DatabaseSync(file) });
  return found.filter(({ open }) => works(open));
}

/** Whether it can open anything: what was installed for another Node cannot. */
function works(open) {
  try {
    open(":memory:").close();
    return true;
  } catch {
    return false;
  }
}
