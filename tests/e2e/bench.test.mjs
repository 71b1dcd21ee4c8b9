// The benchmark's own parts, without a browser: checksums, order of rounds, targets and charts.
import assert from "node:assert/strict";
import { test } from "./lib/test.mjs";
import { svg } from "../../benches/lib/chart.mjs";
import { expected, factsOf, same, tasks } from "../../benches/lib/data.mjs";
import { Report } from "../../benches/lib/report.mjs";
import { median, percentile } from "../../benches/lib/stats.mjs";
import { guarded, inTurns } from "../../benches/suites/common.mjs";

/** Returns a report that prints nothing. */
function quiet(t) {
  t.mock.method(console, "log", () => {});
  return new Report();
}

test("the checksum detects missing, doubled and changed rows, and ignores their order", () => {
  const all = tasks(100);
  assert.ok(same(factsOf([...all].reverse()), expected(100)));
  assert.ok(!same(factsOf(all.slice(1)), expected(100)));
  assert.ok(!same(factsOf([...all.slice(1), all[1]]), expected(100)));
  for (const change of [{ done: true }, { priority: 9 }, { tags: ["work"] }, { title: "" }, { createdAt: "" }]) {
    assert.ok(!same(factsOf([...all.slice(0, 50), { ...all[50], ...change }, ...all.slice(51)]), expected(100)), JSON.stringify(change));
  }
});

test("a task in a page of the protocol has about 320 bytes, and ids are sorted", () => {
  const list = tasks(2_000);
  const bytes = list.map(({ id, ...data }) => JSON.stringify({ entity: "tasks", id, version: 1_000, data }).length);
  assert.ok(median(bytes) > 300 && median(bytes) < 360, String(median(bytes)));
  const ids = list.map((task) => task.id);
  assert.deepEqual(ids, [...new Set(ids)].sort());
});

test("each contestant runs once per round, the order rotates, and slow ones run fewer rounds", async (t) => {
  const order = [];
  const found = await inTurns({ report: quiet(t), id: "B1", rounds: 3, who: ["a", "b", "c"], atMost: { c: 1 }, say: String }, async (who, round) => {
    order.push(`${who}${round}`);
    return round;
  });
  assert.deepEqual(order, ["a0", "b0", "c0", "b1", "a1", "a2", "b2"]);
  assert.deepEqual(found, { a: [0, 1, 2], b: [0, 1, 2], c: [0] });
});

test("a contestant that fails has no time, and the run fails", async (t) => {
  const report = quiet(t);
  const result = await guarded(report, "B1 dexie", async () => {
    throw new Error("9 rows of 10");
  });
  assert.equal(result, undefined);
  assert.deepEqual(report.wrong, ["B1 dexie: 9 rows of 10"]);
});

test("a target is checked in its direction, and is skipped if a figure is missing", (t) => {
  const report = quiet(t);
  report.row("B1", "datum", "first pull", "ms", [90, 100, 110], true);
  report.row("B1", "bare", "first pull", "ms", [50], null);
  report.check("B1", "against bare fetch", report.ratio("B1", "datum", "bare", "first pull"), 1.5, "max");
  report.check("B1", "bare against us", report.ratio("B1", "bare", "datum", "first pull"), 0.5, "min");
  report.check("B1", "RxDB", report.ratio("B1", "rxdb", "datum", "first pull"), 30, "min");
  assert.deepEqual(report.checks, [
    { id: "B1", name: "against bare fetch", value: 2, bar: 1.5, direction: "max", met: false },
    { id: "B1", name: "bare against us", value: 0.5, bar: 0.5, direction: "min", met: true },
  ]);
  assert.deepEqual(report.rows[0], { id: "B1", who: "datum", metric: "first pull", unit: "ms", median: 100, runs: [90, 100, 110], durable: true });
});

test("the median is the middle, and a percentile is one of the numbers", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(percentile(Array.from({ length: 100 }, (_, at) => at + 1), 0.99), 99);
});

test("a chart marks who is not durable, names date and machine, and cuts a bar that would hide the others", () => {
  const row = (who, median, durable = true) => ({ who, median, durable });
  const text = svg({ title: "First <pull>", unit: "ms" }, [row("rxdb", 90_000), row("datum", 100), row("dexie", 900), row("watermelondb", 50, false)], "2026-11-22 · a machine");
  assert.match(text, />First &lt;pull&gt;</);
  assert.match(text, /2026-11-22 · a machine/);
  assert.equal(text.match(/not durable/g).length, 1);
  assert.equal(text.match(/class="cut"/g).length, 1);
  assert.match(text, /90,000 ms/);
});
