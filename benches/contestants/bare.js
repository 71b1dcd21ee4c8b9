// No database: the same requests, parsed and discarded. The cost of network and JSON alone.

import { FIRST_ROWS, nextRows } from "../lib/data.mjs";

export async function open(_, { count, authorization, user = `n${count}`, bodies, url = `/d/${count}` }) {
  const headers = { authorization, "content-type": "application/json" };
  const post = async (path, body) => {
    const response = await fetch(`${url}${path}`, { method: "POST", headers, body });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return JSON.parse(await response.text());
  };
  let rows = [];
  return {
    async pull() {
      // The same pages as the engine requests.
      for (let cursor = null, limit = FIRST_ROWS; ; limit = nextRows(limit)) {
        const page = await post("/sync/v1/pull", JSON.stringify({ clientId: "bench", userId: user, schema: 0, cursor, limit }));
        rows.push(page.changes);
        if (!page.more) return;
        cursor = page.cursor;
      }
    },
    /** Sends bodies recorded from the engine, for another user, so that the server does the same work. */
    async push() {
      for (const body of bodies.shift()) {
        const { results } = await post("/sync/v1/push", body);
        if (results.some((verdict) => verdict.status !== "applied")) throw new Error(JSON.stringify(results[0]));
      }
    },
    createMany() {},
    idle: () => post("/sync/v1/pull", bodies[0]),
    readAll: () => rows.flat().map(({ id, data }) => ({ id, ...data })),
    close() {
      rows = [];
    },
  };
}
