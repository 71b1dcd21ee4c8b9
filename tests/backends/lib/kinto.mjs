// Kinto, in memory and on loopback. `DATUM_KINTO` names its program; `cargo xtask backends` installs it.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../e2e/lib/ports.mjs";

const PROGRAM = process.env.DATUM_KINTO ?? "";

/** Why its tests are skipped, or false. */
export const noKinto = existsSync(PROGRAM) ? false : `Kinto is not here: DATUM_KINTO must name its program, which \`cargo xtask backends test\` installs from PyPI${PROGRAM ? `; there is no ${PROGRAM}` : ""}`;

const settings = (port) => `
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.includes = kinto.plugins.default_bucket
kinto.bucket_create_principals = system.Authenticated
kinto.userid_hmac_secret = of tests only
multiauth.policies = basicauth
multiauth.policy.basicauth.use = kinto.core.authentication.BasicAuthAuthenticationPolicy
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = ${port}
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
`;

/** Starts it, and waits until it answers. A user is any name, by the header that `headers(name)` returns. */
export async function startKinto() {
  const [port, folder] = [await freePort(), mkdtempSync(join(tmpdir(), "datum-kinto-"))];
  const file = join(folder, "kinto.ini");
  writeFileSync(file, settings(port));
  const server = spawn(PROGRAM, ["start", "--ini", file, "--port", String(port)], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => server.once("close", resolve));
  let said = "";
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (bytes) => (said = (said + bytes).slice(-20_000)));
  const kill = () => server.kill("SIGKILL");
  process.once("exit", kill);
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    kill();
    await ended;
    process.off("exit", kill);
    rmSync(folder, { recursive: true, force: true });
  };
  for (const end = Date.now() + 60_000; ; ) {
    const answer = await fetch(`${url}/v1/__lbheartbeat__`).catch(() => undefined);
    if (answer?.ok) break;
    if (server.exitCode !== null || Date.now() > end) {
      await stop();
      throw new Error(`Kinto does not answer:\n${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { url, stop, said: () => said, headers: (name) => ({ authorization: `Basic ${Buffer.from(`${name}:secret`).toString("base64")}` }) };
}
