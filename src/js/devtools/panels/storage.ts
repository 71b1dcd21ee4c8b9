/** How much is stored here, whether it is safe there, and what the instance has counted. */

import type { Metrics, StorageSize } from "datum-sync";
import type { Context, Panel } from "../context.js";
import { h, type Child } from "../dom.js";
import { bytes, number } from "../format.js";
import { LOCAL } from "../headline.js";
import { bar, button, empty, facts, heading, note, pill, table } from "../parts.js";
import { keepReading, type Scope } from "../scope.js";

/** From this share of the quota on, it is said that it is nearly used up. */
const NEARLY = 0.8;

export class StoragePanel implements Panel {
  readonly #context: Context;
  #size: StorageSize | undefined;
  #users: readonly string[] = [];
  #metrics: Metrics | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  start(scope: Scope): void {
    const { datum, userId } = this.#context;
    keepReading(scope, this.#context, async () => {
      [this.#size, this.#users] = await Promise.all([datum.storageSize(userId), datum.userIds()]);
      this.#metrics = datum.metrics;
    });
  }

  view(): readonly Child[] {
    const [size, metrics] = [this.#size, this.#metrics];
    if (size === undefined || metrics === undefined) return [empty("Measuring …", "")];
    const { datum, recorder } = this.#context;
    const persist = () =>
      this.#context.act(async () => ((await datum.requestPersistence()) ? "The browser promises to keep the data." : "The browser does not promise it. Many grant it to pages that are installed or used often; with `persist: false` it is not asked."));
    const share = size.quota === undefined ? undefined : size.bytes / size.quota;
    return [
      share !== undefined && share > NEARLY && note("bad", `${Math.round(share * 100)} % of the quota is used. Writes are refused once nothing is left: free space, or remove a user's data.`),
      recorder.status?.health.local === "memoryOnly" && note("warn", "The browser provides no storage here: everything is in memory, and lost with the page."),
      size.persisted ? note("good", "The browser has promised not to evict the data.") : note("warn", "The browser may evict the data when the device runs short of space.", button("Ask the browser to keep it", persist, { kind: "primary", title: "Calls requestPersistence." })),
      facts(
        ["This user's data", bytes(size.bytes)],
        ["Quota of this origin", size.quota === undefined ? "not known" : bytes(size.quota)],
        ["Used", share === undefined ? "–" : share < 0.001 ? "less than 0.1 %" : `${(share * 100).toFixed(1)} %`],
        ["Storage", recorder.status ? LOCAL[recorder.status.health.local] : "–"],
      ),
      h("meter", { min: 0, max: 1, high: NEARLY, value: share ?? 0, "aria-label": "Used share of the quota" }),
      heading("By entity type"),
      table(["Type", "Rows", "Deleted, with a trace", "Segments", "Bytes"], Object.entries(size.entities).map(([type, it]) => [type, number(it.rows), number(it.tombstones), number(it.segments), bytes(it.bytes)])),
      ...logOf(size.log),
      heading("Users with data on this device"),
      bar(...this.#users.map((user) => pill(user, user === this.#context.userId ? "info" : "quiet"))),
      heading("Since this instance was opened"),
      facts(
        ["Cycles", number(metrics.cycles)],
        ["of them successful", number(metrics.successfulCycles)],
        ["of them failed", number(metrics.failedCycles)],
        ["Requests", number(metrics.requests)],
        ["Pushed", bytes(metrics.bytesPushed)],
        ["Pulled", bytes(metrics.bytesPulled)],
        ["Commits", number(metrics.commits)],
        ["planned again", number(metrics.staleCommits)],
        ["Conflicts", number(metrics.conflictsDetected)],
        ["decided", number(metrics.conflictsResolved)],
        ["Events lost by slow readers", number(metrics.droppedEvents)],
        ["Open users", number(metrics.activeUsers.length)],
      ),
    ];
  }
}

/** Shows the log and its segments, and when it is compacted. */
function logOf(log: StorageSize["log"]): readonly Child[] {
  const dead = log.segmentBytes === 0 ? "" : ` (${Math.round((log.deadBytes / log.segmentBytes) * 100)} %)`;
  return [
    heading("The log"),
    facts(
      ["Records since the last checkpoint", number(log.records)],
      ["Size of the records", bytes(log.recordBytes)],
      ["Segments beside them", number(log.segments)],
      ["Size of the segments", bytes(log.segmentBytes)],
      ["Dead in them", `${bytes(log.deadBytes)}${dead}`],
    ),
    note(log.isDue ? "info" : "quiet", `The next checkpoint compacts it. ${log.because}`),
  ];
}
