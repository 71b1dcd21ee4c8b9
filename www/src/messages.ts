// Messages for people: results, errors, times and sizes.

import type { MetadataComparison, SyncMetadata, SyncResult, SyncStatus } from "datum-sync";

export function describeResult(result: SyncResult): string {
  if (result.wasSkipped) return skipped[result.skipReason ?? "inProgress"];
  if (result.wasCancelled) return "Stopped. Completed work is kept.";
  const parts: string[] = [];
  if (result.pushedCount > 0) parts.push(`${number(result.pushedCount)} sent`);
  if (result.pulledCount > 0) parts.push(`${number(result.pulledCount)} received`);
  if (result.conflictsResolved > 0) parts.push(`${count(result.conflictsResolved, "conflict")} merged`);
  if (result.failedCount > 0) parts.push(`${number(result.failedCount)} rejected`);
  return parts.length > 0 ? sentence(parts.join(", ")) : "Up to date.";
}

const skipped = {
  offline: "Offline: your changes are saved on this device.",
  paused: "Paused. Resume to sync.",
  inProgress: "Already syncing.",
  excludedUser: "This user is not synced.",
  nothingToPush: "Nothing to send.",
} satisfies Record<NonNullable<SyncResult["skipReason"]>, string>;

/** Describes an error. `online` is the device's own network switch. */
export function describeError(error: unknown, online: boolean): string {
  if (!online) return "Offline: your changes are saved on this device.";
  const { code, message } = codeAndMessage(error);
  switch (code) {
    case "offline":
    case "network":
    case "timeout":
      return "The server cannot be reached. Your changes are saved on this device.";
    case "unauthorized":
      return "No token. Is datum-server running with --dev?";
    default:
      return message;
  }
}

function codeAndMessage(error: unknown): { code: string; message: string } {
  if (typeof error !== "object" || error === null) return { code: "", message: String(error) };
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const message = "message" in error && typeof error.message === "string" ? error.message : String(error);
  return { code, message };
}

/** Describes the phase of a running cycle. */
export function describePhase(phase: SyncStatus["phase"]): string {
  switch (phase) {
    case "pushing":
      return "Sending changes…";
    case "pulling":
      return "Asking for changes…";
    case "applying":
      return "Saving changes…";
    default:
      return "Starting…";
  }
}

export const comparisons: Record<MetadataComparison, string> = {
  inSync: "in sync",
  remoteNewer: "server is newer",
  localNewer: "this device is newer",
  diverged: "both have changes",
  neverSynced: "never synced",
  unknown: "not known",
};

export const metadataStates: Record<SyncMetadata["syncStatus"], string> = {
  neverSynced: "never synced",
  syncing: "syncing",
  synced: "synced",
  failed: "failed",
  pending: "waiting",
  conflict: "conflict",
};

/** Formats a time as 12:03:04. */
export function time(iso: string | number | Date): string {
  return clock.format(new Date(iso));
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export function size(bytes: number): string {
  if (bytes < 1024) return `${number(bytes)} B`;
  const kib = bytes / 1024;
  return kib < 1024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}

export function count(n: number, noun: string): string {
  return `${number(n)} ${noun}${n === 1 ? "" : "s"}`;
}

export function number(n: number): string {
  return n.toLocaleString("en");
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
