// datum-server with its own database, and a client without the engine.
import { join } from "node:path";
import { start } from "../../tests/e2e/lib/child.mjs";
import { tasks } from "./data.mjs";

/** Starts datum-server, on SQLite in the folder unless another database is named. With `page` it also serves that folder. */
export async function startRemote(folder, { page, name = "datum.db", database = join(folder, name) } = {}) {
  const args = ["--dev", "--listen", "127.0.0.1:0", "--rate", "0", "--database", database];
  if (page) args.push("--static", page);
  const server = await start(process.env.DATUM_SERVER, args);
  const tokens = new Map();
  const token = async (user) => {
    if (!tokens.has(user)) tokens.set(user, `Bearer ${(await post(`${server.url}/dev/token`, { userId: user, expiresInSeconds: 86_400 })).token}`);
    return tokens.get(user);
  };
  const push = async (user, operations) => post(`${server.url}/sync/v1/push`, { clientId: "seed", userId: user, schema: 0, operations }, { authorization: await token(user) });
  return {
    ...server,
    token,
    /** Creates the tasks from `from` to `count` for a user. */
    async seed(user, count, from = 0) {
      for (let first = from; first < count; first += 5_000) {
        const operations = tasks(Math.min(5_000, count - first), first).map(({ id, ...data }) => ({ opId: `seed-${id}`, entity: "tasks", id, kind: "create", baseVersion: null, data }));
        const { results } = await push(user, operations);
        const bad = results.find((verdict) => verdict.status !== "applied");
        if (bad) throw new Error(`the server rejected the seed: ${JSON.stringify(bad)}`);
      }
    },
    /** Returns all rows of a user. */
    async rows(user) {
      const rows = [];
      for (let cursor = null; ; ) {
        const page = await post(`${server.url}/sync/v1/pull`, { clientId: "check", userId: user, schema: 0, cursor, limit: 10_000 }, { authorization: await token(user) });
        rows.push(...page.changes.filter((change) => !change.deleted).map(({ id, data }) => ({ id, ...data })));
        if (!page.more) return rows;
        cursor = page.cursor;
      }
    },
  };
}

async function post(url, body, headers = {}) {
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}
