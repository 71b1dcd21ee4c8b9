// A door before the remote that a test can shut: requests wait at it, before or after the server did its work.
import { createServer, request as ask } from "node:http";
import { freePort } from "./ports.mjs";

/** Passes everything on to `target`. */
export async function openGate(target) {
  const { hostname, port } = new URL(target);
  let shut = null;
  let arrived = () => {};
  const seen = [];

  /** Resolves once the gate is open for this request. */
  const pass = (side, path) => {
    if (shut?.side !== side || !path.endsWith(shut.path)) return Promise.resolve();
    arrived();
    return shut.opened;
  };
  const server = createServer(async (incoming, answer) => {
    const path = new URL(incoming.url, target).pathname;
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    if (incoming.method === "POST") {
      seen.push(path);
      await pass("request", path);
    }
    const outgoing = ask({ hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, async (reply) => {
      const body = [];
      for await (const chunk of reply) body.push(chunk);
      if (incoming.method === "POST") await pass("reply", path);
      answer.writeHead(reply.statusCode, reply.headers).end(Buffer.concat(body));
    });
    // Whoever asked has gone meanwhile, or the server has.
    outgoing.on("error", () => answer.destroy());
    outgoing.end(Buffer.concat(chunks));
  });
  const own = await freePort();
  await new Promise((resolve) => server.listen(own, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${own}`,
    /** The paths of the POST requests so far. */
    seen: () => seen,
    /** Shuts it for this path: `side` is "request", before the server's work, or "reply". Resolves `waits` when somebody stands there. */
    shut(path, side = "request") {
      let open;
      const opened = new Promise((resolve) => (open = resolve));
      shut = { path, side, opened, open };
      const waits = new Promise((resolve) => (arrived = resolve));
      return { waits };
    },
    open() {
      shut?.open();
      shut = null;
    },
    stop() {
      shut?.open();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
