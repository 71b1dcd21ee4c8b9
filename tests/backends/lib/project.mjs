// The project that most tests sync with: a `tasks` table with teams and row-level security, under the SQL kit.
import { readFileSync } from "node:fs";
import { freePort } from "../../e2e/lib/ports.mjs";
import { atEnd } from "./cleanup.mjs";
import { startBackend } from "./backend.mjs";
import { kit } from "./kit.mjs";

const sql = (name) => readFileSync(new URL(`../sql/${name}`, import.meta.url), "utf8");

/** Starts a project on free ports, which ends with the file's tests. With `isPlain`, there is no kit in it. */
export async function startProject({ isPlain = false, migrations = [], ...options } = {}) {
  const ports = { postgres: await freePort(), postgrest: await freePort(), gateway: await freePort() };
  const own = isPlain ? [] : [sql("app.sql"), kit(), sql("attach.sql")];
  const backend = await startBackend({ ports, migrations: [...own, ...migrations], ...options });
  atEnd(() => backend.stop());
  return backend;
}
