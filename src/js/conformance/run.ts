import type { Bench, Check } from "./check.js";
import { CHECKS } from "./checks.js";
import { Deviation, Device, ForServers, Unjudged, newPrefix } from "./device.js";
import { resultText, worded, type Chapter, type CheckResult, type ConformanceReport } from "./report.js";
import { NoAnswer, httpParty, reasonOf, short, type Party } from "./target.js";
import { Traffic } from "./traffic.js";

/** How many rows are deleted at once when a run tidies up, and how many at least where that takes too long. */
const TIDIED_AT_ONCE = 200;
const FEWEST_AT_ONCE = 10;
const TIDY_MS = 60_000;
/** The parts of a JavaScript error that help its author. */
const stackOf = (error: unknown) => (error instanceof Error ? (error.stack ?? String(error)).split("\n").slice(0, 3).join("\n") : String(error));

export interface Settings {
  backend: string;
  a: Party;
  b: Party | undefined;
  hasTwoSessions: boolean;
  entities: readonly string[];
  fields: readonly [string, string];
  only: readonly string[];
  without: readonly string[];
  timeout: number;
  limit: number;
  signal: AbortSignal | undefined;
  session?: Bench["session"];
  restore?: Bench["restore"];
  tokenFor?: Bench["tokenFor"];
  vectors?: Bench["vectors"];
  origin?: string | undefined;
  /** The address of a server. */
  url?: string;
  onStart?: ((title: string, done: number, all: number) => void) | undefined;
  onResult?: ((result: CheckResult) => void) | undefined;
}

const isNamed = (names: readonly string[], { id, chapter }: Check) => names.includes(id) || names.includes(chapter);

/** Runs checks against a backend, and tidies up. */
export async function run(settings: Settings): Promise<ConformanceReport> {
  const began = Date.now();
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(new Error(`It took longer than ${settings.limit / 1_000} s in all.`)), settings.limit);
  const stop = () => end.abort(new Error("It was stopped."));
  settings.signal?.addEventListener("abort", stop, { once: true });
  if (settings.signal?.aborted) stop();
  const prefix = newPrefix();
  const traffic = new Traffic(prefix, settings.timeout, end.signal);
  const results: CheckResult[] = [];
  const device = (party: Party, name: string) => new Device(party, traffic, { entity: settings.entities[0]!, fields: settings.fields }, `kit-${prefix}${name}`);
  const [a, b] = [device(settings.a, "a"), settings.b === undefined ? undefined : device(settings.b, "b")];
  const selected = CHECKS.filter((check) => settings.only.length === 0 || isNamed(settings.only, check) || check.chapter === "replies");
  const done = (check: Check, result: Finding) => {
    const { id, chapter, title, costs, section } = check;
    const plain = { id, chapter, title, costs, section, ...result };
    const whole: CheckResult = { ...plain, text: resultText(plain) };
    results.push(whole);
    settings.onResult?.(whole);
  };
  let stopped: string | undefined;
  let rowsLeft = 0;
  let begun = 0;
  try {
    settings.onStart?.("looking for a backend", 0, selected.length);
    const found = await look(a, settings);
    if (typeof found === "string") {
      stopped = found;
    } else {
      const bench: Bench = {
        a,
        b,
        hasTwoSessions: settings.hasTwoSessions,
        first: found.first,
        size: found.size,
        entities: settings.entities,
        session: settings.session,
        restore: settings.restore,
        tokenFor: settings.tokenFor,
        vectors: settings.vectors,
        origin: settings.origin,
        deviceOf: (token) => device(httpParty(settings.url ?? "", token), "v"),
      };
      for (const check of selected) {
        if (stopped !== undefined) break;
        settings.onStart?.(check.title, begun, selected.length);
        begun++;
        stopped = await judge(check, bench, settings, results, done);
      }
    }
  } finally {
    clearTimeout(timer);
    settings.signal?.removeEventListener("abort", stop);
    rowsLeft = await tidy(traffic, prefix, settings.timeout);
  }
  for (const check of selected.slice(begun)) done(check, { outcome: "notRun", ms: 0 });
  const failures = results.filter(({ outcome }) => outcome === "failed");
  return worded({
    backend: settings.backend,
    passed: failures.length === 0 && stopped === undefined,
    results,
    failures,
    ...(stopped === undefined ? {} : { stopped }),
    requests: traffic.requests,
    lostAnswers: traffic.lostAnswers,
    waits: traffic.waits,
    rowsWritten: traffic.rowsWritten,
    rowsLeft,
    ms: Date.now() - began,
  });
}

type Found = { first: Awaited<ReturnType<Device["pull"]>>; size: number };

/** Sends the first requests. Returns why there is nothing to check, if so. */
async function look(a: Device, { timeout }: Settings): Promise<Found | string> {
  try {
    const answer = await a.ask("pull", { cursor: null, limit: 1 });
    const page = answer.status === 200 ? a.traffic.shapes.page(answer.body) : undefined;
    if (page === undefined) return foreign(a, answer.status, answer.text, answer.header("content-type"));
    const first = { first: page, size: 0 };
    const { changes } = await a.drain(null);
    return (await tried(a)) ?? { ...first, size: changes.length };
  } catch (error) {
    if (error instanceof NoAnswer) return error.isSlow ? `The first request had no answer within ${timeout / 1_000} s.` : `The first request had no answer: ${error.message}.`;
    if (error instanceof Deviation) return `The first pull did not come to its end: expected ${error.expected}, came ${error.came}`;
    return reasonOf(error);
  }
}

/** Writes a row, to see whether the type and its fields are known. Returns why not. */
async function tried(a: Device): Promise<string | undefined> {
  const { entity, fields } = a.form;
  const op = a.op("create", a.newId(), null, a.fields("a row of the conformance kit"));
  const { body } = await a.ask("push", { operations: [op] });
  const verdict = Array.isArray(body?.results) ? body.results[0] : undefined;
  if (verdict?.status === "applied") a.traffic.applied(a.party, op, Number(verdict.version) || 1);
  if (verdict?.status !== "rejected") return undefined;
  const why = [verdict.code, verdict.message].filter(Boolean).join(": ");
  return `The backend rejects a row of "${entity}" with the fields ${fields.join(" and ")} (${why}). Name a type that it knows, and two fields for text in it: \`--entity\` and \`--fields\`, or the options \`entity\` and \`fields\`.`;
}

function foreign(a: Device, status: number, text: string, type: string | null): string {
  if (a.http === undefined) return `The adapter's first pull failed: ${short(text)}`;
  const words = short(text.replace(/<(script|style)[\s\S]*?<\/\1>/g, " ").replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim(), 200);
  const what = `POST /sync/v1/pull was answered with HTTP ${status}${type === null ? "" : `, ${type}`}${words === "" ? ", without a body" : `: "${words}"`}`;
  if (status === 401 || status === 403) return `${what}. The token is not accepted: check \`--token\`.`;
  if (status === 409) return `${what}. The token is another user's than \`--user\`.`;
  if (status >= 300 && status < 400) return `${what}. The kit does not follow redirects: give the address that they lead to.`;
  return `${what}. This is no page of the sync protocol: check \`--url\`, which is what stands before /sync/v1.`;
}

/** What a check has found, without what it is. */
type Finding = Omit<CheckResult, "id" | "chapter" | "title" | "costs" | "section" | "text">;
type Done = (check: Check, result: Finding) => void;

/** Runs one check. Returns why the run cannot go on, if so. */
async function judge(check: Check, bench: Bench, settings: Settings, results: readonly CheckResult[], done: Done): Promise<string | undefined> {
  const began = Date.now();
  const ms = () => Date.now() - began;
  const broken = check.rests.find((id) => results.some((result) => result.id === id && ["failed", "notPromised"].includes(result.outcome)));
  if (broken !== undefined) {
    done(check, { outcome: "notJudged", note: `It rests on ${broken}, which failed.`, ms: 0 });
    return undefined;
  }
  const fail = (sent: string, expected: string, came: string) => {
    const outcome = isNamed(settings.without, check) ? "notPromised" : "failed";
    done(check, { outcome, ...(sent === "" ? {} : { sent }), expected, came, ms: ms() });
  };
  const { a, b } = bench;
  if (b !== undefined) b.sent = "";
  try {
    const note = await check.run(bench);
    done(check, { outcome: "passed", ...(typeof note === "string" ? { note } : {}), ms: ms() });
  } catch (error) {
    if (a.traffic.isOver) {
      done(check, { outcome: "notRun", ms: ms() });
      return reasonOf(a.traffic.overReason);
    }
    if (error instanceof ForServers) return undefined;
    if (error instanceof Unjudged) done(check, { outcome: error.outcome, note: error.message, ms: ms() });
    else if (error instanceof NoAnswer) {
      if (!(await isAlive(a))) {
        done(check, { outcome: "notRun", note: `Nothing answers any more: ${error.message}.`, ms: ms() });
        return `The backend stopped answering at ${check.id}: ${error.message}.`;
      }
      fail(lastSent(bench), "an answer", error.message);
    } else if (error instanceof Deviation) fail(lastSent(bench), error.expected, error.came);
    else fail(lastSent(bench), "an answer that the kit can read", stackOf(error));
  }
  return undefined;
}

const lastSent = ({ a, b }: Bench) => b?.sent || a.sent;

async function isAlive(a: Device): Promise<boolean> {
  try {
    await a.traffic.send((signal) => a.party.pull({ clientId: a.clientId, cursor: null, limit: 1 }, { signal }));
    return true;
  } catch {
    return false;
  }
}

/** Deletes what the run has written. Returns how many rows are left. */
async function tidy(traffic: Traffic, prefix: string, timeout: number): Promise<number> {
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(new Error("Tidying up took too long.")), TIDY_MS);
  // With limits of its own: the run's may be over.
  const own = new Traffic(`${prefix}d`, timeout, end.signal);
  let left = 0;
  try {
    for (const [party, rows] of traffic.rows) left += await tidyUser(own, party, [...rows.values()].filter(({ isGone }) => !isGone));
  } finally {
    clearTimeout(timer);
    traffic.requests += own.requests;
  }
  return left;
}

type Row = { op: { entity: string; id: string }; version: number; isWritten: boolean };

async function tidyUser(traffic: Traffic, party: Party, all: Row[]): Promise<number> {
  let left = 0;
  let size = TIDIED_AT_ONCE;
  for (const queue = [...all]; queue.length > 0; ) {
    let rows = queue.splice(0, size);
    for (let turn = 0; rows.length > 0 && turn < 4; turn++) {
      const device = new Device(party, traffic, { entity: "", fields: ["", ""] }, "kit-tidy");
      const operations = rows.map(({ op, version }) => ({ opId: `op-${traffic.newId()}`, entity: op.entity, id: op.id, kind: "delete", baseVersion: version }));
      try {
        const { body } = await device.ask("push", { operations });
        const results = (Array.isArray(body?.results) ? body.results : []) as { status?: string; version?: number }[];
        rows = rows.filter((row, at) => {
          const verdict = results[at];
          row.version = verdict?.version ?? row.version;
          return verdict?.status !== "applied" && !(verdict?.status === "rejected" && !row.isWritten);
        });
      } catch {
        if (size <= FEWEST_AT_ONCE) break;
        // An adapter that sends a request for each row may need longer than one request may take.
        queue.unshift(...rows);
        size = Math.floor(size / 4);
        rows = [];
      }
    }
    left += rows.filter(({ isWritten }) => isWritten).length;
  }
  return left;
}

/** The checks that there are. */
export const listed = (): { id: string; chapter: Chapter; title: string }[] => CHECKS.map(({ id, chapter, title }) => ({ id, chapter, title }));
