// The packed package's own server as a program with the options of `datum-server --dev`, for the tests of pages: `DATUM_STORE` is `memory`,
// or `sqlite` for the first library that is here.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { tarball } from "./environment.mjs";
import { sqliteDrivers } from "./sqlite-drivers.mjs";
import { answerFile } from "./static.mjs";

const text = { type: "string" };
const { values } = parseArgs({ options: { dev: { type: "boolean" }, listen: text, rate: text, database: text, static: text } });
const folder = mkdtempSync(join(tmpdir(), "datum-node-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
execFileSync("tar", ["xzf", tarball(), "-C", folder]);
const load = (file) => import(pathToFileURL(join(folder, "package", file)));
const [{ createSyncHandler, memoryStore, sqliteStore, toNodeHandler }, { issueTokens }, { isLoopbackOrigin }] = [await load("server/index.js"), await load("cli/tokens.js"), await load("cli/loopback.js")];

const [driver] = process.env.DATUM_STORE === "memory" ? [] : await sqliteDrivers();
const tokens = issueTokens();
const handler = createSyncHandler({
  store: driver === undefined ? memoryStore() : sqliteStore(driver.open(values.database)),
  authenticate: (request) => tokens.check(request.headers.get("authorization")),
  allowOrigins: isLoopbackOrigin,
});
const sync = toNodeHandler(handler);
const token = toNodeHandler(async (request) => {
  const [status, body] = await tokens.issue(request);
  const origin = request.headers.get("origin");
  return new Response(JSON.stringify(body), { status, headers: origin === null ? {} : { "access-control-allow-origin": origin } });
});
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://any.example");
  if (pathname === "/dev/token" && request.method === "POST") void token(request, response);
  else if (values.static === undefined || pathname.startsWith("/sync/v1/") || request.method === "OPTIONS") void sync(request, response);
  else void answerFile(values.static, decodeURIComponent(pathname), response);
});
// A request soon after the last one is not met by a connection that ends.
server.keepAliveTimeout = 75_000;
const [host, port] = values.listen.split(":");
server.listen(Number(port), host, () => console.log(`listening on http://${values.listen}`));
process.once("SIGTERM", () => process.exit(0));
