/** The latest cycles of one user: those of this tab with their steps, those of other tabs as the status tells of them. Pure. */

import type { Activity, DatumEvent, SyncStatus } from "datum-sync";
import { isElsewhere, ofActivity, ofEvent, ofStatus, withFailure, withResult, withStep, type Cycle } from "./cycles.js";
import { Ring } from "./ring.js";

const CYCLES = 100;

/** How far the times of one beginning may be apart, in milliseconds. */
const NEAR_MS = 1_000;

export class Timeline {
  readonly #cycles = new Ring<Cycle>(CYCLES);
  /** The cycle of each phase that runs. */
  readonly #phases = new Map<number, string>();
  /** How many cycles have begun in this tab of which no status has told yet. */
  #begun = 0;
  /** When the latest cycle began, of which a status has told. */
  #latest: string | undefined;

  /** The newest first. */
  newest(): Cycle[] {
    return this.#cycles.newest();
  }

  /** Takes an activity in. */
  activity(activity: Activity): void {
    const { id, kind, outcome, parent } = activity;
    if (kind === "cycle") return this.#cycle(activity);
    if (outcome === "running") {
      if (kind === "phase" && parent !== undefined) this.#phases.set(id, String(parent));
      return;
    }
    if (parent === undefined) return;
    const cycle = this.#phases.get(parent) ?? String(parent);
    if (kind === "phase") this.#phases.delete(id);
    this.#cycles.replace(
      (it) => it.id === cycle,
      (it) => withStep(it, activity),
    );
  }

  /** Takes an event in. Events tell only of cycles of this tab. */
  event(event: DatumEvent): void {
    const newest = this.newest().find((it) => !isElsewhere(it));
    if (event.type === "syncStarted") {
      // It is there already, by its activity.
      if (newest?.outcome !== "running") this.#begin(ofEvent(event.at, event.direction));
    } else if (event.type === "syncCompleted" || event.type === "syncFailed") {
      if (newest === undefined) return;
      const change = event.type === "syncCompleted" ? withResult(newest, event.result) : withFailure(newest, event.error, event.at);
      this.#cycles.replace(
        (it) => it === newest,
        () => change,
      );
    }
  }

  /**
   * Takes a status in, once the activities and events of the same moment were taken in. Every tab shows the cycle of any: of this tab's, an activity or an
   * event has told. What a first status says is of the past, unless a cycle runs; so is one of a user whose data is opened.
   */
  status(status: SyncStatus, isFirst = false): void {
    const { lastStartedAt } = status;
    const isCycle = status.status !== "idle" && lastStartedAt !== undefined && (!isFirst || status.status === "syncing");
    if (lastStartedAt !== this.#latest) {
      this.#latest = lastStartedAt;
      if (!isCycle) return;
      if (this.#begun > 0) this.#begun--;
      else if (status.status !== "paused") this.#cycles.push(ofStatus(status));
    } else if (isCycle) {
      this.#cycles.replace(
        (it) => it.id === `tab ${lastStartedAt}` && it.outcome === "running",
        () => ofStatus(status),
      );
    }
  }

  #begin(cycle: Cycle): void {
    this.#begun++;
    this.#cycles.push(cycle);
  }

  #cycle(activity: Activity): void {
    const newest = this.newest().find((it) => !isElsewhere(it));
    const isEnd = activity.outcome !== "running";
    const isKnown = (it: Cycle) => it.id === String(activity.id) || (it === newest && it.outcome === "running" && it.id.startsWith("at "));
    // A status alone has told of one that began before its activity was listened for.
    const isNear = (it: Cycle) => isEnd && isElsewhere(it) && Math.abs(Date.parse(it.startedAt) - Date.parse(activity.startedAt)) < NEAR_MS;
    const whole = (it: Cycle) => ofActivity(it, activity);
    if (!this.#cycles.replace(isKnown, whole) && !this.#cycles.replace(isNear, whole)) {
      // The status has told of one that has ended, unless it began before the panel was opened.
      if (isEnd) this.#cycles.push(ofActivity(undefined, activity));
      else this.#begin(ofActivity(undefined, activity));
    }
    if (isEnd) this.#phases.clear();
  }
}
