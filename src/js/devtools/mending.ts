/** The buttons that help a write to go out. */

import type { Context, Question } from "./context.js";
import type { View } from "./dom.js";
import { clock, failure, plural } from "./format.js";
import { button, note, type Tone } from "./parts.js";
import { REMEDIES, remediesFor, type Remedy } from "./why.js";
import type { NextSyncExplanation, NextSyncReason, SyncOptions, WaitReasonName } from "datum-sync";

const OFFER: Question = {
  title: "Offer everything to this server?",
  text: "Another server answers than the one that this device's data belongs to. Everything on this device is offered to it as new. What others have deleted there may come back. This cannot be undone.",
  yes: "Offer everything",
  isGrave: true,
};
const WIPE: Question = {
  title: "Remove this device's data?",
  text: "Everything of this user on this device is removed, with all writes that were never sent. The next cycle fetches what that server has. This cannot be undone.",
  yes: "Remove and fetch",
  isGrave: true,
};

/** Runs a cycle, and returns in words what it has done. */
export async function runCycle({ datum, userId }: Context, options?: SyncOptions): Promise<string> {
  const result = await datum.synchronize(userId, options);
  if (result.wasSkipped) return `The cycle was skipped: ${result.skipReason ?? "no reason was given"}.`;
  if (result.wasCancelled) return "The cycle was stopped.";
  const done = `${plural(result.pushedCount, "operation")} pushed, ${plural(result.pulledCount, "row")} pulled.`;
  if (result.failedCount > 0) return `${done} The server refused ${result.failedCount}: see Dead letters.`;
  return result.error ? `${done} ${failure(result.error)}` : done;
}

/** Returns when the next cycle begins and why; if none is planned, with the buttons that help. */
export function nextCycle(context: Context, { at, because, reason }: NextSyncExplanation, tone: Tone): View {
  if (at !== null) return note(tone, `Next cycle at ${clock(at)}: ${because}`);
  return note(tone, `Next cycle: ${because}`, ...remedyButtons(context, reason));
}

/** Returns the buttons against a reason. `blockedBy` names what comes first. */
export function remedyButtons(context: Context, reason: WaitReasonName | NextSyncReason, blockedBy?: string): View[] {
  return remediesFor(reason).map((remedy, index) => {
    const [words, title] = REMEDIES[remedy];
    return button(words, () => apply(context, remedy, blockedBy), { title, key: remedy, ...(index === 0 ? { kind: "primary" as const } : {}) });
  });
}

function apply(context: Context, remedy: Remedy, blockedBy: string | undefined): void {
  const { datum, userId } = context;
  const cycle = (options?: SyncOptions) => context.act(() => runCycle(context, options));
  if (remedy === "storage") return context.open("storage");
  if (remedy === "force") return cycle({ force: true });
  if (remedy === "sendDeletes") return cycle({ includeDeletes: true });
  if (remedy === "push") return cycle({ direction: "pushThenPull" });
  if (remedy === "send") return cycle();
  context.act(async () => {
    if (remedy === "first") return showFirst(context, blockedBy);
    if (remedy === "resume") {
      await datum.resumeSync(userId);
      return runCycle(context);
    }
    if (remedy === "start") {
      datum.startAutoSync(userId);
      return "Automatic cycles are started, until the page is left.";
    }
    if (!(await context.ask(remedy === "offer" ? OFFER : WIPE))) return;
    const offered = await datum.acceptServer(userId, remedy === "offer" ? "offer" : "wipe");
    return `${plural(offered, "entity", "entities")} will be offered. ${await runCycle(context)}`;
  });
}

/** Opens the panel that has what comes first: a conflict, a dead letter or an operation. */
async function showFirst(context: Context, id: string | undefined): Promise<void> {
  const { datum, userId } = context;
  const [conflicts, letters] = await Promise.all([datum.conflicts(userId), datum.deadLetters(userId)]);
  const letter = letters.find((it) => it.id === id || it.opId === id);
  if (conflicts.some((it) => it.id === id)) context.open("conflicts", id);
  else if (letter !== undefined) context.open("deadLetters", letter.id);
  else context.open("outbox", id);
}
