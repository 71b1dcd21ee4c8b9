// An ordinary JSON API of tasks, shaped for nobody: `GET /tasks?updated_since=&limit=&after=&page=`, `GET|PUT|PATCH|DELETE /tasks/ID`, `POST /tasks`.
import { createServer } from "node:http";

/**
 * Starts it. What it can and what is odd about it are options:
 *
 * - `etags`: sends them, and compares `If-Match`. `versions`: rows have `rev`, and `?rev=` of a write is compared.
 * - `marks`: deleted rows stay, with `deleted_at`. `keyset`: goes on behind `after`. `pages`: answers `{ rows, next }`, with page numbers.
 * - `ends`: a page with a number behind the last one is 404. `taken`: the status of a create whose id is taken, 409 if absent.
 * - `cap`: the most rows of a page. `silent`: writes are 204. `words`: writes are 200 with this text. `time(micros)`: how a time is written. `now()`: the clock in microseconds.
 * - `before(request, response)`: answers in the API's place if it returns true; `late(request)`: loses the answer to what was done if it returns true.
 */
export async function startApi(options = {}) {
  const { etags, versions, marks, keyset, pages, ends, silent, words, taken = 409, cap = Infinity, time = iso } = options;
  const rows = new Map();
  const requests = [];
  let last = 0;
  const stamp = () => (last = options.now ? options.now() : Math.max(last + 1, Date.now() * 1_000));
  const shown = (row) => {
    const { at, rev, gone, ...fields } = row;
    return { ...fields, updated_at: time(at), ...(versions ? { rev } : {}), ...(marks ? { deleted_at: gone ? time(at) : null } : {}) };
  };
  const tag = ({ rev }) => `"r${rev}"`;
  const live = (row) => row !== undefined && (!row.gone || marks);
  const put = (id, fields, gone = false, at = stamp()) => {
    const row = { ...fields, id, at, rev: (rows.get(id)?.rev ?? 0) + 1, gone };
    if (gone && !marks) rows.delete(id);
    else rows.set(id, row);
    return row;
  };

  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url, "http://api");
    const call = { method: request.method, path: url.pathname, query: url.searchParams };
    requests.push(call);
    if (await options.before?.(request, response)) return;
    const send = (status, body, headers = {}) => {
      if (options.late?.(call, status)) return response.destroy();
      const text = body === undefined ? undefined : JSON.stringify(body);
      response.writeHead(status, { ...(text === undefined ? {} : { "content-type": "application/json" }), ...headers });
      response.end(text);
    };
    const plain = () => response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(words);
    const written = (status, row) => (words ? plain() : silent ? send(204) : send(status, shown(row), etags ? { etag: tag(row) } : {}));
    const id = decodeURIComponent(url.pathname.split("/")[2] ?? "");
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
    if (id === "" && request.method === "GET") {
      const found = listing(url.searchParams);
      const isBehind = ends && Number(url.searchParams.get("page") || 1) > 1 && found.rows.length === 0;
      return isBehind ? send(404, { detail: "Invalid page." }) : send(200, found);
    }
    if (request.method === "POST") {
      if (rows.has(body.id)) return send(taken, { message: "There is such a row." });
      if (body.title === "forbidden") return send(422, { detail: "This title is not allowed." });
      const { id: own, updated_at: _, ...fields } = body;
      return written(201, put(own, fields));
    }
    const row = rows.get(id);
    if (!live(row)) return send(404, { message: "Not found." });
    if (request.method === "GET") return send(200, shown(row), etags ? { etag: tag(row) } : {});
    const { "if-match": match } = request.headers;
    if (etags && match !== undefined && match !== tag(row)) return send(412, { message: "It has changed." });
    const rev = url.searchParams.get("rev");
    if (versions && rev !== null && Number(rev) !== row.rev) return send(409, { message: "It has changed." });
    if (request.method === "DELETE") {
      put(id, strip(row), true);
      return words ? plain() : send(204);
    }
    const { updated_at: _, deleted_at: mark, rev: __, id: ___, ...fields } = body;
    written(200, put(id, { ...(request.method === "PATCH" ? strip(row) : {}), ...fields }, mark === true || (mark !== null && mark !== false && row.gone)));
  });

  const strip = ({ id: _, at: __, rev: ___, gone: ____, ...fields }) => fields;
  function listing(query) {
    const since = query.get("updated_since");
    const from = since ? Date.parse(since) * 1_000 : 0;
    const size = Math.min(Number(query.get("limit") ?? 100), cap);
    const key = ({ at, id }) => `${String(at).padStart(20, "0")} ${id}`;
    const sorted = [...rows.values()].filter(({ at }) => at >= from).sort((one, two) => (key(one) < key(two) ? -1 : 1));
    if (pages) {
      const page = Number(query.get("page") || 1);
      const chosen = sorted.slice((page - 1) * size, page * size);
      return { rows: chosen.map(shown), next: page * size < sorted.length ? page + 1 : null };
    }
    const [after, afterId] = [query.get("after"), query.get("after_id")];
    const behind = keyset && after ? sorted.filter((row) => time(row.at) > after || (time(row.at) === after && row.id > afterId)) : sorted;
    return behind.slice(0, size).map(shown);
  }

  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    rows,
    put,
    stamp,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** ISO 8601 with microseconds. */
export function iso(micros) {
  const text = new Date(Math.floor(micros / 1_000)).toISOString();
  return `${text.slice(0, -1)}${String(micros % 1_000).padStart(3, "0")}Z`;
}

/** The functions of an entity over it, as an app writes them. */
export function tasksOf(api, { versions, marks, replace, options = {} } = {}) {
  const send = (method, path, body, headers, signal) => fetch(api.url + path, { method, headers: { "content-type": "application/json", ...headers }, signal, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const path = (id, version) => `/tasks/${encodeURIComponent(id)}${versions && version !== null ? `?rev=${version}` : ""}`;
  const matching = (ifMatch) => (ifMatch === null ? {} : { "if-match": ifMatch });
  return {
    list({ since, after, next, limit, signal }) {
      const query = new URLSearchParams({ limit: String(limit) });
      if (since !== null) query.set("updated_since", since);
      if (after !== null) query.set("after", after.updatedAt), query.set("after_id", after.id);
      if (next !== null) query.set("page", String(next));
      return send("GET", `/tasks?${query}`, undefined, {}, signal);
    },
    get: (id, { signal }) => send("GET", path(id, null), undefined, {}, signal),
    create: (row, { signal }) => send("POST", "/tasks", row, {}, signal),
    update: (id, fields, { ifMatch, version, signal }) => send(replace ? "PUT" : "PATCH", path(id, version), fields, matching(ifMatch), signal),
    remove: (id, { ifMatch, version, signal }) => send("DELETE", path(id, version), undefined, matching(ifMatch), signal),
    ...(versions ? { version: "rev", isConditional: true } : {}),
    ...(marks ? { isDeleted: "deleted_at" } : {}),
    ...(replace ? { replace } : {}),
    ...options,
  };
}
