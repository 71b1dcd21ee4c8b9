// The libraries for SQLite that are here: better-sqlite3 where npm could install it, and `node:sqlite` from Node 22.5 on.

/** Returns for each its name and a function that opens a file. */
export async function sqliteDrivers() {
  const found = [];
  const better = await import("better-sqlite3").catch(() => undefined);
  if (better !== undefined) found.push({ name: "better-sqlite3", open: (file) => new better.default(file) });
  const builtIn = await import("node:sqlite").catch(() => undefined);
  if (builtIn !== undefined) found.push({ name: "node:sqlite", open: (file) => new builtIn.DatabaseSync(file) });
  return found;
}
