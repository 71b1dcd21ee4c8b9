/** Why a write waits, in a few words, and what somebody can do about it here. Pure. */

import type { PendingOperation, WaitReasonName } from "datum-sync";
import { clock } from "./format.js";
import type { Tone } from "./parts.js";

/** What a button can do about a reason. */
export type Remedy =
  | "send"
  | "force"
  | "resume"
  | "start"
  | "sendDeletes"
  | "push"
  | "first"
  | "offer"
  | "wipe"
  | "storage";

/** The words on each button, and what is said when the pointer rests on it. */
export const REMEDIES: Record<Remedy, readonly [words: string, title: string]> = {
  send: ["Send now", "Runs a cycle."],
  force: ["Try anyway", "Runs a cycle although the browser reports no network."],
  resume: ["Resume sync", "Ends the pause of this user, and runs a cycle."],
  start: ["Start automatic cycles", "Calls startAutoSync, until the page is left."],
  sendDeletes: ["Send with deletes", "Runs one cycle that includes deletes."],
  push: ["Push now", "Runs one cycle that pushes, then pulls."],
  first: ["Show what comes first", "Opens the conflict, the dead letter or the operation that this one waits for."],
  offer: ["Offer everything to this server …", "Calls acceptServer with \"offer\", after a question."],
  wipe: ["Take that server's data …", "Calls acceptServer with \"wipe\", after a question."],
  storage: ["Show the storage", "Opens the panel Storage."],
};

/** What helps against each reason. Where nothing does here, the explanation says who can act. */
const BY_REASON: Partial<Record<WaitReasonName, readonly Remedy[]>> = {
  interval: ["send"],
  write: ["send"],
  signIn: ["send"],
  resumed: ["send"],
  hint: ["send"],
  retry: ["send"],
  retryAfter: ["send"],
  postponed: ["send"],
  otherTab: ["send"],
  electing: ["send"],
  hidden: ["send"],
  restored: ["send"],
  stopped: ["resume"],
  clock: ["resume"],
  notStarted: ["send", "start"],
  notOpen: ["send"],
  paused: ["resume"],
  offline: ["force"],
  deletesHeld: ["sendDeletes"],
  pullOnly: ["push"],
  conflict: ["first"],
  deadLetter: ["first"],
  blocked: ["first"],
  otherServer: ["offer", "wipe"],
  storage: ["send", "storage"],
};

/** Returns what can be done about a reason, the usual first. */
export const remediesFor = (reason: WaitReasonName): readonly Remedy[] => BY_REASON[reason] ?? [];

/** Reasons that end by themselves. */
const PASSING = new Set<WaitReasonName>(["interval", "write", "signIn", "resumed", "hint", "retry", "retryAfter", "postponed", "running", "otherTab", "electing", "inFlight", "restored"]);

/** Returns the colour of a reason: what passes by itself is calm. */
export const toneOf = (reason: WaitReasonName): Tone => (PASSING.has(reason) ? "info" : reason === "deadLetter" || reason === "storage" || reason === "otherServer" || reason === "stopped" ? "bad" : "warn");

/** Returns why an operation waits, in the few words that a row has room for. */
export function shortWhy({ state, blockedBy, lastError, nextAttemptAt }: PendingOperation): string {
  if (state === "inFlight") return "sent, no answer yet";
  if (state === "blocked") return blockedBy === undefined ? "something comes first" : "waits for another decision";
  const until = nextAttemptAt === undefined ? "" : `again at ${clock(nextAttemptAt)}`;
  if (lastError !== undefined) return [`${lastError.code}${lastError.status === undefined ? "" : ` ${lastError.status}`}`, until].filter(Boolean).join(", ");
  return until || "goes with the next cycle";
}
