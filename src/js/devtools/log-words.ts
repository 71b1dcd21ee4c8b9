/** What happened, as entries of a log. Pure. */

import type { Activity, DatumEvent, Json, LogEntry } from "datum-sync";
import { plural } from "./format.js";

/** The levels of entries, the most detailed first. */
export const LEVELS = ["trace", "debug", "info", "warn", "error"] as const;

/** Returns the log's entry for an event; undefined for what is too frequent to be one. */
export function entryOf(event: DatumEvent): LogEntry | undefined {
  const made = words(event);
  if (made === undefined) return undefined;
  const [level, message, fields] = made;
  return { level, at: event.at, scope: "sync", message, fields: fields ?? {} };
}

type Words = readonly [LogEntry["level"], string, Record<string, Json>?];

function words(event: DatumEvent): Words | undefined {
  switch (event.type) {
    case "syncStarted":
      return ["info", "A cycle has begun.", { direction: event.direction, pendingOperations: event.pendingOperations }];
    case "syncProgress":
      return undefined;
    case "syncCompleted":
      return cycle(event.result);
    case "syncFailed":
      return ["warn", `A cycle has failed: ${event.error.message}`, { code: event.error.code, retryable: event.error.retryable }];
    case "dataChanged":
      return ["debug", changed(event), { entity: event.entity, source: event.source }];
    case "conflictDetected":
      return ["info", `Both sides have changed an entity: ${event.conflict.entity} ${event.conflict.entityId}.`, { kind: event.conflict.kind, fields: [...event.conflict.fields] }];
    case "conflictResolved":
      return ["info", `A conflict was decided: ${event.conflict.entity} ${event.conflict.entityId}.`, { taken: event.taken, resolver: event.explanation.resolver }];
    case "deadLetter":
      return ["warn", `A write is a dead letter: ${event.deadLetter.message}`, { code: event.deadLetter.code, entity: event.deadLetter.entity, id: event.deadLetter.entityId }];
    case "signedOut":
      return ["info", event.wiped ? "The user has signed out, and their data was removed." : "The user has signed out.", { source: event.source }];
    case "userSwitched":
      return ["info", "Another user is the current one.", { hadUnsyncedData: event.hadUnsyncedData }];
    case "leaderChanged":
      return ["debug", event.isLeader ? "This tab leads: it runs the automatic cycles." : "Another tab leads now."];
    case "connectivityChanged":
      return ["info", event.online ? "The network has come back." : "The network has gone."];
    case "storageLost":
      return ["error", "The stored data was lost: the browser removed it, or it cannot be read.", { lostOperations: event.lostOperations, savedOperations: event.savedOperations }];
    case "serverRestored":
      return ["warn", "The server was restored to an older state.", { offeredAgain: event.offeredAgain }];
    case "migrationProgress":
      return ["debug", `Stored data is migrated: ${event.done} of ${plural(event.total, "row")}.`, { from: event.from, to: event.to }];
    case "rowsIgnored":
      return ["warn", `The server has sent ${plural(event.count, "row")} of a type that the config does not name: ${event.entity}.`];
    case "spaceJoined":
      return ["info", "The user has joined a space.", { spaceId: event.spaceId, role: event.role }];
    case "spaceLeft":
      return ["info", "The user has left a space, or it has ended.", { spaceId: event.spaceId, role: event.role }];
    case "roleChanged":
      return ["info", "The user's role in a space is another.", { spaceId: event.spaceId, role: event.role }];
    default:
      // Of a newer version of the package.
      return ["debug", (event as { type: string }).type];
  }
}

function cycle(result: Extract<DatumEvent, { type: "syncCompleted" }>["result"]): Words {
  const fields = { pushed: result.pushedCount, pulled: result.pulledCount, failed: result.failedCount, duration: Math.round(result.duration) };
  if (result.wasCancelled) return ["info", "A cycle was stopped.", fields];
  if (result.error) return ["warn", `A cycle has ended with a failure: ${result.error.message}`, { ...fields, code: result.error.code }];
  return [result.failedCount > 0 ? "warn" : "info", "A cycle has ended.", fields];
}

function changed({ entity, created, updated, deleted }: Extract<DatumEvent, { type: "dataChanged" }>): string {
  const parts = [
    [created.length, "created"],
    [updated.length, "changed"],
    [deleted.length, "deleted"],
  ] as const;
  return `${entity}: ${parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`).join(", ")}.`;
}

/** Returns the log's entry for an activity; undefined for what has only begun, and for cycles and phases, which events tell of. */
export function entryOfActivity(activity: Activity): LogEntry | undefined {
  const { kind, name, outcome, durationMs, startedAt, error, attempt, rows, operations, bytesSent, bytesReceived, retryInMs } = activity;
  if (outcome === "running" || (kind !== "request" && kind !== "commit")) return undefined;
  const given = { name, ms: durationMs === undefined ? undefined : Math.round(durationMs), attempt, operations, rows, bytesSent, bytesReceived, retryInMs, code: error?.code, status: error?.status };
  const fields = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Record<string, Json>;
  if (kind === "commit") return { level: "trace", at: startedAt, scope: "storage", message: name === "read" ? "What another tab wrote was read." : "A commit was written.", fields };
  const message = outcome === "ok" ? `A request was answered: ${name}.` : outcome === "cancelled" ? `A request was stopped: ${name}.` : `A request failed: ${name}, ${error?.code ?? "no answer"}.`;
  return { level: "debug", at: startedAt, scope: "remote", message, fields };
}

/** Returns whether an entry has a text in its message or its fields, in any case of letters. */
export function contains(entry: LogEntry, text: string): boolean {
  if (text === "") return true;
  return `${entry.scope} ${entry.message} ${JSON.stringify(entry.fields)}`.toLowerCase().includes(text.toLowerCase());
}

/** Returns an entry as a line of text. */
export function line({ at, level, scope, message, fields }: LogEntry): string {
  const rest = Object.keys(fields).length > 0 ? ` ${JSON.stringify(fields)}` : "";
  return `${at} ${level.padEnd(5)} ${scope} ${message}${rest}`;
}
