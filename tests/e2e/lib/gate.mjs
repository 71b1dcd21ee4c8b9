// A proxy in front of the server that can hold requests, before or after the server has handled them.
import { createServer, request as ask } from "node:http";
import { freePort } from "./ports.mjs";

/** Starts a proxy for `target`. */
export async function openGate(target) {
  const { hostname, port } = new URL(target);
  let shut = null;
  let onHeld = () => {};
  const seen = [];

  /** Resolves when the gate lets this request pass. */
  const pass = (side, path) => {
    if (shut?.side !== side || !path.endsWith(shut.path)) return Promise.resolve();
    onHeld();
    return shut.opened;
  };
  const server = createServer(async (incoming, answer) => {
    // The functions of the SQL kit count as the methods of the protocol that they are.
    const path = new URL(incoming.url, target).pathname.replace("/rest/v1/rpc/datum_", "/sync/v1/");
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
    // The client or the server has disconnected.
    outgoing.on("error", () => answer.destroy());
    outgoing.end(Buffer.concat(chunks));
  });
  const own = await freePort();
  await new Promise((resolve) => server.listen(own, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${own}`,
    /** Returns the paths of all POST requests so far. */
    seen: () => seen,
    /**
     * Holds requests to this path: with side "request" before the server handles them, with "reply" afterwards. `held`
     * resolves when the first one is held.
     */
    shut(path, side = "request") {
      let open;
      const opened = new Promise((resolve) => (open = resolve));
      shut = { path, side, opened, open };
      const held = new Promise((resolve) => (onHeld = resolve));
      return { held };
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
