/** The groups of checks, in the order in which they run. */
export const CHAPTERS = [
  "reach",
  "auth",
  "conflicts",
  "deletes",
  "replays",
  "batches",
  "paging",
  "race",
  "cursors",
  "values",
  "clock",
  "epoch",
  "users",
  "spaces",
  "metadata",
  "stream",
  "digests",
  "vectors",
  "replies",
] as const;

/** A group of checks. */
export type Chapter = (typeof CHAPTERS)[number];

/**
 * How a check ended.
 *
 * - `passed`, `failed`
 * - `notOffered`: it is about something optional that the backend does not have.
 * - `notPromised`: it failed, and `without` names it.
 * - `notJudged`: it rests on a check that failed, or it needs an option, such as a second user.
 * - `notRun`: the run ended before.
 */
export type CheckOutcome = "passed" | "failed" | "notOffered" | "notPromised" | "notJudged" | "notRun";

/** What one check has found. */
export interface CheckResult {
  /** Stable, for `without`: the chapter and a name, such as `"deletes.told"`. */
  id: string;
  chapter: Chapter;
  /** What holds of a backend that passes. */
  title: string;
  outcome: CheckOutcome;
  /** What a failure costs an app. */
  costs: string;
  /** The section of the protocol's text (`server/PROTOCOL.md`) that asks for it. */
  section: string;
  /** Of a check that failed: the last request, what it should have led to, and what came instead. */
  sent?: string;
  expected?: string;
  came?: string;
  /** Why it was not judged, or what else there is to say. */
  note?: string;
  /** How long it took, in milliseconds. */
  ms: number;
  /** The result in words. */
  text: string;
}

/** The result of a run. */
export interface ConformanceReport {
  /** What was checked. */
  backend: string;
  /** Whether all checks that were judged have passed. False if the run could not end. */
  passed: boolean;
  results: CheckResult[];
  /** Those that failed. */
  failures: CheckResult[];
  /** Why the run could not begin or end: there is no sync server, or it stopped answering. */
  stopped?: string;
  /** How many requests were sent, and how many of them again because no answer came. */
  requests: number;
  lostAnswers: number;
  /** How often the backend asked to wait (429, 503, a verdict `retry`). */
  waits: number;
  /** How many rows the run has written, and how many of them it could not delete again. */
  rowsWritten: number;
  rowsLeft: number;
  ms: number;
  /** Sums, and what the run leaves behind, in words. */
  summary: string;
  /** The whole report in words. */
  text: string;
}

/** A report before it is put into words. */
export type Findings = Omit<ConformanceReport, "text" | "summary">;

const MARKS: Record<CheckOutcome, string> = { passed: "ok", failed: "FAILED", notOffered: "not offered", notPromised: "not promised", notJudged: "not judged", notRun: "not run" };

const block = (label: string, text: string) => `      ${label.padEnd(9)} ${text.split("\n").join("\n                ")}`;

/** One result in words: a line, and for a failure what a backend's developer needs. */
export function resultText(result: Omit<CheckResult, "text">): string {
  const { id, title, outcome, note } = result;
  const lines = [`  ${MARKS[outcome].padEnd(12)} ${id}  ${title}`];
  if (note !== undefined) lines.push(block("note", note));
  if (outcome === "failed" || outcome === "notPromised") {
    if (result.sent !== undefined) lines.push(block("sent", result.sent));
    if (result.expected !== undefined) lines.push(block("expected", result.expected));
    if (result.came !== undefined) lines.push(block("came", result.came));
    lines.push(block("costs", result.costs), block("see", `server/PROTOCOL.md, section ${result.section}`));
  }
  return lines.join("\n");
}

const plural = (count: number, word: string) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** The last lines: sums, and what the run leaves behind. */
export function summaryText(report: Findings): string {
  const { results, requests, lostAnswers, waits, rowsWritten, rowsLeft, stopped } = report;
  const count = (outcome: CheckOutcome) => results.filter((result) => result.outcome === outcome).length;
  const lines = [
    `${report.backend}: ${count("passed")} passed, ${count("failed")} failed, ${count("notOffered")} not offered, ${count("notPromised")} not promised, ${count("notJudged")} not judged, ${count("notRun")} not run`,
    `${plural(requests, "request")}, ${plural(rowsWritten, "row")} written, ${plural(rowsLeft, "row")} left behind, ${(report.ms / 1_000).toFixed(1)} s`,
  ];
  if (rowsWritten > rowsLeft) lines.push("Rows that were deleted again leave tombstones, as any deletion does.");
  if (lostAnswers > 0) lines.push(`${plural(lostAnswers, "answer")} got lost and ${lostAnswers === 1 ? "was" : "were"} asked for again. A device does the same; a network that loses as many is slow.`);
  if (waits > 0) lines.push(`The backend asked ${plural(waits, "time")} to wait, and was waited for.`);
  const failed = new Map<string, number>();
  for (const { chapter } of report.failures) failed.set(chapter, (failed.get(chapter) ?? 0) + 1);
  if (failed.size > 0) lines.push(`Failures by chapter: ${[...failed].map(([chapter, times]) => `${chapter} ${times}`).join(", ")}.`);
  if (stopped !== undefined) lines.push(`The run could not ${results.some(({ outcome }) => outcome === "passed" || outcome === "failed") ? "end" : "begin"}: ${stopped}`);
  return lines.join("\n");
}

/** Puts a report into words. */
export function worded(findings: Findings): ConformanceReport {
  const lines: string[] = [];
  for (const chapter of CHAPTERS) {
    const own = findings.results.filter((result) => result.chapter === chapter);
    if (own.length > 0) lines.push(chapter, ...own.map(({ text }) => text));
  }
  const summary = summaryText(findings);
  return { ...findings, summary, text: [...lines, "", summary].join("\n") };
}
