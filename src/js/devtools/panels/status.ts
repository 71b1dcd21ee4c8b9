/** What the sync does now, what comes next and why, and the timeline of cycles. */

import type { NextSyncExplanation, SyncResult, SyncStatus } from "datum-sync";
import type { Context, Panel } from "../context.js";
import { DIRECTIONS, isElsewhere, OUTCOMES, type Cycle, type Outcome, type Step } from "../cycles.js";
import { h, own, type Child, type View } from "../dom.js";
import { bytes, clock, duration, failure, number, plural } from "../format.js";
import { headline, LOCAL, REMOTE, STATE_TONES } from "../headline.js";
import { VirtualList } from "../list.js";
import { nextCycle, runCycle } from "../mending.js";
import { bar, button, empty, facts, heading, mono, note, pill, split, type Tone } from "../parts.js";
import { keepReading, type Scope } from "../scope.js";
import { toneOf } from "../why.js";

const TONES: Record<Outcome, Tone> = { running: "info", ok: "good", partly: "warn", failed: "bad", cancelled: "warn" };

export class StatusPanel implements Panel {
  readonly #context: Context;
  readonly #list: VirtualList;
  #next: NextSyncExplanation | undefined;
  #last: SyncResult | null | undefined;
  #cycles: readonly Cycle[] = [];
  #chosen: string | undefined;

  constructor(context: Context) {
    this.#context = context;
    this.#list = new VirtualList({
      label: "Cycles, the latest first",
      columns: "cycle-row",
      heads: ["Began", "Outcome", "Cycle", "Took", "Pushed", "Pulled", "Sent", "Received", "Requests"],
      row: (index) => row(this.#cycles[index]),
      choose: (index) => this.select(this.#cycles[index]?.id ?? ""),
    });
  }

  start(scope: Scope): void {
    const { datum, userId } = this.#context;
    keepReading(scope, this.#context, async () => {
      [this.#next, this.#last] = await Promise.all([datum.explainNextSync(userId), datum.getLastSyncResult(userId)]);
    });
  }

  select(selection: string): void {
    this.#chosen = selection;
    this.#context.invalidate();
  }

  view(): readonly Child[] {
    const { status } = this.#context.recorder;
    if (status === undefined) return [empty("Reading the status …", "")];
    this.#cycles = this.#context.recorder.timeline.newest();
    const index = this.#cycles.findIndex(({ id }) => id === this.#chosen);
    this.#list.show(this.#cycles.length, index);
    return [
      this.#now(status),
      heading("Timeline"),
      this.#cycles.length === 0
        ? empty("No cycle since this panel was opened", this.#last ? `The last one took ${duration(this.#last.duration)}: ${plural(this.#last.pushedCount, "operation")} pushed, ${plural(this.#last.pulledCount, "row")} pulled.` : "None has run on this device yet.")
        : split(own(this.#list.element), detail(this.#cycles[index]), "The selected cycle"),
    ];
  }

  #now(status: SyncStatus): View {
    const { tone, text } = headline(status);
    const { datum, userId } = this.#context;
    const isPaused = status.status === "paused";
    const isSyncing = status.status === "syncing";
    const next = this.#next;
    const act = (work: () => Promise<string | void>) => () => this.#context.act(work);
    return h(
      "div",
      { class: "now" },
      h(
        "div",
        { class: `headline ${tone}`, role: "status" },
        h("strong", {}, text),
        h("progress", { max: 1, value: isSyncing ? status.progress : 0, class: isSyncing ? "" : "still", "aria-label": "Progress of the cycle" }),
        bar(
          button("Synchronize", act(() => runCycle(this.#context)), { kind: "primary", disabled: isSyncing }),
          isPaused
            ? button("Resume", act(async () => (await datum.resumeSync(userId), "Cycles may run again.")), { key: "resume" })
            : button("Pause", act(async () => (await datum.pauseSync(userId), "Sync is paused in every tab of this user.")), { key: "pause" }),
          button("Ask the server", act(async () => `The server ${REMOTE[(await datum.checkHealth(userId)).remote]}.`), { title: "Calls checkHealth: one request." }),
        ),
      ),
      facts(
        ["State", pill(status.status, STATE_TONES[status.status])],
        ["Pending", number(status.pendingOperations)],
        ["Conflicts", number(status.unresolvedConflicts)],
        ["Dead letters", number(status.deadLetters)],
        ["Network", status.online ? "yes" : "none"],
        ["Server", REMOTE[status.health.remote]],
        ["Storage", LOCAL[status.health.local]],
        ["This tab", status.isLeader ? "leads" : "does not lead"],
        ["Last begun", clock(status.lastStartedAt)],
        ["Last ended", clock(status.lastCompletedAt)],
      ),
      next !== undefined &&
        nextCycle(this.#context, next, next.at === null && next.reason !== "running" ? toneOf(next.reason) : "quiet"),
      ...status.errors.slice(0, 3).map((error) => note("bad", failure(error))),
      status.errors.length > 3 && h("p", { class: "soft" }, `and ${plural(status.errors.length - 3, "more failure")}`),
    );
  }
}

function row(cycle: Cycle | undefined): readonly Child[] | undefined {
  if (cycle === undefined) return undefined;
  const direction = DIRECTIONS[cycle.direction ?? ""] ?? "cycle";
  const cells = [direction, duration(cycle.durationMs), number(cycle.pushed), number(cycle.pulled), bytes(cycle.bytesPushed), bytes(cycle.bytesPulled), `${number(cycle.requests)}${cycle.retries > 0 ? ` (${cycle.retries} again)` : ""}`];
  return [mono(clock(cycle.startedAt)), pill(OUTCOMES[cycle.outcome], TONES[cycle.outcome]), ...cells.map((cell) => mono(cell, cell))];
}

function detail(cycle: Cycle | undefined): readonly Child[] {
  if (cycle === undefined) return [empty("Select a cycle", "Its phases, requests and commits are shown here, as far as this panel was open.")];
  const end = Math.max(1, ...cycle.steps.map(({ startMs, durationMs }) => startMs + durationMs - cycle.startMs));
  return [
    heading(`${DIRECTIONS[cycle.direction ?? ""] ?? "Cycle"}, ${OUTCOMES[cycle.outcome]}`),
    cycle.error !== undefined && note("bad", failure(cycle.error)),
    facts(
      ["Began", clock(cycle.startedAt)],
      ["Took", duration(cycle.durationMs)],
      cycle.isAutomatic !== undefined && ["Began by", cycle.isAutomatic ? "itself" : "a call of the app"],
      cycle.conflicts !== undefined && ["Conflicts", number(cycle.conflicts)],
      cycle.refused !== undefined && ["Refused", number(cycle.refused)],
    ),
    isElsewhere(cycle) && note("quiet", "Another tab ran it: that tab's panel has its requests."),
    cycle.steps.length > 0 && h("ol", { class: "steps" }, ...cycle.steps.map((step) => stepView(step, cycle.startMs, end))),
    cycle.forgotten > 0 && h("p", { class: "soft" }, `and ${plural(cycle.forgotten, "more step")} from the middle`),
  ];
}

function stepView(step: Step, startMs: number, end: number): View {
  const share = (ms: number) => `${Math.min(100, Math.max(0, (ms / end) * 100)).toFixed(2)}%`;
  return h(
    "li",
    { class: `step ${step.kind} ${TONES[step.outcome]}` },
    h("span", { class: "mono" }, step.name),
    h("span", { class: "track", "--from": share(step.startMs - startMs), "--share": share(step.durationMs), "aria-hidden": "true" }, h("span", { class: "part" })),
    h("span", { class: "mono" }, duration(step.durationMs)),
    h("span", { class: "soft", title: [step.error, ...step.facts].filter(Boolean).join(", ") }, step.error !== undefined && h("span", { class: "wrong" }, `${step.error} `), step.facts.join(", ")),
  );
}
