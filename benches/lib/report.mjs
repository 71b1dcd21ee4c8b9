// Collects results, and prints progress and tables.
import { median, round } from "./stats.mjs";

export const names = { datum: "datum-sync", bare: "bare fetch", raw: "raw IndexedDB", dexie: "Dexie", rxdb: "RxDB", pouchdb: "PouchDB", pouchdbready: "PouchDB, static", watermelondb: "WatermelonDB", replicache: "Replicache", tinybase: "TinyBase", tanstack: "TanStack DB", server: "datum-server", node: "in Node", postgres: "on PostgreSQL", prepared: "prepared", postgres2: "two on it", postgrest: "kit, PostgREST", kit: "datum-sync, kit", firefox: "Firefox", webkit: "WebKit" };

export class Report {
  rows = [];
  checks = [];
  wrong = [];

  /** Prints a finished measurement. */
  progress(id, round_, rounds, who, text) {
    console.log(`  ${id} ${String(round_).padStart(2)}/${rounds} ${(names[who] ?? who).padEnd(16)}${text}`);
  }

  /** Adds all runs of one metric. `durable` is true, false, or null if nothing is written. */
  row(id, who, metric, unit, runs, durable = null) {
    if (runs.length === 0) return;
    this.rows.push({ id, who, metric, unit, median: round(median(runs)), runs: runs.map(round), durable });
  }

  find = (id, who, metric) => this.rows.find((row) => row.id === id && row.who === who && (metric === undefined || row.metric === metric))?.median;

  /** Compares a value with its target. Skipped if the value was not measured. */
  check(id, name, value, bar, direction) {
    if (value === undefined || value === null || Number.isNaN(value)) return;
    const rounded = round(value);
    this.checks.push({ id, name, value: rounded, bar, direction, met: direction === "max" ? rounded <= bar : rounded >= bar });
  }

  /** Returns how many times as long `who` took as `other`. */
  ratio(id, who, other, metric, otherMetric = metric) {
    const [a, b] = [this.find(id, who, metric), this.find(id, other, otherMetric)];
    return a === undefined || b === undefined ? undefined : a / b;
  }

  /** Records a wrong result: its time does not count, and the run fails. */
  mistake(text) {
    this.wrong.push(text);
    console.log(`  WRONG ${text}`);
  }

  /** Prints the rows and checks of one suite. */
  table(id, title) {
    const rows = this.rows.filter((row) => row.id === id);
    if (rows.length === 0) return;
    console.log(`\n${id}  ${title}`);
    for (const metric of new Set(rows.map((row) => row.metric))) {
      const of = rows.filter((row) => row.metric === metric);
      const ours = of.find((row) => row.who === "datum")?.median;
      const alone = of.length === 1;
      if (!alone) console.log(`  ${metric}`);
      for (const row of of) {
        const times = ours && row.who !== "datum" ? `${round(row.median / ours)} ×` : "";
        const durable = row.durable === null ? "" : row.durable ? "durable" : "NOT durable";
        const spread = row.runs.length > 1 ? `${round(Math.min(...row.runs))} to ${round(Math.max(...row.runs))}` : "";
        const label = alone ? `  ${`${metric}, ${names[row.who] ?? row.who}`.padEnd(60)}` : `    ${(names[row.who] ?? row.who).padEnd(18)}`;
        console.log(`${label}${String(row.median).padStart(10)} ${row.unit.padEnd(7)}${times.padStart(10)}  ${durable.padEnd(12)}${spread}`.trimEnd());
      }
    }
    for (const check of this.checks.filter((check) => check.id === id)) {
      console.log(`  ${check.met ? "met   " : "MISSED"} ${check.name}: ${check.value} (${check.direction === "max" ? "at most" : "at least"} ${check.bar})`);
    }
    console.log("");
  }
}
