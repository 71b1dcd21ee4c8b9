// B1 and B2: the first pull into an empty database, until all rows are there and, if the contestant promises it, durable.
import { FIRST_ROWS, expected, nextRows, same } from "../lib/data.mjs";
import { residentPeak, traced } from "../lib/trace.mjs";
import { visitIn } from "../lib/engines.mjs";
import { names } from "../lib/report.mjs";
import { guarded, inTurns, ms, onFreshOrigin, verify } from "./common.mjs";

const WHO = ["datum", "bare", "raw", "dexie", "rxdb", "pouchdb", "pouchdbready", "watermelondb", "replicache", "tinybase"];

async function optionsFor(bench, count, who) {
  const user = `n${count}`;
  return { count, user, authorization: await bench.remote.token(user), ready: who === "pouchdbready" };
}

/** Returns the name of the contestant's module. */
const moduleOf = (who) => (who === "pouchdbready" ? "pouchdb" : who);

async function prepare(bench, count, who) {
  await bench.remote.seed(`n${count}`, count);
  if (who.includes("pouchdb")) {
    const reply = await fetch(`${bench.url}/pouch-seed?name=n${count}&count=${count}`);
    if (!reply.ok) throw new Error(await reply.text());
  }
}

async function measure(bench, who, count, warm) {
  return onFreshOrigin(bench, who, async (visit) => {
    const result = await visit.run("pull", { who: moduleOf(who), warm, options: await optionsFor(bench, count, who) });
    verify(await visit.run("facts"), count, 0, who);
    return result;
  });
}

/** Returns whether all rows survive if the page is killed as soon as the pull has resolved. Tested once per run. */
async function isDurable(bench, who) {
  bench.durable ??= new Map();
  if (!bench.durable.has(who)) {
    const count = bench.quick ? 2_000 : 10_000;
    const answer = await guarded(bench.report, `${who} durable`, async () => {
      await prepare(bench, count, [who]);
      return survives(bench, who, count);
    });
    bench.durable.set(who, answer ?? false);
  }
  return bench.durable.get(who);
}

async function survives({ browser, url, remote }, who, count) {
  const origin = browser.origin(url, `${who}-durable`);
  try {
    const options = await optionsFor({ remote }, count, who);
    const first = await browser.visit(origin);
    const crash = await first.crasher();
    await first.run("pullThenHang", { who: moduleOf(who), options });
    await crash();
    const second = await browser.visit(origin);
    await second.run("open", { who: moduleOf(who), options });
    const facts = await second.run("facts");
    await second.close();
    return same(facts, expected(count));
  } finally {
    await browser.forget(origin);
  }
}

/** Requests everything once, so that the local server has it cached before the measurement. */
async function fillCaches(bench, count) {
  const { authorization } = await optionsFor(bench, count);
  const at = `${bench.url}/d/${count}`;
  const ask = async (path, body) => {
    const reply = await fetch(at + path, body === undefined ? {} : { method: "POST", headers: { authorization }, body: JSON.stringify(body) });
    if (!reply.ok) throw new Error(`${path} answered ${reply.status}: ${await reply.text()}`);
    return reply.text();
  };
  let bytes = 0;
  for (let cursor = null, more = true, limit = FIRST_ROWS; more; limit = nextRows(limit)) {
    const text = await ask("/sync/v1/pull", { clientId: "bench", userId: `n${count}`, schema: 0, cursor, limit });
    bytes += Buffer.byteLength(text);
    ({ cursor, more } = JSON.parse(text));
  }
  for (let after = 0; after <= count; after += 1_000) await ask(`/rxdb/pull?after=${after}&limit=1000`);
  await ask("/watermelon/pull?since=");
  await ask("/replicache/pull", { cookie: null });
  await ask("/tinybase/load");
  return bytes;
}

async function pulls(bench, id, { count, warm, who, rounds, atMost, metric }) {
  const { report } = bench;
  await prepare(bench, count, who);
  await prepare(bench, warm, who);
  await fillCaches(bench, warm);
  const bytes = await fillCaches(bench, count);
  const found = await inTurns({ report, id, rounds, who, atMost, say: ms }, (one) => measure(bench, one, count, warm));
  for (const one of who) {
    const durable = one === "bare" ? null : await isDurable(bench, one);
    report.row(id, one, metric, "ms", found[one].map((result) => result.ms), durable);
  }
  return bytes;
}

/** The same pull in the other engines, with the two contestants it is compared with. */
async function inOtherEngines(bench, { count, warm }) {
  const { report } = bench;
  const who = bench.who(["datum", "bare", "raw"]);
  for (const engine of bench.engines) {
    const metric = `first pull in ${names[engine]}`;
    const found = await inTurns({ report, id: "B1", rounds: Math.min(bench.rounds, 5), who, say: (result) => `${ms(result)} in ${names[engine]}` }, (one) =>
      visitIn(engine, bench.url, async (visit) => {
        const result = await visit.run("pull", { who: one, warm, options: await optionsFor(bench, count, one) });
        verify(await visit.run("facts"), count, 0, `${one} in ${engine}`);
        return result;
      }),
    );
    for (const one of who) report.row("B1", one, metric, "ms", found[one].map((result) => result.ms));
    report.check("B1", `${metric} against bare fetch and JSON.parse`, report.ratio("B1", "datum", "bare", metric), 1.5, "max");
  }
}

export const b1 = {
  id: "B1",
  title: "first pull of 10,000 tasks into an empty database",
  async run(bench) {
    const { report, quick } = bench;
    const metric = "first pull";
    const count = quick ? 2_000 : 10_000;
    const warm = quick ? 200 : 1_000;
    await pulls(bench, "B1", { count, warm, who: bench.who(WHO), rounds: bench.rounds, atMost: {}, metric });
    const times = (other) => report.ratio("B1", other, "datum", metric);
    report.check("B1", "first pull against bare fetch and JSON.parse", report.ratio("B1", "datum", "bare", metric), 1.5, "max");
    report.check("B1", "raw IndexedDB takes N times as long", times("raw"), 4.5, "min");
    report.check("B1", "RxDB takes N times as long", times("rxdb"), 30, "min");
    report.check("B1", "PouchDB takes N times as long", times("pouchdb"), 35, "min");
    report.check("B1", "WatermelonDB takes N times as long", times("watermelondb"), 1, "min");
    report.check("B1", "Replicache takes N times as long", times("replicache"), 1, "min");
    await inOtherEngines(bench, { count, warm });
  },
};

export const b2 = {
  id: "B2",
  title: "first pull of 100,000 tasks",
  async run(bench) {
    const { report, quick } = bench;
    const count = quick ? 5_000 : 100_000;
    const per = count / 1_000;
    // Without PouchDB's own server, which scans all documents for each batch: it would take most of an hour.
    const who = bench.who(WHO.filter((one) => one !== "pouchdb"));
    const bodies = await pulls(bench, "B2", { count, warm: quick ? 200 : 1_000, who, rounds: Math.min(bench.rounds, 5), atMost: { rxdb: 1, pouchdbready: 1, dexie: 2, raw: 3 }, metric: "first pull" });
    for (const one of who) {
      const row = report.rows.find((row) => row.id === "B2" && row.who === one && row.metric === "first pull");
      if (row) report.row("B2", one, "per 1,000 tasks", "ms", row.runs.map((run) => run / per), row.durable);
    }

    // Memory and the longest task have their own rounds, because tracing takes time.
    const two = who.filter((one) => ["datum", "bare", "raw"].includes(one));
    const say = (one) => `${(one.peak / 1e6).toFixed(1)} MB in heaps, ${one.resident === null ? "?" : (one.resident / 1e6).toFixed(1)} MB more in the process, longest task ${one.longest.toFixed(1)} ms`;
    const traces = await inTurns({ report, id: "B2", rounds: Math.min(bench.rounds, 3), who: two, atMost: { raw: 1 }, say }, async (one) => {
      const options = await optionsFor(bench, count, one);
      const found = await onFreshOrigin(bench, `${one}-trace`, async (visit) => {
        await visit.run("watchMemory");
        const { heap, longest, result } = await traced(visit, () => visit.run("pull", { who: one, warm: 0, options }));
        verify(await visit.run("facts"), count, 0, one);
        return { peak: heap + (await visit.run("wasmBytes")), longest: Math.max(longest, result.longest) };
      });
      const resident = await onFreshOrigin(bench, `${one}-resident`, (visit) => residentPeak(visit, () => visit.run("pull", { who: one, warm: 0, options })));
      return { ...found, resident };
    });
    for (const [one, list] of Object.entries(traces)) {
      report.row("B2", one, "peak of JS heap and wasm", "MB", list.map((found) => found.peak / 1e6));
      report.row("B2", one, "peak of the process over its start", "MB", list.filter((found) => found.resident !== null).map((found) => found.resident / 1e6));
      report.row("B2", one, "longest main-thread task", "ms", list.map((found) => found.longest));
    }
    report.row("B2", "server", "bytes of the bodies", "MB", [bodies / 1e6]);
    const small = report.find("B1", "datum", "first pull");
    const large = report.find("B2", "datum", "first pull");
    const smallCount = quick ? 2_000 : 10_000;
    if (small !== undefined && large !== undefined) report.check("B2", "time of an entity against B1", large / count / (small / smallCount), 1.2, "max");
    report.check("B2", "peak memory against the bytes of the bodies", (report.find("B2", "datum", "peak of JS heap and wasm") * 1e6) / bodies, 3, "max");
    report.check("B2", "longest main-thread task (ms)", report.find("B2", "datum", "longest main-thread task"), 50, "max");
  },
};
