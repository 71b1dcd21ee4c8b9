import { DatumError, type DatumErrorCode, type DatumErrorDetail } from "datum-sync";
import type { Answer } from "./exchange.js";

/** The body of an error of PostgREST, of PostgreSQL behind it, or of the kit's functions. */
interface ErrorBody {
  code?: unknown;
  message?: unknown;
  details?: unknown;
  hint?: unknown;
}

/** Codes of PostgreSQL that mean: it took too long, so less at once may do. */
const SLOW = new Set(["57014", "55P03"]);
/** A transaction that writes cannot begin: a replica answered, or the database is read-only for now. PostgREST says 400 or 405, as if the request were wrong. */
const READ_ONLY = new Set(["25006", "0A000"]);
/** The kit, a table or a column is not there, or PostgREST does not know it yet. */
const UNKNOWN = new Set(["42P01", "42703", "42883", "PGRST106", "PGRST200", "PGRST202", "PGRST204", "PGRST205"]);
/** What a status means to a device as a whole; others are read by the engine. */
const CODES: Record<number, DatumErrorCode> = { 401: "unauthorized", 403: "forbidden", 426: "clientOutdated", 429: "rateLimited" };

/** Returns the error of an answer in JSON; undefined if something else answered. */
export function errorBody(answer: Answer): ErrorBody | undefined {
  const body = parsed(answer.text);
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  return "code" in body || "message" in body ? body : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const textOf = (value: unknown) => (typeof value === "string" ? value : "");

/** Returns what the request asked for, as JSON has it; throws what an answer means that is no success. */
export function reply(answer: Answer, what: string): unknown {
  if (answer.status < 200 || answer.status > 299) throw failure(answer, what);
  const body = parsed(answer.text);
  if (body === undefined) throw foreign(answer, what);
  return body;
}

/** Returns the error of an answer that is no success. What is no `DatumError` is read by its status: of a push, by the engine's search. */
export function failure(answer: Answer, what: string): Error {
  const body = errorBody(answer);
  const status = READ_ONLY.has(textOf(body?.code)) ? 503 : answer.status;
  const detail: DatumErrorDetail = { status };
  const wait = delay(answer, body);
  if (wait !== undefined) detail.retryAfterMs = wait;
  if (body === undefined && (status < 400 || [401, 403, 404, 407, 409, 410, 426, 511].includes(status))) return foreign(answer, what);
  const [code, said] = [textOf(body?.code), [textOf(body?.message), textOf(body?.hint)].filter(Boolean).join(" ")];
  detail.cause = [code, said].filter(Boolean).join(": ") || `HTTP ${status}`;
  if (code === "userMismatch") return new DatumError("userMismatch", "Supabase says that this device's data belongs to another user than the one who is signed in.", detail);
  if (SLOW.has(code)) return new DatumError("timeout", `${what}: PostgreSQL stopped the statement, which took too long.`, detail);
  if (UNKNOWN.has(code)) {
    return new DatumError("protocol", `${what}: PostgREST does not know it (${code}). Run the SQL kit's migration, then \`notify pgrst, 'reload schema'\`. Operations stay queued.`, detail);
  }
  const known = CODES[status];
  if (known !== undefined) {
    const why = known === "unauthorized" ? "sign in again" : known === "forbidden" ? "check the grants of the kit's functions" : "see the cause";
    return new DatumError(known, `${what} was refused (HTTP ${status}); ${why}.`, detail);
  }
  return Object.assign(new Error(`${what}: ${detail.cause as string}`), { name: "SupabaseError", ...detail, code });
}

function foreign({ status, text }: Answer, what: string): DatumError {
  const words = text.replace(/<[^>]*>?/g, " ").replace(/\s+/g, " ").trim().slice(0, 200);
  const message =
    status < 300 && text.trimStart().startsWith("{")
      ? `The answer to ${what} was cut off.`
      : `Something else than Supabase answered ${what} (HTTP ${status}): "${words}". A firewall, a proxy, a login page or a network with a sign-in of its own answers so.`;
  return new DatumError("network", message, { status, cause: words });
}

/** How long to wait, in milliseconds: exact in the body, which every page may read, else in whole seconds or as a date in the header. */
function delay(answer: Answer, body: ErrorBody | undefined): number | undefined {
  const details = parsed(textOf(body?.details)) as { retryAfterMs?: unknown } | null | undefined;
  if (typeof details?.retryAfterMs === "number") return details.retryAfterMs;
  const header = answer.header("retry-after");
  if (header === null) return undefined;
  const ms = /^\s*[\d.]+\s*$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - (Date.parse(answer.header("date") ?? "") || Date.now());
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}
