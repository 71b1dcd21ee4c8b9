// `node main.mjs up FILE` starts a project in the background and writes its process ids to FILE; `down FILE` ends those; `serve` is
// what `up` starts. `cargo xtask backends` calls this.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { PORTS, startBackend } from "./lib/backend.mjs";

const [command, file, ...migrations] = process.argv.slice(2);
const ports = Object.fromEntries(Object.entries(PORTS).map(([name, port]) => [name, Number(process.env[`DATUM_${name.toUpperCase()}_PORT`] ?? port)]));
const log = `${file}.log`;

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
};

async function up() {
  if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).pids.some(isAlive)) {
    console.log(`It runs already: ${JSON.parse(readFileSync(file, "utf8")).url}`);
    return;
  }
  rmSync(file, { force: true });
  const output = openSync(log, "w");
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "serve", file, ...migrations.map((path) => resolve(path))], { detached: true, stdio: ["ignore", output, output] });
  child.unref();
  const end = Date.now() + 60_000;
  while (!existsSync(file)) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`The backends did not start. ${readFileSync(log, "utf8").trim()}`);
    await new Promise((done) => setTimeout(done, 100));
  }
  const { url, anonKey, database } = JSON.parse(readFileSync(file, "utf8"));
  console.log(`Supabase's address:  ${url}\nanon key:            ${anonKey}\nPostgreSQL:          ${database}\nFaults:              curl ${url}/gateway/faults -d '{"on": "datum_push", "kind": "drop"}'`);
}

/** Says in one line what keeps the backends from starting, if it is one of the usual things. */
async function checkPorts() {
  for (const [name, port] of Object.entries(ports)) {
    await new Promise((resolve, reject) => {
      const probe = createServer();
      probe.once("error", () => reject(new Error(`Port ${port} of 127.0.0.1, for ${name}, is in use. DATUM_${name.toUpperCase()}_PORT names another one.`)));
      probe.listen(port, "127.0.0.1", () => probe.close(resolve));
    });
  }
}

async function serve() {
  const missing = migrations.find((path) => !existsSync(path));
  if (missing !== undefined) throw new Error(`There is no ${missing}.`);
  await checkPorts();
  const texts = migrations.map((path) => readFileSync(path, "utf8"));
  const backend = await startBackend({ ports, migrations: texts }).catch((error) => {
    if (error.migration === undefined) throw error;
    const line = texts[error.migration].slice(0, Number(error.position ?? 1)).split("\n").length;
    throw new Error(`${migrations[error.migration]}, line ${line}: ${[error.message, error.detail, error.hint].filter(Boolean).join(" ")}`);
  });
  const pids = [process.pid, backend.postgrest.pid(), backend.postgres.pid()];
  let isEnding = false;
  const end = async () => {
    if (isEnding) return;
    isEnding = true;
    await backend.stop().catch(() => {});
    rmSync(file, { force: true });
    process.exit(0);
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  writeFileSync(file, JSON.stringify({ url: backend.url, anonKey: backend.anonKey, serviceKey: backend.serviceKey, database: backend.postgres.url.replace("supabase_admin", "postgres"), pids }));
}

async function down() {
  if (!existsSync(file)) return void console.log("Nothing runs.");
  const { pids } = JSON.parse(readFileSync(file, "utf8"));
  const [main, ...others] = pids;
  if (isAlive(main)) process.kill(main, "SIGTERM");
  const end = Date.now() + 15_000;
  while (pids.some(isAlive) && Date.now() < end) await new Promise((done) => setTimeout(done, 50));
  for (const pid of others.filter(isAlive)) process.kill(pid, "SIGKILL");
  rmSync(file, { force: true });
  console.log("The backends have ended.");
}

await { up, serve, down }[command]().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
