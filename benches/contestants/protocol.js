// The sync protocol, for contestants without their own.

import { FIRST_ROWS, nextRows } from "../lib/data.mjs";

/** Yields the pages of a pull. The next one is fetched while the current one is handled. */
export async function* pages({ count, authorization, user = `n${count}` }) {
  let limit = FIRST_ROWS;
  let next = page(null);
  for (;;) {
    const { changes, cursor, more } = await next;
    limit = nextRows(limit);
    if (more) next = page(cursor);
    yield { rows: changes, cursor };
    if (!more) return;
  }
  async function page(cursor) {
    const body = JSON.stringify({ clientId: "bench", userId: user, schema: 0, cursor, limit });
    const response = await fetch(`/d/${count}/sync/v1/pull`, { method: "POST", headers: { authorization, "content-type": "application/json" }, body });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return response.json();
  }
}

/** Converts a row to the app's entity. */
export const entity = ({ id, version, data }) => ({ id, version, ...data });

export async function json(url, body) {
  const response = await fetch(url, body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.json();
}
