// What stands before a Supabase project: one address with `/rest/v1` (PostgREST), `/auth/v1` and `/realtime/v1`, api keys and CORS.
// Faults are turned on by tests, or with `POST /gateway/faults`.
import { createServer, request as ask } from "node:http";
import pg from "pg";
import { Accounts } from "./accounts.mjs";
import { Faults } from "./faults.mjs";
import { Realtime } from "./realtime.mjs";
import { sign, verify } from "./token.mjs";

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS",
  // What PostgREST and the real gateway expose. `Retry-After` is not among them.
  "access-control-expose-headers": "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, Range-Unit",
};
const FORWARDED = new Set(["authorization", "content-type", "accept", "prefer", "range", "range-unit", "accept-profile", "content-profile", "x-client-info"]);
const HOP = new Set(["connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"]);

/** Starts the gateway on 127.0.0.1. `database` is a connection string of a superuser. */
export async function startGateway({ port, postgrest, database, secret, tokenSeconds = 3600 }) {
  const pool = new pg.Pool({ connectionString: database, max: 6 });
  // Tests kill the database: each connection may break at any time.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const accounts = new Accounts({ database: pool, secret, tokenSeconds });
  const realtime = new Realtime({ database: pool, secret });
  const faults = new Faults();
  let listener;
  let hasStopped = false;
  async function listen() {
    const client = new pg.Client({ connectionString: database });
    client.on("error", () => {});
    await client.connect();
    await realtime.start(client);
    listener = client;
    client.on("end", () => void again());
  }
  async function again() {
    while (!hasStopped) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      if (await listen().then(() => true, () => false)) return;
    }
  }
  await listen();

  const key = (role) => sign({ iss: "gateway", role, exp: 4_102_444_800 }, secret);
  const keys = { anon: key("anon"), service: key("service_role") };
  const requests = [];

  async function answer(request, response) {
    const url = new URL(request.url, "http://gateway");
    for (const [name, value] of Object.entries(CORS)) response.setHeader(name, value);
    if (request.method === "OPTIONS") {
      response.setHeader("access-control-allow-headers", request.headers["access-control-request-headers"] ?? "*");
      return void response.writeHead(204).end();
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (url.pathname.startsWith("/gateway/")) return control(url, bytes.toString(), response);

    const line = `${request.method} ${url.pathname}`;
    const record = { method: request.method, path: url.pathname, query: url.search, text: bytes.toString(), headers: request.headers, status: 0 };
    requests.push(record);
    if (requests.length > 10_000) requests.splice(0, 5_000);
    response.on("finish", () => (record.status = response.statusCode));
    const fault = faults.take(line, bytes.length);
    if (faults.instead(fault, response)) return;
    const apikey = request.headers.apikey ?? url.searchParams.get("apikey") ?? undefined;
    if (apikey === undefined || verify(apikey, secret) === null) {
      return json(response, 401, { message: apikey === undefined ? "No API key found in request" : "Invalid API key", hint: "No `apikey` request header or url param was found." });
    }
    if (url.pathname.startsWith("/auth/v1/")) {
      const { status, body } = await accounts.answer({ method: request.method, url, headers: request.headers, text: bytes.toString() });
      const text = body === undefined ? "" : JSON.stringify(body);
      return faults.pass(fault, response, { status, headers: { "content-type": "application/json" }, bytes: Buffer.from(text) });
    }
    if (!url.pathname.startsWith("/rest/v1")) return json(response, 404, { message: "no Route matched with those values" });
    const { problem } = accounts.check(request.headers.authorization ?? `Bearer ${apikey}`);
    // As PostgREST 13 and later; 12 lets a token live 30 seconds longer.
    if (problem !== undefined) return json(response, 401, { code: problem === "JWT expired" ? "PGRST303" : "PGRST301", details: null, hint: null, message: problem });
    const forward = () => pass(request, url, bytes, postgrest);
    const [reply] = await Promise.all(fault?.kind === "twice" ? [forward(), forward()] : [forward()]);
    await faults.pass(fault, response, reply);
  }

  function control(url, text, response) {
    if (url.pathname === "/gateway/faults") {
      if (text === "") faults.clear();
      else faults.add(JSON.parse(text));
      return json(response, 200, { ok: true });
    }
    if (url.pathname === "/gateway/keys") return json(response, 200, keys);
    return json(response, 404, { message: "the gateway has /gateway/faults and /gateway/keys" });
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      if (response.headersSent) return void response.destroy();
      json(response, 502, { message: `An invalid response was received from the upstream server: ${error.message}` });
    });
  });
  server.on("upgrade", (request, socket, head) => {
    const url = new URL(request.url, "http://gateway");
    const isKnown = url.pathname === "/realtime/v1/websocket" && verify(url.searchParams.get("apikey"), secret) !== null;
    return isKnown ? realtime.upgrade(request, socket, head, url) : socket.destroy();
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${port}`,
    keys,
    accounts,
    realtime,
    faults,
    requests,
    pool,
    async stop() {
      hasStopped = true;
      faults.clear();
      realtime.breakAll();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await listener.end().catch(() => {});
      await pool.end();
    },
  };
}

function json(response, status, body) {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
  response.end(JSON.stringify(body));
}

/** Asks PostgREST, and returns its whole answer. */
function pass(request, url, bytes, postgrest) {
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => FORWARDED.has(name)));
  headers.authorization ??= `Bearer ${request.headers.apikey}`;
  if (bytes.length > 0) headers["content-length"] = bytes.length;
  const path = url.pathname.slice("/rest/v1".length) || "/";
  const query = new URLSearchParams(url.search);
  query.delete("apikey");
  return new Promise((resolve, reject) => {
    const asked = ask(`${postgrest}${path}${[...query].length > 0 ? `?${url.search.slice(1)}` : ""}`, { method: request.method, headers }, async (reply) => {
      const chunks = [];
      try {
        for await (const chunk of reply) chunks.push(chunk);
      } catch (error) {
        return reject(error);
      }
      const kept = Object.entries(reply.headers).filter(([name]) => !HOP.has(name) && !name.startsWith("access-control-"));
      resolve({ status: reply.statusCode, headers: Object.fromEntries(kept), bytes: Buffer.concat(chunks) });
    });
    asked.on("error", reject);
    asked.end(bytes);
  });
}
