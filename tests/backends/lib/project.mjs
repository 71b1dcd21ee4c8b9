// The project that most tests sync with: a `tasks` table with teams and row-level security, under the SQL kit.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../e2e/lib/ports.mjs";
import { atEnd } from "./cleanup.mjs";
import { startBackend } from "./backend.mjs";

const KIT = process.env.DATUM_KIT ?? fileURLToPath(new URL("../../../server/sql/kit/", import.meta.url));
const sql = (name) => readFileSync(new URL(`../sql/${name}`, import.meta.url), "utf8");

/** The SQL kit as one file. */
export function kit() {
  const names = readdirSync(KIT).filter((name) => name.endsWith(".sql"));
  return names.sort().map((name) => readFileSync(join(KIT, name), "utf8")).join("\n");
}

/** Starts a project on free ports, which ends with the file's tests. With `isPlain`, there is no kit in it. */
export async function startProject({ isPlain = false, migrations = [], ...options } = {}) {
  const ports = { postgres: await freePort(), postgrest: await freePort(), gateway: await freePort() };
  const own = isPlain ? [] : [sql("app.sql"), kit(), sql("attach.sql")];
  const backend = await startBackend({ ports, migrations: [...own, ...migrations], ...options });
  atEnd(() => backend.stop());
  return backend;
}
