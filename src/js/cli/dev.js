// `npx datum-sync dev`: a sync server for development, with tokens for any user, in memory or in a file.

import { createServer } from "node:http";
import { createSyncHandler, memoryStore, toNodeHandler } from "../server/index.js";
import { CommandError, UsageError, whole } from "./dispatch.js";
import { openJournal } from "./journal.js";
import { isLoopbackHost, isLoopbackOrigin } from "./loopback.js";
import { whenOrphaned } from "./parents.js";
import { issueTokens } from "./tokens.js";

export const options = {
  listen: { value: "ADDR", about: "address and port, loopback only; port 0 picks a free one and prints it", initial: "127.0.0.1:8787", read: address },
  file: { value: "FILE", about: "keep the data in this file, created if missing; without it, the data ends with the process" },
  "allow-origin": { value: "ORIGIN", about: "an origin beside those of this machine that may send requests, such as https://app.example", many: true, read: origin },
  entity: { value: "NAME", about: "an entity type that may be written; any without it", many: true },
  "min-schema": { value: "N", about: "the oldest schema version of the app that may sync", initial: 0, read: whole(0, 2_147_483_647) },
  quiet: { about: "print no line for each request" },
};

export const notes = `POST /dev/token with {"userId": "ada"} gives a token for that user, to anyone on this machine: NEVER use it in production.
For a server of your own, see docs/node-server.md.`;

/** Reads `host:port`. */
function address(text, option) {
  const [, host, port] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535) throw new UsageError(`${option} ${text}: give an address and a port, such as 127.0.0.1:8787.`);
  if (!isLoopbackHost(host)) throw new UsageError(`${option} ${text}: the server gives anyone a token for any user, so it listens on loopback only. Use 127.0.0.1.`);
  return text;
}

function origin(text, option) {
  if (text === "*" || /^https?:\/\/[^/]+\/?$/.test(text)) return text;
  throw new UsageError(`${option} ${text}: give scheme, host and port only, such as https://app.example.`);
}

export async function run(values, io) {
  const journal = values.file === undefined ? undefined : openJournal(values.file, io.err);
  try {
    await serve(values, journal, io);
  } finally {
    journal?.close();
  }
}

async function serve(values, journal, io) {
  const tokens = issueTokens();
  const store = memoryStore({
    minSchema: values.minSchema,
    ...(values.entity.length > 0 ? { entities: values.entity } : {}),
    ...(journal === undefined ? {} : { serverId: journal.serverId, epoch: journal.epoch, journal }),
  });
  await opened(store, journal);
  const allowed = values.allowOrigin.map((one) => one.replace(/\/$/, ""));
  const handler = createSyncHandler({
    store,
    authenticate: (request) => tokens.check(request.headers.get("authorization")),
    allowOrigins: (one) => isLoopbackOrigin(one) || allowed.includes("*") || allowed.includes(one),
    onError: (error) => io.err(`datum-sync: ${error?.stack ?? error}`),
  });
  const answer = toNodeHandler(withTokens(handler, tokens));
  const server = createServer((request, response) => {
    if (!values.quiet) response.on("close", () => io.err(`${request.method} ${request.url} ${response.statusCode}`));
    void answer(request, response);
  });
  // As datum-server: a browser's next request soon after is not met by a connection that ends.
  server.keepAliveTimeout = 75_000;
  const [, host, port] = /^(.*):(\d+)$/.exec(values.listen);
  await listening(server, host.replace(/^\[|\]$/g, ""), Number(port));
  const bound = server.address();
  const at = `http://${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`;
  io.err(`*** DEVELOPMENT: ${at}/dev/token gives anyone on this machine a token for any user. ***`);
  if (journal === undefined) io.err("The data is in memory and ends with this process; --file FILE keeps it.");
  io.out(`listening on ${at}`);
  await signalled();
  handler.close();
  server.close();
  server.closeIdleConnections?.();
  const late = setTimeout(() => server.closeAllConnections?.(), 2_000);
  await new Promise((resolve) => server.on("close", resolve));
  clearTimeout(late);
}

/** Opens the store, so that a file that cannot be read is said at once. */
async function opened(store, journal) {
  try {
    await store.open();
  } catch (error) {
    if (error?.name !== "JournalError") throw error;
    throw new CommandError(`${journal.file}: line ${error.line + 1} cannot be read: ${error.cause?.message ?? error.cause}. Nothing was changed. A later version of datum-sync may have written it.`);
  }
}

/** The handler, with `POST /dev/token` beside it. */
function withTokens(handler, tokens) {
  const answer = async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== "/dev/token") return handler(request);
    // Its preflight is like any other.
    if (request.method === "OPTIONS") return handler(request);
    const headers = { "content-type": "application/json", "cache-control": "no-store, no-transform" };
    const from = request.headers.get("origin");
    if (from !== null && isLoopbackOrigin(from)) Object.assign(headers, { "access-control-allow-origin": from, vary: "origin" });
    const [status, body] = await tokens.issue(request);
    return new Response(JSON.stringify(body), { status, headers });
  };
  return Object.assign(answer, { hint: handler.hint, close: handler.close });
}

function listening(server, host, port) {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(new CommandError(`Cannot listen on ${host}:${port}: ${error.code === "EADDRINUSE" ? "another program does. Use --listen with another port" : error.message}.`)));
    server.listen(port, host, resolve);
  });
}

/** Resolves when the server is to end. */
function signalled() {
  return new Promise((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
    // A signal that npm or npx gets ends it and perhaps its shell, which pass nothing on: the server would keep the port and the file.
    if (process.env.npm_lifecycle_event !== undefined) whenOrphaned(resolve);
  });
}
