/** The latest cycles of one user: those of this tab with their steps, those of other tabs as their events tell of them. Pure. */

import type { Activity, DatumEvent } from "datum-sync";
import { ofActivity, ofEvent, withFailure, withResult, withStep, type Cycle } from "./cycles.js";
import { Ring } from "./ring.js";

const CYCLES = 100;

export class Timeline {
  readonly #cycles = new Ring<Cycle>(CYCLES);
  /** The cycle of each phase that runs. */
  readonly #phases = new Map<number, string>();

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

  /** Takes an event in. */
  event(event: DatumEvent): void {
    const [newest] = this.newest();
    if (event.type === "syncStarted") {
      // A cycle of this tab is there already, by its activity.
      if (newest?.outcome !== "running") this.#cycles.push(ofEvent(event.at, event.direction));
    } else if (event.type === "syncCompleted" || event.type === "syncFailed") {
      if (newest === undefined) return;
      const change = event.type === "syncCompleted" ? withResult(newest, event.result) : withFailure(newest, event.error, event.at);
      this.#cycles.replace(
        (it) => it === newest,
        () => change,
      );
    }
  }

  #cycle(activity: Activity): void {
    const [newest] = this.newest();
    const isKnown = (it: Cycle) => it.id === String(activity.id) || (it === newest && it.outcome === "running" && it.id.startsWith("at "));
    const isThere = this.#cycles.replace(isKnown, (it) => ofActivity(it, activity));
    if (!isThere) this.#cycles.push(ofActivity(undefined, activity));
    if (activity.outcome !== "running") this.#phases.clear();
  }
}
