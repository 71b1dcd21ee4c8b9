// Servers that are wrong in one thing each: the real one behind a proxy. `chapter` is where the kit must find it, and nowhere else.

/** Asks as it is, and changes the reply. */
const reply = (change) => async (body, send, context) => {
  const answer = await send(body);
  return answer.status === 200 ? { ...answer, body: (await change(answer.body, body, send, context)) ?? answer.body } : answer;
};
/** Changes the request. */
const request = (change) => async (body, send, context) => send((await change(body, context)) ?? body);
const isList = (body) => Array.isArray(body.operations);
const results = (change) => reply(async (answer, body, send, context) => ({ ...answer, results: await Promise.all(answer.results.map((verdict, at) => change(verdict, body.operations[at], send, context, body))) }));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const mapped = (value, change) =>
  typeof value === "string"
    ? change(value)
    : Array.isArray(value)
      ? value.map((item) => mapped(item, change))
      : typeof value === "object" && value !== null
        ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mapped(item, change)]))
        : value;
let count = 0;

async function tokenOf(url, userId) {
  const answer = await fetch(`${url}/dev/token`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ userId }) });
  return (await answer.json()).token;
}

/** What a server believes that does not look at signatures. */
async function believed({ token, url }) {
  if (token === undefined) return {};
  const { sub } = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
  return { authorization: `Bearer ${await tokenOf(url, sub)}` };
}

/** Conflicts with the current version are forced through, for some kinds of operations. */
const forced = (kinds) =>
  results(async (verdict, op, send, _, { clientId }) => {
    if (verdict.status !== "conflict" || !verdict.row || !kinds.includes(op.kind) || op.baseVersion === null) return verdict;
    const again = await send({ clientId, operations: [{ ...op, opId: `${op.opId}-${++count}`, baseVersion: verdict.version }] });
    return { ...again.body.results[0], opId: op.opId };
  });

export const FAULTS = [
  { name: "the signature of a token is not looked at", chapter: "auth", pull: async (body, send, context) => send(body, await believed(context)), push: async (body, send, context) => send(body, await believed(context)) },
  { name: "whom a request means is not compared with the token's user", chapter: "auth", pull: request(({ userId: _, ...rest }) => rest), push: request(({ userId: _, ...rest }) => rest) },
  { name: "a refusal has no code", chapter: "auth", pull: stripped(401), push: stripped(401) },
  { name: "which server a push is for is not looked at", chapter: "reach", push: request(({ serverId: _, ...rest }) => rest) },
  { name: "an unknown field is refused", chapter: "reach", pull: async (body, send) => ("aFieldOfTomorrow" in body ? { status: 400, body: { code: "badRequest", message: "unknown field" } } : send(body)) },
  { name: "a compressed body is a bad request", chapter: "reach", request: async ({ headers }, respond) => headers["content-encoding"] === "gzip" && (respond(400, { code: "badRequest", message: "no JSON" }), true) },
  { name: "an update overwrites whatever is there", chapter: "conflicts", push: forced(["update"]) },
  { name: "a delete does not look at the version", chapter: "conflicts", push: forced(["delete"]) },
  { name: "a patch replaces the whole row", chapter: "conflicts", push: request((body) => ({ ...body, operations: body.operations?.map?.((op) => (op?.kind === "patch" && Object.keys(op.data ?? {}).length < 3 && op.data.title === undefined && op.data.note !== null ? { ...op, kind: "update" } : op)) })) },
  { name: "a conflict does not show the row", chapter: "conflicts", push: results(({ row: _, ...verdict }) => verdict) },
  {
    name: "a create that has conflicted is not remembered",
    chapter: "conflicts",
    push: results(async (verdict, op, send, _, { clientId }) => {
      if (verdict.status !== "conflict" || verdict.row || op.kind !== "create" || op.baseVersion !== null) return verdict;
      const again = await send({ clientId, operations: [{ ...op, opId: `${op.opId}-${++count}` }] });
      return { ...again.body.results[0], opId: op.opId };
    }),
  },
  { name: "there are no tombstones", chapter: "deletes", pull: reply((page) => ({ ...page, changes: page.changes.filter(({ deleted }) => !deleted) })) },
  {
    name: "deleting what is gone is an error",
    chapter: "deletes",
    push: results((verdict, op, _, { state }) => {
      state.live ??= new Set();
      const isGone = op.kind === "delete" && verdict.status === "applied" && !verdict.replayed && !state.live.delete(op.id);
      if (op.kind !== "delete" && verdict.status === "applied") state.live.add(op.id);
      return isGone ? { opId: op.opId, status: "rejected", code: "notFound", message: "There is no such row." } : verdict;
    }),
  },
  {
    name: "which operations were applied is not remembered",
    chapter: "replays",
    async push(body, send, { state }) {
      if (!isList(body)) return send(body);
      state.seen ??= new Set();
      const ids = body.operations.map((op) => op?.opId);
      const operations = body.operations.map((op) => (typeof op?.opId === "string" && state.seen.has(op.opId) ? { ...op, opId: `${op.opId}-${++count}` } : op));
      const answer = await send({ ...body, operations });
      answer.body.results?.forEach((verdict, at) => {
        verdict.opId = ids[at];
        if (verdict.status === "applied") state.seen.add(ids[at]);
      });
      return answer;
    },
  },
  {
    name: "an operation that is under way is a conflict with itself",
    chapter: "replays",
    async push(body, send, { state }) {
      state.running ??= new Set();
      const ids = isList(body) ? body.operations.map((op) => op?.opId) : [];
      const twice = ids.filter((id) => state.running.has(id));
      if (twice.length > 0) return { status: 200, body: { results: ids.map((opId) => ({ opId, status: "conflict", version: 1, row: null })) } };
      ids.forEach((id) => state.running.add(id));
      try {
        return await send(body);
      } finally {
        ids.forEach((id) => state.running.delete(id));
      }
    },
  },
  {
    name: "a batch ends with its first failure",
    chapter: "batches",
    async push(body, send) {
      if (!isList(body) || body.operations.length < 2) return send(body);
      const all = [];
      let last;
      for (const [at, op] of body.operations.entries()) {
        last = await send({ ...body, operations: [op] });
        if (last.status !== 200) return last;
        all.push(...last.body.results);
        if (last.body.results[0].status === "applied") continue;
        all.push(...body.operations.slice(at + 1).map(({ opId }) => ({ opId, status: "rejected", code: "aborted", message: "An earlier operation failed." })));
        break;
      }
      return { status: 200, body: { ...last.body, results: all } };
    },
  },
  {
    name: "an operation that cannot be read takes back those that were applied",
    chapter: "batches",
    async push(body, send) {
      const isBad = (op) => op?.kind === "unheardOf";
      if (!isList(body) || !body.operations.some(isBad)) return send(body);
      const answer = await send({ ...body, operations: body.operations.filter(isBad) });
      const [refused] = answer.body.results;
      return { status: 200, body: { ...answer.body, results: body.operations.map((op) => (isBad(op) ? refused : { opId: op.opId, status: "applied", version: 1 })) } };
    },
  },
  { name: "what an operation depends on is not looked at", chapter: "batches", push: request((body) => ({ ...body, operations: body.operations?.map?.((op) => (op?.after ? { ...op, after: null } : op)) })) },
  { name: "verdicts come in an order of their own", chapter: "batches", push: reply((answer) => ({ ...answer, results: [...answer.results].reverse() })) },
  { name: "a batch that is too large is a server error", chapter: "batches", push: async (body, send) => (body.operations?.length > 5_000 ? { status: 500, body: { code: "internal", message: "out of memory" } } : send(body)) },
  { name: "the limit of a page is not looked at", chapter: "paging", pull: request((body) => ({ ...body, limit: 1_000 })) },
  { name: "the last row of each page is left out", chapter: "paging", pull: reply((page) => ({ ...page, changes: page.more ? page.changes.slice(0, -1) : page.changes })) },
  {
    name: "a row that was on a page is not told again while a device pages",
    chapter: "paging",
    pull: reply((page, { clientId, cursor }, _, { state }) => {
      state.pages ??= new Map();
      const before = state.pages.get(`${clientId} ${cursor}`) ?? new Set();
      const changes = page.changes.filter(({ id }) => !before.has(id));
      if (page.more) state.pages.set(`${clientId} ${page.cursor}`, new Set([...before, ...page.changes.map(({ id }) => id)]));
      return { ...page, changes };
    }),
  },
  { name: "`remaining` counts the page itself", chapter: "paging", pull: reply((page) => ({ ...page, remaining: page.remaining + page.changes.length })) },
  {
    name: "a row that is being committed is passed by",
    chapter: "race",
    pull: reply((page, _, __, { state }) => ({ ...page, changes: page.changes.filter(({ id }) => !state.committing?.has(id)) })),
    async push(body, send, { state }) {
      state.committing ??= new Set();
      const ids = isList(body) ? body.operations.map((op) => op?.id) : [];
      ids.forEach((id) => state.committing.add(id));
      const answer = await send(body);
      await pause(3);
      ids.forEach((id) => state.committing.delete(id));
      return answer;
    },
  },
  { name: "a cursor that is not known begins at the beginning", chapter: "cursors", pull: again },
  { name: "a cursor that is not known ends at the end", chapter: "cursors", async pull(body, send) {
    const answer = await send(body);
    return answer.status === 410 ? { status: 200, body: { changes: [], cursor: body.cursor, more: false } } : answer;
  } },
  { name: "text is normalised", chapter: "values", push: request((body) => mapped(body, (text) => text.normalize("NFC"))) },
  { name: "text is trimmed", chapter: "values", push: request((body) => ({ ...body, operations: body.operations?.map?.((op) => (op?.data ? { ...op, data: mapped(op.data, (text) => text.trim()) } : op)) })) },
  { name: "ids are compared without their case", chapter: "values", push: request((body) => ({ ...body, operations: body.operations?.map?.((op) => (typeof op?.id === "string" ? { ...op, id: op.id.toLowerCase() } : op)) })) },
  { name: "null is taken for nothing", chapter: "values", pull: reply((page) => ({ ...page, changes: page.changes.map(({ data, ...rest }) => (data ? { ...rest, data: Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null)) } : rest)) })) },
  { name: "rows are pulled by the time that their device gave them", chapter: "clock", pull: reply((page) => ({ ...page, changes: page.changes.filter(({ data }) => !data?.modifiedAt || data.modifiedAt > "2020") })) },
  { name: "the epoch of a push is not looked at", chapter: "epoch", push: request(({ epoch: _, ...rest }) => rest) },
  {
    name: "all users have one account",
    chapter: "users",
    pull: shared,
    push: shared,
  },
  {
    name: "a reader may write",
    chapter: "spaces",
    push: results(async (verdict, op, send, { state, token }, { clientId }) => {
      if (verdict.status === "applied" && op.entity === "$space") state.owner = token;
      if (verdict.code !== "readOnly") return verdict;
      const answer = await send({ clientId, operations: [{ ...op, opId: `${op.opId}-${++count}` }] }, { authorization: `Bearer ${state.owner}` });
      return { ...answer.body.results[0], opId: op.opId };
    }),
  },
  {
    name: "metadata is not kept",
    chapter: "metadata",
    request: async ({ method, url }, respond) => method === "PUT" && url.endsWith("/metadata") && (respond(200, { devices: [], digests: {} }), true),
  },
  {
    name: "a stream never says anything",
    chapter: "stream",
    request: async ({ url }, _, __, response) => {
      if (!url.endsWith("/stream")) return false;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(":\n\n");
      return true;
    },
  },
  {
    name: "members of a space are not told of each other's writes",
    chapter: "stream",
    request: async ({ url, headers }, _, { state }, response) => {
      if (!url.endsWith("/stream")) return false;
      state.owner ??= headers.authorization;
      if (headers.authorization === state.owner) return false;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(":\n\n");
      return true;
    },
  },
  { name: "digests are of other rows", chapter: "digests", pull: reply((page) => (page.digests ? { ...page, digests: mapped(page.digests, (hash) => hash.split("").reverse().join("")) } : page)) },
  { name: "versions are text", chapter: "replies", pull: reply((page) => ({ ...page, changes: page.changes.map((change) => ({ ...change, version: String(change.version) })) })) },
];

function stripped(status) {
  return async (body, send) => {
    const answer = await send(body);
    return answer.status === status ? { status, body: "Unauthorized" } : answer;
  };
}

async function again(body, send) {
  const answer = await send(body);
  return answer.status === 410 ? send({ ...body, cursor: null }) : answer;
}

async function shared(body, send, { state, headers, url }) {
  const { status } = await fetch(`${url}/sync/v1/info`, { headers: { authorization: headers.authorization ?? "" } });
  if (status !== 200 || body.userId) return send(body);
  state.first ??= headers.authorization;
  return send(body, { authorization: state.first });
}
