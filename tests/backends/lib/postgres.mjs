// PostgreSQL in a temporary folder, run by an account without rights.
import { execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MISSING = `PostgreSQL is not here. Install its server, version 14 or later:
  Debian and Ubuntu: sudo apt-get install postgresql
  Fedora:            sudo dnf install postgresql-server
  macOS:             brew install postgresql
Or set PG_BIN to the folder of initdb and postgres.`;

/** Returns the folder of PostgreSQL's programs, the newest version. */
export function programs() {
  const found = [process.env.PG_BIN];
  for (const root of ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/usr/pgsql"]) {
    if (!existsSync(root)) continue;
    const versions = readdirSync(root).filter((name) => /^(postgresql(@\d+)?|\d+)$/.test(name));
    versions.sort((a, b) => Number(b.replace(/\D/g, "") || 0) - Number(a.replace(/\D/g, "") || 0));
    found.push(...versions.map((name) => join(root, name, "bin")));
  }
  found.push(...(process.env.PATH ?? "").split(":"));
  const folder = found.find((folder) => folder && existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")));
  if (folder === undefined) throw new Error(MISSING);
  return folder;
}

/** The account that servers run as: another one if this is root, which PostgreSQL refuses. */
export function account() {
  if (process.getuid?.() !== 0) return {};
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // No such account here.
    }
  }
  throw new Error("PostgreSQL does not run as root, and there is no account `postgres` or `nobody` here.");
}

const SETTINGS = { fsync: "off", listen_addresses: "127.0.0.1", max_connections: "60", log_min_messages: "warning", timezone: "UTC" };

/** Makes a cluster and starts it. `url` is the superuser's connection string for the database `postgres`, whose name is another, as there. */
export async function startPostgres(port, settings = {}) {
  const [bin, user, folder] = [programs(), account(), mkdtempSync(join(tmpdir(), "datum-backend-"))];
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, "data");
  const output = { cwd: folder, stdio: ["ignore", "pipe", "pipe"], ...user };
  execFileSync(join(bin, "initdb"), ["-D", data, "-A", "trust", "-U", "supabase_admin", "--locale=C.UTF-8", "--encoding=UTF8"], output);
  let server;
  let said = "";
  // However this process ends, unless it is killed, PostgreSQL ends with it, and its folder goes.
  const cleanUp = () => {
    server?.child.kill("SIGQUIT");
    // Nothing can be awaited any more. It removes this file as the last thing.
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let tries = 0; tries < 100 && existsSync(join(data, "postmaster.pid")); tries++) Atomics.wait(pause, 0, 0, 30);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once("exit", cleanUp);
  const launch = async () => {
    const options = Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = spawn(join(bin, "postgres"), ["-D", data, "-p", String(port), "-k", folder, ...options], output);
    server = { child, ended: new Promise((resolve) => child.once("close", resolve)) };
    await new Promise((resolve, reject) => {
      const read = (bytes) => {
        said = (said + bytes).slice(-20_000);
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.once("close", () => reject(new Error(`PostgreSQL ended:\n${said}`)));
      const end = Date.now() + 30_000;
      const probe = () => {
        try {
          execFileSync(join(bin, "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
          resolve();
        } catch {
          if (Date.now() > end) reject(new Error(`PostgreSQL does not answer:\n${said}`));
          else setTimeout(probe, 50);
        }
      };
      probe();
    });
  };
  await launch().catch((error) => {
    process.off("exit", cleanUp);
    cleanUp();
    throw error;
  });
  return {
    url: `postgres://supabase_admin@127.0.0.1:${port}/postgres`,
    folder,
    port,
    pid: () => server.child.pid,
    said: () => said,
    /** Ends it as a power cut does, or with `SIGINT` in order. */
    async end(signal = "SIGKILL") {
      server.child.kill(signal);
      await server.ended;
    },
    start: launch,
    async stop() {
      server.child.kill("SIGQUIT");
      await server.ended;
      process.off("exit", cleanUp);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
