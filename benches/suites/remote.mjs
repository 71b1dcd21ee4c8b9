// B5 and B9: a push of pending operations, and an idle cycle, against the real datum-server on SQLite.
import { factsOf } from "../lib/data.mjs";
import { guarded, inTurns, ms, onFreshOrigin, verify } from "./common.mjs";

export const b5 = {
  id: "B5",
  title: "push of 1,000 pending creates",
  async run(bench) {
    const { report, quick, remote } = bench;
    const [warm, count] = quick ? [10, 100] : [100, 1_000];
    const who = bench.who(["datum", "bare", "rxdb", "pouchdb", "watermelondb", "replicache"]);
    const bodies = who.includes("bare") ? await guarded(report, "B5 bodies", () => recorded(bench, warm, count)) : undefined;
    const measure = {
      datum: (round) => onRemote(bench, `push-ours-${round}`, async (visit, options) => checkNothingPending(visit, await visit.run("push", { who: "datum", warm, count, options }))),
      bare: (round) =>
        onRemote(bench, `push-bare-${round}`, async (visit, options) => {
          const mine = bodies.map((list) => list.map((body) => body.replaceAll(RECORDED, options.user)));
          return visit.run("push", { who: "bare", warm: 0, count: 0, options: { ...options, bodies: mine } });
        }),
    };
    const found = await inTurns({ report, id: "B5", rounds: bench.rounds, who, say: ms }, async (one, round) => {
      if (measure[one]) {
        const { result, user } = await measure[one](round);
        verify(factsOf(await remote.rows(user)), warm + count, 0, `the server after ${one}`);
        return result;
      }
      return onFreshOrigin(bench, one, async (visit) => {
        const session = `push-${one}-${round}`;
        if (one === "pouchdb") await fetch(`${bench.url}/pouch-seed?name=${session}&count=0`);
        const result = await checkNothingPending(visit, await visit.run("push", { who: one, warm, count, options: { session } }));
        const at = one === "pouchdb" ? `/pouch-facts?name=${session}` : `/received/${session}`;
        verify(await (await fetch(bench.url + at)).json(), warm + count, 0, `the server after ${one}`);
        return result;
      });
    });
    for (const one of who) report.row("B5", one, one === "bare" ? "POST of the same bodies" : "push", "ms", found[one]);
    report.check("B5", "push against a bare POST of the same body", report.ratio("B5", "datum", "bare", "push", "POST of the same bodies"), 2, "max");
  },
};

/** Throws if the contestant still has pending operations. */
async function checkNothingPending(visit, result) {
  const pending = await visit.run("pending");
  if (pending) throw new Error(`${pending} operations are still pending after the push`);
  return result;
}

const RECORDED = "push-rec-0000";

/** Records the bodies that the engine sends, in the warm-up and in the timed part. */
async function recorded(bench, warm, count) {
  const bodies = [];
  await onRemote(bench, RECORDED, async (visit, options) => {
    const seen = [];
    visit.page.on("request", (request) => {
      if (request.url().endsWith("/push")) seen.push(request.postData());
    });
    await visit.run("push", { who: "datum", warm, count, options });
    let sent = 0;
    const first = [];
    while (sent < warm) {
      const body = seen.shift();
      sent += JSON.parse(body).operations.length;
      first.push(body);
    }
    bodies.push(first, seen);
  });
  return bodies;
}

/** Runs `work` on a page that datum-server serves: one origin, no preflight requests. */
async function onRemote(bench, user, work) {
  const { remote } = bench;
  const padded = user.padEnd(RECORDED.length, "0");
  const options = { user: padded, authorization: await remote.token(padded) };
  return onFreshOrigin({ ...bench, url: remote.url }, "remote", async (visit, origin) => {
    const result = await work(visit, { ...options, url: origin });
    return { result, user: padded };
  });
}

export const b9 = {
  id: "B9",
  title: "an idle cycle, 1,000 tasks on both sides",
  async run(bench) {
    const { report, quick, remote } = bench;
    const cycles = quick ? 5 : 50;
    // The bare fetch repeats the engine's request.
    const who = bench.who(["datum"]).length > 0 ? bench.who(["datum", "bare"]) : [];
    await remote.seed("idle-user-000", 1_000);
    let body;
    const found = await inTurns({ report, id: "B9", rounds: bench.rounds, who, say: ms }, async (one) => {
      const { result } = await onRemote(bench, "idle-user-000", async (visit, options) => {
        const requests = [];
        visit.page.on("request", (request) => {
          if (request.url().includes("/sync/v1/")) requests.push(request);
        });
        await visit.run("countTransactions");
        await visit.run("open", { who: one, options: { ...options, bodies: [body] } });
        if (one === "datum") {
          await visit.run("syncUntilIdle");
          verify(await visit.run("facts"), 1_000, 0, "the idle client");
        }
        const before = requests.length;
        const idle = await visit.run("idle", { count: cycles });
        // Including five cycles of warm-up.
        const many = (requests.length - before) / (cycles + 5);
        body ??= requests.at(-1).postData();
        return { ...idle, requests: many };
      });
      return result;
    });
    for (const one of who) {
      const list = found[one];
      report.row("B9", one, one === "bare" ? "POST of the same pull" : "idle cycle", "ms", list.map((idle) => idle.ms));
      if (one !== "datum") continue;
      report.row("B9", one, "requests", "count", list.map((idle) => idle.requests));
      report.row("B9", one, "write transactions", "count", list.map((idle) => idle.transactions.readwrite));
      report.row("B9", one, "read transactions", "count", list.map((idle) => idle.transactions.readonly));
    }
    report.check("B9", "requests of an idle cycle", report.find("B9", "datum", "requests"), 1, "max");
    const [writes, reads] = [report.find("B9", "datum", "write transactions"), report.find("B9", "datum", "read transactions")];
    report.check("B9", "transactions of an idle cycle", writes === undefined ? undefined : writes + reads, 1, "max");
    report.check("B9", "idle cycle against a bare fetch", report.ratio("B9", "datum", "bare", "idle cycle", "POST of the same pull"), 2, "max");
  },
};
