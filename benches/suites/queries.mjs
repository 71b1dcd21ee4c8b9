// B7: queries, once and live, over tasks that are there. B8: an app that is updated, and renames a field of all of them.
import { expected, factsOf, same, taskOf } from "../lib/data.mjs";
import { median } from "../lib/stats.mjs";
import { inTurns, onFreshOrigin } from "./common.mjs";

const PRIORITY = 4;
const TEXT = "number 77";

/** How many tasks there are, and what a row is called: by the full number, also in a quick run. */
const countOf = (quick) => (quick ? 2_000 : 100_000);

const METRICS = [
  ["indexed", "query by an index, sorted, limit 50"],
  ["scan", "query without an index"],
  ["scanLongest", "longest task of that"],
  ["write", "write of one entity"],
  ["watched", "write until a live list of 50 shows it"],
  ["early", "page of 100 behind the first 1 %"],
  ["late", "page of 100 behind the first 99 %"],
];

export const b7 = {
  id: "B7",
  title: "queries over 100,000 tasks",
  async run(bench) {
    const { report, quick } = bench;
    const count = countOf(quick);
    const who = bench.who(["datum", "dexie", "rxdb", "tinybase", "tanstack"]);
    const options = await optionsOf(bench, count, who);
    const numbers = Array.from({ length: count }, (_, number) => number);
    const facts = (chosen) => factsOf(chosen.map(taskOf));
    const right = {
      // Of the last of 23 calls: see the page.
      indexed: facts(numbers.filter((number) => number % 5 === PRIORITY && number < count - 1 - 7 * 22).slice(-50)),
      scan: facts(numbers.filter((number) => taskOf(number).title.includes(TEXT))),
    };
    const [early, late] = [0.01, 0.99].map((part) => Math.floor(count * part));
    right.early = expected(100, early + 13);
    right.late = expected(Math.min(100, count - late - 13), late + 13);
    const found = await inTurns({ report, id: "B7", rounds: Math.min(bench.rounds, 3), who, say: ({ indexed, scan }) => `indexed ${indexed.toFixed(2)} ms, scan ${scan.toFixed(0)} ms` }, (one) =>
      onFreshOrigin(bench, `${one}-queries`, async (visit) => {
        const result = await visit.run("queries", { who: one, count, options, priority: PRIORITY, text: TEXT, places: { early, late } });
        for (const [name, wanted] of Object.entries(right)) {
          const got = result.facts[name];
          if (!same(got, wanted)) throw new Error(`${one} ${name}: ${got.count} rows with checksum ${got.sum}; expected ${wanted.count} with ${wanted.sum}`);
        }
        return result;
      }),
    );
    for (const [key, metric] of METRICS) for (const one of who) report.row("B7", one, metric, "ms", found[one].map((result) => result[key]));
    const of = (one, key) => (found[one]?.length ? median(found[one].map((result) => result[key])) : undefined);
    const ours = (key) => of("datum", key);
    report.check("B7", "an indexed query, from call to result, in ms", ours("indexed"), 1, "max");
    for (const one of ["dexie", "rxdb"]) report.check("B7", `${METRICS[0][1]}: ${one} takes N times as long`, report.ratio("B7", one, "datum", METRICS[0][1]), 1, "min");
    report.check("B7", "a query without an index, in ms", ours("scan"), 150, "max");
    report.check("B7", "its longest task, in ms", ours("scanLongest"), 50, "max");
    report.check("B7", "a live list more than the write alone, in ms", ours("watched") === undefined ? undefined : ours("watched") - ours("write"), 1, "max");
    report.check("B7", "a late page in times of an early one", ours("late") === undefined ? undefined : ours("late") / ours("early"), 2, "max");
  },
};

export const b8 = {
  id: "B8",
  title: "migration of 100,000 tasks",
  async run(bench) {
    const { report, quick } = bench;
    const count = countOf(quick);
    const who = bench.who(["datum", "dexie", "rxdb"]);
    const options = await optionsOf(bench, count, who);
    const found = await inTurns({ report, id: "B8", rounds: Math.min(bench.rounds, 3), who, say: ({ ms, longest }) => `${ms.toFixed(0)} ms, longest task ${longest.toFixed(0)} ms` }, (one) =>
      onFreshOrigin(bench, `${one}-migration`, async (visit, origin) => {
        await visit.run("fillQueries", { who: one, count, options });
        await visit.run("close");
        const next = await bench.browser.visit(origin);
        try {
          const result = await next.run("migrate", { who: one, options });
          if (!same(result.facts, expected(count))) throw new Error(`${one} has ${result.facts.count} rows with checksum ${result.facts.sum}`);
          if (next.errors.length > 0) throw new Error(next.errors.join(" | "));
          return result;
        } finally {
          await next.close();
        }
      }),
    );
    for (const one of who) {
      report.row("B8", one, "a renamed field, until the app is open", "ms", found[one].map(({ ms }) => ms));
      report.row("B8", one, "longest task of that", "ms", found[one].map(({ longest }) => longest));
    }
    report.check("B8", "a migration, in ms", report.find("B8", "datum", "a renamed field, until the app is open"), 2_000, "max");
    report.check("B8", "its longest task, in ms", report.find("B8", "datum", "longest task of that"), 50, "max");
  },
};

/** What contestants are opened with. The engine pulls its tasks from the server, which has them. */
async function optionsOf({ remote }, count, who) {
  if (!who.includes("datum")) return { count };
  await remote.seed(`n${count}`, count);
  return { count, authorization: await remote.token(`n${count}`) };
}
