// datum-server with its own database, and a client without the engine.
import { join } from "node:path";
import { start } from "../../tests/e2e/lib/child.mjs";
import { tasks } from "./data.mjs";

/** Starts datum-server, on SQLite in the folder unless another database is named. With `page` it also serves that folder. */
export async function startRemote(folder, { page, name = "datum.db", database = join(folder, name), args: more = [] } = {}) {
  const args = ["--dev", "--listen", "127.0.0.1:0", "--rate", "0", "--database", database, ...more];
  if (page) args.push("--static", page);
  return overHttp(await start(process.env.DATUM_SERVER, args));
}

/** A client of a server that runs. `token(user)`, `userOf(user)` and `pathOf(call)` say how it is asked, if not as datum-server with `--dev`. */
export function overHttp(server, { token = tokensOf(server), userOf = (user) => user, pathOf = (call) => `${server.url}/sync/v1/${call}` } = {}) {
  const push = async (user, operations) => post(pathOf("push"), { clientId: "seed", userId: userOf(user), schema: 0, operations }, { authorization: await token(user) });
  return {
    ...server,
    token,
    userOf,
    pathOf,
    /** Pushes operations, which must be applied. A server may put off those that it has no time for. */
    async apply(user, operations) {
      for (let open = operations; open.length > 0; ) {
        const { results } = await push(user, open);
        const bad = results.find(({ status }) => status !== "applied" && status !== "retry");
        if (bad || results.every(({ status }) => status === "retry")) throw new Error(`the server rejected the seed: ${JSON.stringify(bad ?? results[0])}`);
        open = open.filter((_, at) => results[at].status === "retry");
      }
    },
    /** Creates the tasks from `from` to `count` for a user. */
    async seed(user, count, from = 0) {
      for (let first = from; first < count; first += 5_000) {
        const operations = tasks(Math.min(5_000, count - first), first).map(({ id, ...data }) => ({ opId: `seed-${id}`, entity: "tasks", id, kind: "create", baseVersion: null, data }));
        await this.apply(user, operations);
      }
    },
    /** Returns all rows of a user. */
    async rows(user) {
      const rows = [];
      for (let cursor = null; ; ) {
        const page = await post(pathOf("pull"), { clientId: "check", userId: userOf(user), schema: 0, cursor, limit: 10_000 }, { authorization: await token(user) });
        rows.push(...page.changes.filter((change) => !change.deleted).map(({ id, data }) => ({ id, ...data })));
        if (!page.more) return rows;
        cursor = page.cursor;
      }
    },
  };
}

/** Tokens of `--dev`, one for each user. */
function tokensOf(server) {
  const tokens = new Map();
  return async (user) => {
    if (!tokens.has(user)) tokens.set(user, `Bearer ${(await post(`${server.url}/dev/token`, { userId: user, expiresInSeconds: 86_400 })).token}`);
    return tokens.get(user);
  };
}

async function post(url, body, headers = {}) {
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}
