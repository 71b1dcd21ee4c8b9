/** Which tab runs the automatic cycles, and what this one has heard of the others. */

import type { NextSyncExplanation } from "datum-sync";
import type { Context, Panel } from "../context.js";
import type { Child } from "../dom.js";
import { clock, number } from "../format.js";
import { nextCycle } from "../mending.js";
import { empty, facts, note } from "../parts.js";
import { Reading, type Scope } from "../scope.js";

export class TabsPanel implements Panel {
  readonly #context: Context;
  #next: NextSyncExplanation | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  start(scope: Scope): void {
    const { datum, userId, recorder } = this.#context;
    const reading = new Reading(scope, async () => {
      try {
        this.#next = await datum.explainNextSync(userId);
      } catch (thrown) {
        this.#context.fail(thrown);
      }
      this.#context.invalidate();
    });
    scope.add(recorder.hear(() => reading.ask()));
    scope.listen(document, "visibilitychange", () => reading.ask());
    reading.ask();
  }

  view(): readonly Child[] {
    const { recorder, datum, userId } = this.#context;
    const { status } = recorder;
    if (status === undefined) return [empty("Reading the status …", "")];
    const next = this.#next;
    return [
      status.isLeader
        ? note("good", "This tab leads: it runs the automatic cycles, for all tabs of this app.")
        : note("info", "This tab does not lead. Another visible tab of this app runs the automatic cycles, or none is started. Every tab shows the same status, and every tab can synchronize by a call."),
      next !== undefined && nextCycle(this.#context, next, "quiet"),
      facts(
        ["This tab", status.isLeader ? "leads" : "does not lead"],
        ["It is", document.visibilityState],
        ["Current user here", datum.currentUserId ?? "nobody"],
        ["Shown", userId],
        ["Other tabs last wrote", recorder.otherTab === undefined ? "nothing since this panel was opened" : clock(recorder.otherTab)],
        ["Commits that another tab was first with", number(datum.metrics.staleCommits)],
      ),
    ];
  }
}
