/** The timeline of cycles, put together from the instance's activities and events. Pure. */

import type { Activity, DatumErrorJson, SyncDirection, SyncResult } from "datum-sync";
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
  readonly requests: number;
  readonly retries: number;
  readonly conflicts?: number;
  readonly refused?: number;
  readonly error?: Pick<DatumErrorJson, "code"> & { readonly message?: string };
  readonly steps: readonly Step[];
}

/** How many steps of a cycle are kept. */
export const STEPS = 200;

/** Returns a cycle of this tab as its activity tells of it: when it begins, and again when it has ended. */
export function ofActivity(cycle: Cycle | undefined, activity: Activity): Cycle {
  const { durationMs, operations, rows, error, automatic } = activity;
  return {
    steps: [],
    requests: 0,
    retries: 0,
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

/** Returns a cycle that another tab has begun, of which only events tell. */
export const ofEvent = (at: string, direction: SyncDirection): Cycle => ({ id: `at ${at}`, startedAt: at, startMs: 0, direction, outcome: "running", requests: 0, retries: 0, steps: [] });

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

/** Returns a cycle with a step of it that has ended; of very many, the first stay. */
export function withStep(cycle: Cycle, activity: Activity): Cycle {
  const isRequest = activity.kind === "request";
  return {
    ...cycle,
    requests: cycle.requests + (isRequest ? 1 : 0),
    retries: cycle.retries + (isRequest && (activity.attempt ?? 1) > 1 ? 1 : 0),
    // Phases end after what is in them, and stand before it.
    steps: cycle.steps.length < STEPS ? [...cycle.steps, stepOf(activity)].sort((a, b) => a.startMs - b.startMs || a.id - b.id) : cycle.steps,
  };
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
