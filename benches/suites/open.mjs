// B6: opens an app that has its data: code, engine, database, rows. Databases are filled once; each round is a new page, and
// so a new process, on the same origin, with the code in the browser's cache.
import { idOf } from "../lib/data.mjs";
import { guarded, inTurns, ms, verify } from "./common.mjs";

export const b6 = {
  id: "B6",
  title: "cold open, then reading",
  async run(bench) {
    const { report, quick } = bench;
    const [small, large] = quick ? [2_000, 5_000] : [10_000, 100_000];
    await visits(bench, { count: small, what: "all", metric: "open, readAll of 10,000", who: ["datum", "raw", "dexie", "rxdb", "pouchdb", "watermelondb", "replicache", "tinybase"] });
    // PouchDB takes minutes to fill.
    await visits(bench, { count: large, what: "one", metric: "open, read one of 100,000", who: ["datum", "raw", "dexie", "rxdb", "watermelondb", "replicache", "tinybase"] });
    for (const metric of ["open, readAll of 10,000", "open, read one of 100,000"]) {
      report.check("B6", `${metric}: Dexie takes N times as long`, report.ratio("B6", "dexie", "datum", metric), 2.5, "min");
      report.check("B6", `${metric}: RxDB takes N times as long`, report.ratio("B6", "rxdb", "datum", metric), 8, "min");
    }
  },
};

async function visits(bench, { count, what, metric, who: all }) {
  const { browser, report, remote, url } = bench;
  const who = bench.who(all);
  await remote.seed(`n${count}`, count);
  const options = { count, user: `n${count}`, authorization: await remote.token(`n${count}`) };
  const origins = {};
  try {
    const able = [];
    for (const one of who) {
      const started = Date.now();
      origins[one] = browser.origin(url, `${one}-open`);
      const filled = await guarded(report, `B6 filling ${one}`, async () => {
        const visit = await browser.visit(origins[one]);
        await visit.run("fill", { who: one, count, options });
        await visit.run("close");
        await visit.close();
        return true;
      });
      if (filled) able.push(one);
      report.progress("B6", 0, bench.rounds, one, `filled with ${count} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    }
    const id = idOf(Math.floor(count / 3));
    const found = await inTurns({ report, id: "B6", rounds: bench.rounds, who: able, say: ms }, async (one) => {
      const visit = await browser.visit(origins[one]);
      try {
        const result = await visit.run("visit", { who: one, what, id, options });
        if (what === "all") verify(result.facts, count, 0, one);
        else verify(result.facts, 1, Math.floor(count / 3), one);
        if (visit.errors.length > 0) throw new Error(visit.errors.join(" | "));
        return result;
      } finally {
        await visit.close();
      }
    });
    for (const one of able) report.row("B6", one, metric, "ms", found[one].map((result) => result.ms));
  } finally {
    for (const origin of Object.values(origins)) await browser.forget(origin);
  }
}
