// A link to the server that is slow, or behind a proxy that refuses large requests.
import { createServer, request as ask } from "node:http";
import { freePort } from "./ports.mjs";

const TICK_MS = 20;

/**
 * Starts a proxy for `target`. Replies come at `bytesPerSecond`. A push of more than `largestPush` bytes is refused with
 * 413 and without CORS headers, as proxies do that know nothing of the app. `seen` has the requests.
 */
export async function openLink(target, { bytesPerSecond = Infinity, largestPush = Infinity } = {}) {
  const { hostname, port } = new URL(target);
  const seen = [];
  const server = createServer(async (incoming, answer) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    // As in `gate.mjs`.
    const path = new URL(incoming.url, target).pathname.replace("/rest/v1/rpc/datum_", "/sync/v1/");
    if (incoming.method !== "OPTIONS") seen.push({ method: incoming.method, path, url: incoming.url, bytes: body.length });
    if (path.endsWith("/push") && body.length > largestPush) return answer.writeHead(413).end("too large");
    const { "accept-encoding": _, ...headers } = incoming.headers;
    const outgoing = ask({ hostname, port, path: incoming.url, method: incoming.method, headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.headers);
      if (bytesPerSecond === Infinity) return reply.pipe(answer);
      slowly(reply, answer, Math.ceil((bytesPerSecond * TICK_MS) / 1000)).catch(() => answer.destroy());
    });
    // The client or the server has disconnected.
    outgoing.on("error", () => answer.destroy());
    outgoing.end(body);
  });
  const own = await freePort();
  await new Promise((resolve) => server.listen(own, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${own}`,
    seen,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function slowly(reply, answer, step) {
  for await (const chunk of reply) {
    for (let at = 0; at < chunk.length; at += step) {
      if (answer.destroyed) return;
      answer.write(chunk.subarray(at, at + step));
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }
  answer.end();
}
