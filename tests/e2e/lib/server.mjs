// The real server in development mode, with its own database, and a client without the engine. In development mode it
// also answers pages of other loopback ports. With `DATUM_BACKEND=node` it is the packed package's own server in Node.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { start } from "./child.mjs";
import { serverProgram } from "./environment.mjs";
import { temporaryFolder } from "./files.mjs";
import { freePort } from "./ports.mjs";

/** Starts datum-server. With `page` it also serves that folder, so that page and remote have one origin. */
export async function startServer({ page, program } = {}) {
  const folder = await temporaryFolder();
  const [node, inNode] = [process.execPath, fileURLToPath(new URL("node-backend.mjs", import.meta.url))];
  const isNode = program === undefined && process.env.DATUM_BACKEND === "node";
  const args = [...(isNode ? [inNode] : []), "--dev", "--listen", `127.0.0.1:${await freePort()}`, "--rate", "0", "--database", join(folder.path, "datum.db")];
  if (page) args.push("--static", page);
  const server = await start(program ?? (isNode ? node : serverProgram()), args);
  return {
    ...server,
    stop: async () => {
      await server.stop();
      await folder.remove();
    },
  };
}

/** Talks to the server as `userId`, without the engine. */
export async function client(url, userId) {
  const reply = await post(`${url}/dev/token`, { userId });
  const headers = { authorization: `Bearer ${reply.token}` };
  const clientId = `e2e-${userId}`;
  return {
    headers,
    push: (operations) => post(`${url}/sync/v1/push`, { clientId, schema: 0, operations }, headers),
    async pullAll() {
      const changes = [];
      let cursor = null;
      for (;;) {
        const page = await post(`${url}/sync/v1/pull`, { clientId, schema: 0, cursor, limit: 1000 }, headers);
        changes.push(...page.changes);
        cursor = page.cursor;
        if (!page.more) return changes;
      }
    },
  };
}

async function post(url, body, headers = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}
