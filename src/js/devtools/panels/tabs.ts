/** Which tabs have the user's data open, which of them runs the automatic cycles, and what this one has heard of the others. */

import type { NextSyncExplanation, TabInfo } from "datum-sync";
import type { Context, Panel } from "../context.js";
import type { Child } from "../dom.js";
import { clock, number, plural } from "../format.js";
import { nextCycle } from "../mending.js";
import { bar, button, empty, facts, note, pill, table } from "../parts.js";
import { keepReading, type Scope } from "../scope.js";

export class TabsPanel implements Panel {
  readonly #context: Context;
  #next: NextSyncExplanation | undefined;
  #tabs: readonly TabInfo[] = [];
  #look: () => void = () => {};

  constructor(context: Context) {
    this.#context = context;
  }

  start(scope: Scope): void {
    const { datum, userId } = this.#context;
    const reading = keepReading(scope, this.#context, async () => {
      [this.#next, this.#tabs] = await Promise.all([datum.explainNextSync(userId), datum.tabs(userId)]);
    });
    this.#look = () => reading.ask();
    for (const type of ["visibilitychange", "focus"]) scope.listen(type === "focus" ? window : document, type, this.#look);
  }

  view(): readonly Child[] {
    const { recorder, datum, userId } = this.#context;
    const { status } = recorder;
    if (status === undefined) return [empty("Reading the status …", "")];
    const [next, tabs] = [this.#next, this.#tabs];
    return [
      status.isLeader
        ? note("good", "This tab leads: it runs the automatic cycles, for all tabs of this app.")
        : note("info", "This tab does not lead. Another visible tab of this app runs the automatic cycles, or none is started. Every tab shows the same status, and every tab can synchronize by a call."),
      next !== undefined && nextCycle(this.#context, next, "quiet"),
      bar(
        pill(tabs.length === 0 ? "Asking the tabs …" : plural(tabs.length, "open tab"), "info"),
        button("Ask again", this.#look, { title: "Each tab that has this user's data open is asked, and answers. A frozen one does not." }),
      ),
      table(
        ["Tab", "Automatic cycles", "Page", "Now", "Data opened"],
        tabs.map((tab) => [tab.isThis ? `${tab.id}, this one` : tab.id, tab.isLeader ? "leads" : "–", tab.isHidden ? "hidden" : "visible", tab.isSyncing ? "runs a cycle" : "–", clock(tab.openedAt)]),
      ),
      facts(
        ["Current user here", datum.currentUserId ?? "nobody"],
        ["Shown", userId],
        ["Other tabs last wrote", recorder.otherTab === undefined ? "nothing since this panel was opened" : clock(recorder.otherTab)],
        ["Commits that another tab was first with", number(datum.metrics.staleCommits)],
      ),
    ];
  }
}
