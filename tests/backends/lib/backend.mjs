// A Supabase project on this machine: PostgreSQL, PostgREST and the gateway, on loopback.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { startGateway } from "../gateway/gateway.mjs";
import { startPostgres } from "./postgres.mjs";
import { startPostgrest } from "./postgrest.mjs";

export const SECRET = "a secret of this machine only, and of nothing else";
export const PORTS = { postgres: 15532, postgrest: 13100, gateway: 13101 };

const read = (path) => readFileSync(path instanceof URL ? fileURLToPath(path) : path, "utf8");
const sql = (name) => read(new URL(`../sql/${name}`, import.meta.url));

/**
 * Starts everything. `migrations` are SQL texts, run in order as `postgres` in a new project. `query(text, values)` runs as the superuser,
 * `as(userId, text)` as an app's user does.
 */
export async function startBackend({ ports = PORTS, migrations = [], maxRows, tokenSeconds, settings } = {}) {
  const started = [];
  const stop = async () => {
    for (const part of started.reverse()) await part.stop();
  };
  try {
    const postgres = await startPostgres(ports.postgres, settings);
    started.push(postgres);
    const admin = new pg.Pool({ connectionString: postgres.url, max: 4 });
    admin.on("error", () => {});
    admin.on("connect", (client) => client.on("error", () => {}));
    started.push({ stop: () => admin.end() });
    const query = (text, values) => admin.query(text, values);
    for (const name of ["roles.sql", "project.sql"]) await query(sql(name));
    const migrate = async (text) => {
      const client = new pg.Client({ connectionString: postgres.url.replace("supabase_admin", "postgres") });
      await client.connect();
      await client.query(text).finally(() => client.end());
    };
    for (const [migration, text] of migrations.entries()) {
      await migrate(text).catch((error) => {
        throw Object.assign(error, { migration });
      });
    }
    const postgrest = await startPostgrest({ port: ports.postgrest, database: `postgres://authenticator@127.0.0.1:${ports.postgres}/postgres`, secret: SECRET, folder: postgres.folder, maxRows });
    started.push(postgrest);
    const gateway = await startGateway({ port: ports.gateway, postgrest: postgrest.url, database: postgres.url, secret: SECRET, tokenSeconds });
    started.push(gateway);
    return {
      url: gateway.url,
      anonKey: gateway.keys.anon,
      serviceKey: gateway.keys.service,
      gateway,
      postgres,
      postgrest,
      query,
      /** Runs SQL as `postgres`, as a migration or the dashboard's editor does. */
      migrate,
      /** Runs a statement as a signed-in user, with their row-level security. */
      async as(userId, text, values) {
        const client = await admin.connect();
        try {
          await client.query("begin");
          await client.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify({ sub: userId, role: "authenticated" })]);
          await client.query("set local role authenticated");
          const result = await client.query(text, values);
          await client.query("commit");
          return result;
        } catch (error) {
          await client.query("rollback").catch(() => {});
          throw error;
        } finally {
          client.release();
        }
      },
      /** PostgREST knows new tables and functions after this. */
      async reload() {
        await query("notify pgrst, 'reload schema'");
        await new Promise((resolve) => setTimeout(resolve, 300));
        const { rows } = await query("select to_regproc('public.datum_pull') is not null as known");
        // A busy machine takes longer. Without a right to call it, a function is refused by another status than an unknown one.
        const isKnown = () => fetch(`${postgrest.url}/rpc/datum_pull`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }).then(({ status }) => status !== 404);
        for (const end = Date.now() + 20_000; (await isKnown()) !== rows[0].known && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 100));
      },
      stop,
    };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}
