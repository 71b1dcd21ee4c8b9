/** The timeline of cycles, put together from the instance's activities and events. Pure. */

import type { Activity, DatumErrorJson, SyncDirection, SyncResult, SyncStatus } from "datum-sync";
import { bytes, duration, plural } from "./format.js";

/** How a cycle or a step of it has ended. */
export type Outcome = "running" | "ok" | "partly" | "failed" | "cancelled";

/** A part of a cycle: a phase, a request, a commit. */
export interface Step {
  readonly id: number;
  readonly kind: Activity["kind"];
  readonly name: string;
  /** By the clock of the page, in milliseconds. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly outcome: Outcome;
  /** What is known of it besides, in the order in which it is shown. */
  readonly facts: readonly string[];
  readonly error?: string;
}

/** A cycle as the timeline shows it. */
export interface Cycle {
  readonly id: string;
  readonly startedAt: string;
  readonly startMs: number;
  readonly direction: string;
  readonly outcome: Outcome;
  readonly isAutomatic?: boolean;
  readonly durationMs?: number;
  readonly pushed?: number;
  readonly pulled?: number;
  readonly bytesPushed?: number;
  readonly bytesPulled?: number;
  /** Absent for a cycle of another tab. */
  readonly requests?: number;
  readonly retries: number;
  readonly conflicts?: number;
  readonly refused?: number;
  readonly error?: Pick<DatumErrorJson, "code"> & { readonly message?: string };
  readonly steps: readonly Step[];
  /** How many steps from the middle of very many are not kept. */
  readonly forgotten: number;
}

/** How many steps of a cycle are kept. */
export const STEPS = 200;

const NOTHING = { requests: 0, retries: 0, steps: [], forgotten: 0 };

/** Returns a cycle of this tab as its activity tells of it: when it begins, and again when it has ended. */
export function ofActivity(cycle: Cycle | undefined, activity: Activity): Cycle {
  const { durationMs, operations, rows, error, automatic } = activity;
  return {
    ...NOTHING,
    ...cycle,
    id: String(activity.id),
    startedAt: activity.startedAt,
    startMs: activity.startMs,
    direction: activity.name,
    // A result tells a cycle that failed from one in which only some operations were refused.
    outcome: cycle?.bytesPushed === undefined ? activity.outcome : cycle.outcome,
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(operations === undefined ? {} : { pushed: operations }),
    ...(rows === undefined ? {} : { pulled: rows }),
    ...(automatic === undefined ? {} : { isAutomatic: automatic }),
    ...(error === undefined || cycle?.error !== undefined ? {} : { error }),
  };
}

/** Returns a cycle of this tab of which only an event tells: its activity was not listened for yet. */
export const ofEvent = (at: string, direction: SyncDirection): Cycle => ({ ...NOTHING, id: `at ${at}`, startedAt: at, startMs: 0, direction, outcome: "running" });

/** Returns the cycle of another tab that a status shows. It tells when it began and how it ended, and nothing of its requests. */
export function ofStatus({ status, lastStartedAt = "", lastCompletedAt, errors, failedOperations }: SyncStatus): Cycle {
  const { requests: _, ...nothing } = NOTHING;
  const error = errors.at(-1);
  const end = status === "completed" ? lastCompletedAt : error?.at;
  const isPartly = error !== undefined || failedOperations > 0;
  return {
    ...nothing,
    id: `tab ${lastStartedAt}`,
    startedAt: lastStartedAt,
    startMs: 0,
    direction: "",
    outcome: status === "syncing" ? "running" : status === "failed" ? "failed" : status !== "completed" ? "cancelled" : isPartly ? "partly" : "ok",
    ...(status === "syncing" || end === undefined ? {} : { durationMs: Math.max(0, Date.parse(end) - Date.parse(lastStartedAt)) }),
    ...(status === "syncing" ? {} : { refused: failedOperations }),
    ...(error === undefined ? {} : { error }),
  };
}

/** Returns true for a cycle of another tab. */
export const isElsewhere = ({ id }: Cycle): boolean => id.startsWith("tab ");

/** Returns a cycle as its result says that it has ended. */
export const withResult = (cycle: Cycle, result: SyncResult): Cycle => ({
  ...cycle,
  outcome: result.wasCancelled ? "cancelled" : result.error !== undefined || result.failedCount > 0 ? "partly" : "ok",
  durationMs: result.duration,
  pushed: result.pushedCount,
  pulled: result.pulledCount,
  bytesPushed: result.bytesPushed,
  bytesPulled: result.bytesPulled,
  conflicts: result.conflictsDetected,
  refused: result.failedCount,
  ...(result.error === undefined ? {} : { error: result.error }),
});

/** Returns a cycle that has failed as a whole. */
export const withFailure = (cycle: Cycle, error: DatumErrorJson, at: string): Cycle => ({
  ...cycle,
  outcome: "failed",
  durationMs: cycle.durationMs ?? Math.max(0, Date.parse(at) - Date.parse(cycle.startedAt)),
  error,
});

/** Returns a cycle with a step of it that has ended. Of very many, the first and the latest stay, and all phases and failures as far as there is room. */
export function withStep(cycle: Cycle, activity: Activity): Cycle {
  const isRequest = activity.kind === "request";
  // Phases end after what is in them, and stand before it.
  const steps = [...cycle.steps, stepOf(activity)].sort((a, b) => a.startMs - b.startMs || a.id - b.id);
  const isOver = steps.length > STEPS;
  if (isOver) steps.splice(leastOf(steps), 1);
  return {
    ...cycle,
    requests: (cycle.requests ?? 0) + (isRequest ? 1 : 0),
    retries: cycle.retries + (isRequest && (activity.attempt ?? 1) > 1 ? 1 : 0),
    steps,
    forgotten: cycle.forgotten + (isOver ? 1 : 0),
  };
}

/** Returns the place of the step that is missed least: one that went well, from the middle. */
function leastOf(steps: readonly Step[]): number {
  const middle = STEPS / 2;
  const isPlain = ({ kind, error }: Step) => kind !== "phase" && error === undefined;
  const later = steps.findIndex((step, index) => index >= middle && isPlain(step));
  const any = later < 0 ? steps.findIndex(isPlain) : later;
  return any < 0 ? middle : any;
}

function stepOf({ id, kind, name, startMs, durationMs, outcome, error, ...more }: Activity): Step {
  const { attempt, limit, operations, rows, bytesSent, bytesReceived, answer, source, retryInMs } = more;
  const size = more.bytes;
  const facts = [
    attempt !== undefined && attempt > 1 && `attempt ${attempt}`,
    operations !== undefined && plural(operations, "operation"),
    rows !== undefined && plural(rows, "row"),
    limit !== undefined && `${limit} at most`,
    bytesSent !== undefined && `${bytes(bytesSent)} sent`,
    bytesReceived !== undefined && `${bytes(bytesReceived)} received`,
    size !== undefined && `${bytes(size)} written`,
    answer === "tooLarge" && "too large: sent again in smaller parts",
    answer === "cursorGone" && "the cursor is gone: pulled from the beginning",
    source !== undefined && SOURCES[source],
    retryInMs !== undefined && `again in ${duration(retryInMs)}`,
  ];
  return {
    id,
    kind,
    name,
    startMs,
    durationMs: durationMs ?? 0,
    outcome,
    facts: facts.filter((fact): fact is string => typeof fact === "string"),
    ...(error === undefined ? {} : { error: error.status === undefined ? error.code : `${error.code} ${error.status}` }),
  };
}

const SOURCES = { local: "of this tab", remote: "of the server", otherTab: "of another tab" };

/** The words for a direction. */
export const DIRECTIONS: Record<string, string> = { pushThenPull: "push → pull", pullThenPush: "pull → push", pushOnly: "push", pullOnly: "pull" };

/** The words for an outcome. */
export const OUTCOMES: Record<Outcome, string> = { running: "runs", ok: "done", partly: "in part", failed: "failed", cancelled: "stopped" };
