import { chapter, server } from "../check.js";
import { notOffered } from "../device.js";
import { jsonOf, type Any } from "../target.js";

const NOT_KNOWN = "Devices cannot notice that another server, or an older copy, answers in its place.";

/** Whether there is a backend, and which one it says it is. */
export const reach = chapter("reach", {
  pull: [
    "A pull from the beginning gives a page",
    { costs: "Nothing syncs.", section: "4" },
    async ({ a, first }) => {
      a.expect(Array.isArray(first.changes) && typeof first.cursor === "string", "a page", first);
    },
  ],
  push: [
    "A push of no operations gives no verdicts",
    { costs: "Nothing is sent.", section: "5" },
    async ({ a }) => {
      a.expect((await a.push([])).length === 0, "`results: []`");
    },
  ],
  health: [
    "GET /health answers without a token",
    { costs: "A device that the browser calls offline cannot find out whether it is.", section: "7" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const answer = await a.request("GET", "/health", undefined, { token: null });
      if (answer.status === 404 || answer.status === 405 || answer.status === 501) throw notOffered(`GET /health answers ${answer.status}.`);
      a.expect(answer.status === 200 && answer.body?.status === "ok", '200 and `"status": "ok"`');
      a.expect(Array.isArray(answer.body.protocol) && answer.body.protocol.includes(1), "`protocol` with 1 in it");
    },
  ],
  server: [
    "Pulls and pushes name the same server",
    { costs: NOT_KNOWN, section: "3.2" },
    async ({ a, first }) => {
      const push = (await a.ask("push", { operations: [] })).body;
      if (!first.serverId && !push?.serverId) throw notOffered("Replies have no `serverId`. A client goes by the address.");
      a.expect(push?.serverId === first.serverId, `\`serverId\` ${JSON.stringify(first.serverId)}, as in the reply to a pull`);
      const page = await a.pull(null, 1);
      a.expect(page.serverId === first.serverId, `\`serverId\` ${JSON.stringify(first.serverId)}, as before`);
    },
  ],
  epoch: [
    "Pulls and pushes name the same epoch",
    { costs: "Devices take a server for a restored one: each cycle pulls everything.", section: "4.4" },
    async ({ a, first }) => {
      const push = (await a.ask("push", { operations: [] })).body;
      if (!first.epoch && !push?.epoch) throw notOffered("Replies have no `epoch`: after a restored backup devices do not notice that acknowledged writes are missing.");
      a.expect(push?.epoch === first.epoch, `\`epoch\` ${JSON.stringify(first.epoch)}, as in the reply to a pull`);
      const page = await a.pull(null, 1);
      a.expect(page.epoch === first.epoch, `\`epoch\` ${JSON.stringify(first.epoch)}, as before`);
    },
  ],
  otherServer: [
    "A push that is for another server does nothing",
    { costs: "Behind one address, a device's writes go to a server that they are not for.", section: "5", rests: ["reach.server"] },
    async ({ a, first }) => {
      if (!first.serverId || a.party.adapter?.serverId) throw notOffered("Replies have no `serverId` to compare.");
      const op = a.op("create", a.newId(), null, a.fields("for another server"));
      const mark = await a.mark();
      const [verdict] = await a.push([op], { serverId: "another-server" });
      a.expect(verdict.status === "retry" && verdict.code === "otherServer", "`retry` with the code `otherServer`", verdict);
      a.expect(!(await a.since(mark)).has(op.id), "no row");
    },
  ],
  optional: [
    "Unknown fields are ignored, and optional ones may be null",
    { costs: "A newer version of the client cannot sync.", section: "2" },
    async (bench) => {
      server(bench);
      const { a, entities } = bench;
      const page: Any = await a.pull(null, 1, { entities: [entities[0]], epoch: null, waitMs: null, userId: null, aFieldOfTomorrow: { x: 1 } });
      a.expect(Array.isArray(page.changes), "a page");
      const [verdict] = await a.push([{ ...a.op("create", a.newId(), null, a.fields("null")), supersedes: null, after: null, aFieldOfTomorrow: [1] }], { epoch: null, serverId: null, userId: null });
      a.expect(verdict.status === "applied", "`applied`", verdict);
    },
  ],
  gzip: [
    "A body in gzip is read, or refused with 415",
    { costs: "Devices compress what is long. Only 415 tells them to send it as it is: a device that was offline for long cannot send what it has.", section: "2" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const op = a.op("create", a.newId(), null, a.fields("compressed"));
      const answer = await a.request("POST", "/push", jsonOf({ clientId: a.clientId, operations: [op] }), { encoding: "gzip" });
      if (answer.status === 415) return "It reads plain bodies only. Devices send those after the first 415.";
      a.expect(answer.status === 200 && answer.body?.results?.[0]?.status === "applied", "200 with `applied`, or 415");
      const [again] = await a.write(op);
      a.expect(again!.version === answer.body.results[0].version, "the row of the compressed body", again);
    },
  ],
  page: [
    "Pages of an origin may ask",
    { costs: "Browsers refuse every request of the app.", section: "2" },
    async (bench) => {
      const http = server(bench);
      const { a, origin } = bench;
      if (origin === undefined) throw notOffered("Not asked: `--origin https://app.example` asks as a browser would.");
      a.sent = `OPTIONS /sync/v1/pull from ${origin}`;
      const { status, headers } = await a.traffic.within((signal) => http.preflight(origin, signal));
      const [allowed, names] = ["origin", "headers"].map((name) => headers.get(`access-control-allow-${name}`) ?? "");
      a.came = `HTTP ${status}, access-control-allow-origin: ${allowed}, access-control-allow-headers: ${names}`;
      a.expect(status < 300 && (allowed === "*" || allowed === origin), `access-control-allow-origin: ${origin}`);
      a.expect(/authorization/i.test(names ?? ""), "access-control-allow-headers with authorization and content-type");
    },
  ],
});
