// A proxy before the real server that breaks one thing: the servers that the conformance kit must find out.
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { gunzipSync } from "node:zlib";

const PREFIX = "/sync/v1";
/**
 * Numbers that JavaScript does not keep. Faults are about something else, so requests with them pass as they are, and so do
 * the small pages in which the kit looks for them.
 */
const EXACT = /\d{16}|\d\.\d{17}|e400|e309|\.0[e,}]/;

/**
 * Starts a proxy with a fault: `{ pull, push, cuts, request }`, each optional.
 *
 * - `pull(body, send, context)` and `push(body, send, context)` answer a request whose body is read as JSON. `send(body, headers?)` asks the
 *   server, and resolves to `{ status, body }`. What they return is answered.
 * - `cuts`: what they reject with cuts the connection, as if the answer were lost.
 * - `request(request, respond, context)` answers any other request with `respond(status, body)`, if it returns true.
 *
 * Requests that no fault concerns pass as they are, byte for byte, but uncompressed. `context` has `headers`, `token`, `url` and `state`, an object of the proxy's own.
 */
export async function startProxy(target, fault) {
  const state = {};
  const server = createServer((request, response) => {
    answer(target, fault, state, request, response).catch((error) => {
      if (fault.cuts) return void response.destroy();
      if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ code: "internal", message: String(error) }));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(target, fault, state, request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const sent = Buffer.concat(chunks);
  const text = (request.headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent).toString("utf8");
  const { authorization, "content-type": type } = request.headers;
  const context = { headers: { authorization, "content-type": type }, token: authorization?.replace(/^Bearer /, ""), url: target, state };
  const respond = (status, body) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
  const kind = request.method === "POST" ? request.url.slice(PREFIX.length + 1) : "";
  const change = ["pull", "push"].includes(kind) ? fault[kind] : undefined;
  const body = change === undefined || EXACT.test(text) ? undefined : parsed(text);
  if (body !== undefined) {
    const send = async (sent, headers = {}) => {
      const reply = await fetch(`${target}${request.url}`, { method: "POST", headers: defined({ ...context.headers, ...headers }), body: JSON.stringify(sent) });
      const came = await reply.text();
      return { status: reply.status, body: JSON.parse(came), exact: body.limit === 10 && EXACT.test(came) ? came : undefined };
    };
    const reply = await change(body, send, context);
    return respond(reply.status, reply.exact ?? reply.body);
  }
  if (fault.request !== undefined && (await fault.request(request, respond, context, response))) return;
  const reply = await fetch(target + request.url, {
    method: request.method,
    headers: defined({ ...context.headers, accept: request.headers.accept }),
    ...(["GET", "HEAD"].includes(request.method) ? {} : { body: text }),
  });
  response.writeHead(reply.status, Object.fromEntries([...reply.headers].filter(([name]) => !["content-encoding", "transfer-encoding", "content-length", "connection"].includes(name))));
  if (reply.body === null) return response.end();
  const stream = Readable.fromWeb(reply.body);
  response.on("close", () => stream.destroy());
  stream.on("error", () => response.destroy());
  stream.pipe(response);
}

const defined = (headers) => Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
