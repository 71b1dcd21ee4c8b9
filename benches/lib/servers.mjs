// The servers that B11 compares, each on a new database: datum-server on SQLite and on PostgreSQL, the package's own in Node, and the SQL kit behind PostgREST.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { programs } from "../../tests/backends/lib/postgres.mjs";
import { start } from "../../tests/e2e/lib/child.mjs";
import { freePort } from "../../tests/e2e/lib/ports.mjs";
import { overHttp, startRemote } from "./remote.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** datum-server on a new file. */
export async function onFile(bench, name) {
  return [await startRemote(await folderOf(bench, name))];
}

/** `count` processes of datum-server on a new database of a cluster. `args` are further options. */
export async function onPostgres(bench, cluster, name, count = 1, args = []) {
  const database = databaseOf(cluster, `${name}-${count}-${args.length}`);
  const servers = [];
  for (let one = 0; one < count; one += 1) servers.push(await startRemote(bench.folder, { database, args }));
  return servers;
}

/** `createSyncHandler` of the packed package behind Node's own server, on a new file. */
export async function inNode(bench, name) {
  const database = join(await folderOf(bench, `node-${name}`), "datum.db");
  const server = await start(process.execPath, [here("../../tests/e2e/lib/node-backend.mjs"), "--dev", "--listen", `127.0.0.1:${await freePort()}`, "--database", database]);
  return [overHttp(server)];
}

/** PostgREST over the SQL kit with documents, on a new database of a cluster; without the gateway. */
export async function behindPostgrest(cluster, name) {
  const [{ default: pg }, { startPostgrest }, { sign }] = await Promise.all([import("../../tests/backends/node_modules/pg/lib/index.js"), import("../../tests/backends/lib/postgrest.mjs"), import("../../tests/backends/gateway/token.mjs")]);
  const database = `kit-${name}`;
  const url = databaseOf(cluster, database);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    // Roles are the whole cluster's.
    if (!cluster.hasRoles) await client.query(text("../../tests/backends/sql/roles.sql"));
    cluster.hasRoles = true;
    await client.query(text("../../tests/backends/sql/project.sql"));
    await client.query(`grant create on database "${database}" to postgres; alter schema public owner to postgres; set role postgres`);
    await client.query(kit());
    await client.query("select datum.documents(true)");
  } finally {
    await client.end();
  }
  // Its program is copied there, and a running one cannot be written over.
  const folder = join(cluster.folder, database);
  await mkdir(folder);
  const secret = "a secret of this benchmark only, and of nothing else";
  const postgrest = await startPostgrest({ port: await freePort(), database: url.replace("supabase_admin", "authenticator"), secret, folder });
  const userOf = (user) => {
    const hex = createHash("md5").update(user).digest("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  };
  const token = async (user) => `Bearer ${sign({ sub: userOf(user), role: "authenticated", exp: Math.floor(Date.now() / 1_000) + 86_400 }, secret)}`;
  return [overHttp(postgrest, { token, userOf, pathOf: (call) => `${postgrest.url}/rpc/datum_${call}` })];
}

/** Makes a database, and returns its address. */
function databaseOf(cluster, name) {
  execFileSync(join(programs(), "createdb"), ["-h", "127.0.0.1", "-p", String(cluster.port), "-U", "supabase_admin", name]);
  return `${cluster.url.slice(0, cluster.url.lastIndexOf("/"))}/${name}`;
}

async function folderOf(bench, name) {
  const folder = join(bench.folder, name);
  await mkdir(folder);
  return folder;
}

const text = (path) => readFileSync(here(path), "utf8");

/** The SQL kit as it is shipped: its files in the order of their names. */
function kit() {
  const folder = here("../../server/sql/kit/");
  const names = readdirSync(folder).sort();
  return names.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
}
