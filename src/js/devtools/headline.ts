/** The state of a user's sync, in a sentence. Pure. */

import type { Health, SyncState, SyncStatus } from "datum-sync";
import { plural } from "./format.js";
import type { Tone } from "./parts.js";

export interface Headline {
  readonly tone: Tone;
  readonly text: string;
}

/** Returns what matters most about a status. */
export function headline(status: SyncStatus): Headline {
  const { pendingOperations: pending, unresolvedConflicts: conflicts, deadLetters: letters, health } = status;
  const waiting = pending === 0 ? "" : ` ${plural(pending, "write")} ${pending === 1 ? "waits" : "wait"}.`;
  if (health.local === "unhealthy") return { tone: "bad", text: "The browser's storage does not work." };
  if (status.status === "syncing") return { tone: "info", text: `${PHASES[status.phase ?? "pulling"]} …${waiting}` };
  if (status.status === "paused") return { tone: "warn", text: `Sync is paused.${waiting}` };
  if (health.status === "unauthorized") return { tone: "bad", text: `The server does not accept the sign-in.${waiting}` };
  if (!status.online || health.status === "offline") return { tone: "warn", text: `There is no network.${waiting}` };
  if (letters > 0) return { tone: "bad", text: `${plural(letters, "write")} ${letters === 1 ? "is a dead letter" : "are dead letters"}: refused by the server, or discarded.${waiting}` };
  if (conflicts > 0) return { tone: "warn", text: `${plural(conflicts, "conflict")} ${conflicts === 1 ? "waits" : "wait"} for a decision.${waiting}` };
  if (status.status === "failed") return { tone: "bad", text: `The last cycle failed.${waiting}` };
  if (status.status === "cancelled") return { tone: "warn", text: `The last cycle was stopped.${waiting}` };
  if (pending > 0) return { tone: "info", text: waiting.trim() };
  if (status.status === "idle" && status.lastCompletedAt === undefined) return { tone: "quiet", text: "Nothing waits. No cycle has run since this instance was opened." };
  return { tone: "good", text: "Everything is synced, as of the last cycle." };
}

const PHASES: Record<NonNullable<SyncStatus["phase"]>, string> = { pushing: "Pushing", pulling: "Pulling", applying: "Applying" };

export const STATE_TONES: Record<SyncState, Tone> = { idle: "quiet", syncing: "info", paused: "warn", cancelled: "warn", failed: "bad", completed: "good" };

/** The words for the browser's storage. */
export const LOCAL: Record<Health["local"], string> = { healthy: "works", memoryOnly: "in memory only: lost with the page", unhealthy: "does not work" };

/** The words for the remote. */
export const REMOTE: Record<Health["remote"], string> = { healthy: "answers", unreachable: "cannot be reached", unhealthy: "fails", unknown: "not asked yet" };
