// B3 and B4: local writes, sequential and concurrent.
import { median } from "../lib/stats.mjs";
import { inTurns, onFreshOrigin, verify } from "./common.mjs";

/** Contestants that write to disk some time after their promise resolves, as B1 measured or they document. */
const LATER = new Set(["watermelondb", "replicache"]);
const durable = (bench, who) => bench.durable?.get(who) ?? !LATER.has(who);

export const b3 = {
  id: "B3",
  title: "one local create, awaited, entity and operation",
  async run(bench) {
    const { report, quick } = bench;
    const [warm, count] = quick ? [5, 20] : [50, 300];
    for (const durability of ["strict", "relaxed"]) {
      // Only some contestants can choose strict durability.
      const who = bench.who(durability === "strict" ? ["datum", "raw", "dexie", "rxdb"] : ["datum", "raw", "dexie", "rxdb", "pouchdb", "watermelondb", "replicache", "tinybase"]);
      const metric = `create, ${durability}`;
      const found = await inTurns({ report, id: "B3", rounds: bench.rounds, who, say: (ms) => `${ms.toFixed(3)} ms each, ${durability}` }, (one) =>
        onFreshOrigin(bench, one, async (visit) => {
          const times = await visit.run("creates", { who: one, warm, count, options: { durability } });
          verify(await visit.run("facts"), warm + count, 0, one);
          if (one === "datum") await allPending(visit, warm + count);
          return median(times);
        }),
      );
      for (const one of who) report.row("B3", one, metric, "ms", found[one], durable(bench, one));
      report.check("B3", `create against a raw one-put transaction, ${durability}`, report.ratio("B3", "datum", "raw", metric), 1.5, "max");
    }
  },
};

export const b4 = {
  id: "B4",
  title: "1,000 local creates at once, entities and operations",
  async run(bench) {
    const { report, quick } = bench;
    const [warm, count] = quick ? [20, 100] : [200, 1_000];
    const how = { createMany: "in one call", createEach: "in as many calls at once" };
    for (const [method, words] of Object.entries(how)) {
      const all = ["datum", "raw", "dexie", "rxdb", "pouchdb", "watermelondb", "replicache", "tinybase"];
      // Raw IndexedDB has no batching of concurrent calls, and TinyBase would save its whole store for each call.
      const who = bench.who(method === "createMany" ? all : all.filter((one) => !["raw", "tinybase"].includes(one)));
      const found = await inTurns({ report, id: "B4", rounds: bench.rounds, who, say: (ms) => `${ms.toFixed(1)} ms ${words}` }, (one) =>
        onFreshOrigin(bench, one, async (visit) => {
          const ms = await visit.run("many", { who: one, warm, count, how: method, options: { durability: "relaxed" } });
          verify(await visit.run("facts"), count, warm, one);
          if (one === "datum") await allPending(visit, count);
          return ms;
        }),
      );
      for (const one of who) report.row("B4", one, words, "ms", found[one], durable(bench, one));
    }
    // Both of our ways are compared with the peers' bulk calls.
    for (const [method, words] of [["createMany", how.createMany], ["1,000 concurrent create", how.createEach]]) {
      report.check("B4", `${method}: Dexie bulkAdd with an outbox takes N times as long`, report.ratio("B4", "dexie", "datum", how.createMany, words), 10, "min");
      report.check("B4", `${method}: RxDB bulkInsert takes N times as long`, report.ratio("B4", "rxdb", "datum", how.createMany, words), 10, "min");
    }
  },
};

async function allPending(visit, count) {
  const pending = await visit.run("pending");
  if (pending !== count) throw new Error(`${pending} of ${count} operations are pending`);
}
