import { DatumError, type DatumErrorDetail, type Json } from "datum-sync";
import type { Answered } from "./options.js";

/** What the API has answered, whatever client the app asks with. */
export interface ApiAnswer {
  status: number;
  body: Json | undefined;
  etag: string | null;
  /** The API's clock in milliseconds, if it says. */
  now: number | undefined;
  retryAfterMs: number | undefined;
  /** What was called, for errors. */
  what: string;
}

/** How browsers and Node say that a request did not arrive: Chromium, Firefox, Safari, undici. There is nothing else to tell it from a bug by. */
const REQUEST_FAILED = /fetch|network|load failed|connection|terminated|(body|input) stream/i;
/** The longest answer that is read, in bytes. */
const LONGEST_ANSWER = 64 << 20;
const BUGS = ["TypeError", "ReferenceError", "RangeError", "SyntaxError"];
const words = (text: string) => text.replace(/<[^>]*>?/g, " ").replace(/\s+/g, " ").trim().slice(0, 200);
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** Calls a function of an entity, and reads what it returns or throws. */
export async function ask(entity: string, method: string, signal: AbortSignal, call: () => Answered | Promise<Answered>): Promise<ApiAnswer> {
  const what = `\`${method}\` of "${entity}"`;
  signal.throwIfAborted();
  try {
    const value = await call();
    return isResponse(value) ? await ofResponse(value, what, method !== "list" && method !== "get") : { status: 200, body: value as Json | undefined, etag: null, now: undefined, retryAfterMs: undefined, what };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && error.name === "DatumError") throw error;
    return ofThrown(error, what, entity);
  }
}

/** By its members: it may be another realm's, or a library's own. */
const isResponse = (value: unknown): value is Response => isObject(value) && typeof value["status"] === "number" && typeof value["text"] === "function";

/** Reads an answer, unless it is so long that it may have no end. */
async function textOf(response: Response, what: string): Promise<string> {
  const reader = response.body?.getReader?.();
  if (reader === undefined) return response.text();
  const decoder = new TextDecoder();
  let text = "";
  for (let size = 0; ; ) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      // Whatever a browser calls it: no function of the app runs here.
      throw new DatumError("network", `${what}: the answer broke off (${String(cause)}).`, { cause });
    });
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > LONGEST_ANSWER) {
      // The engine asks for fewer rows.
      void reader.cancel().catch(() => {});
      throw new DatumError("protocol", `The answer to ${what} is longer than 64 MiB.`, { status: 413 });
    }
    text += decoder.decode(value, { stream: true });
  }
}

async function ofResponse(response: Response, what: string, isWrite: boolean): Promise<ApiAnswer> {
  const { status, headers } = response;
  const text = status === 204 || status === 205 || status === 304 ? "" : await textOf(response, what);
  const date = Date.parse(headers?.get("date") ?? "");
  const now = Number.isNaN(date) ? undefined : date;
  const answer = { status, etag: headers?.get("etag") ?? null, now, retryAfterMs: delay(headers?.get("retry-after") ?? null, now), what };
  if (text.trim() === "") return { ...answer, body: undefined };
  try {
    return { ...answer, body: JSON.parse(text.replace(/^\uFEFF/, "")) as Json };
  } catch {
    if (status >= 400 && status !== 407 && status !== 511) return { ...answer, body: words(text) };
    // Such as "OK". Login pages and captive portals answer with web pages.
    if (isWrite && /^text\/plain\b/i.test(headers?.get("content-type") ?? "")) return { ...answer, body: words(text) };
    throw new DatumError("network", `Something else than the API answered ${what} (HTTP ${status}): "${words(text)}". A proxy, a login page or a network with a sign-in of its own answers so.`, { status, cause: words(text) });
  }
}

/** Clients that throw for a status put it beside the message, or into `response`. */
function ofThrown(error: unknown, what: string, entity: string): ApiAnswer {
  const thrown = isObject(error) ? error : {};
  const response = isObject(thrown["response"]) ? thrown["response"] : {};
  const status = [thrown["status"], thrown["statusCode"], response["status"]].find((value): value is number => typeof value === "number" && value >= 100);
  if (status !== undefined) return { status, body: (response["data"] ?? thrown["body"] ?? String(thrown["message"] ?? "")) as Json, etag: null, now: undefined, retryAfterMs: delay(headerOf(response["headers"], "retry-after"), undefined), what };
  const name = typeof thrown["name"] === "string" ? thrown["name"] : "";
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (BUGS.includes(name) && thrown["cause"] === undefined && !REQUEST_FAILED.test(String(thrown["message"]))) {
    throw new DatumError("protocol", `${what} threw ${text}. This is a bug of the app's own function, or an answer that it did not expect.`, { entity, cause: error });
  }
  throw new DatumError(name === "TimeoutError" ? "timeout" : "network", `${what}: the request did not arrive, or its answer was lost (${text}).`, { entity, cause: error });
}

/** Reads a header of `Headers`, or of a client's own object. */
function headerOf(headers: unknown, name: string): string | null {
  if (!isObject(headers)) return null;
  const value: unknown = typeof headers["get"] === "function" ? (headers["get"] as (name: string) => unknown).call(headers, name) : headers[name];
  return typeof value === "string" ? value : null;
}

function delay(header: string | null, now: number | undefined): number | undefined {
  if (header === null) return undefined;
  const ms = /^\s*[\d.]+\s*$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - (now ?? Date.now());
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

/** What an API says of a refusal. */
export function reasonOf({ body, status }: ApiAnswer): string {
  const text = isObject(body) ? (["message", "detail", "error", "title"].map((name) => body[name]).find((value): value is string => typeof value === "string") ?? JSON.stringify(body)) : typeof body === "string" ? body : "";
  return words(text) || `HTTP ${status}`;
}

/** Whether an answer refuses one row, and not the request as such. */
export const isRefusal = ({ status }: ApiAnswer): boolean => [400, 403, 404, 409, 410, 412, 413, 415, 422, 428].includes(status);

/** Returns the error of an answer that is no success. */
export function failure(answer: ApiAnswer): DatumError {
  const { status, what, retryAfterMs } = answer;
  const detail: DatumErrorDetail = { status, cause: reasonOf(answer), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  const said = `${what} was answered with HTTP ${status}: ${reasonOf(answer)}`;
  if (status === 401) return new DatumError("unauthorized", `${said}. Sign in again.`, detail);
  if (status === 403) return new DatumError("forbidden", said, detail);
  if (status === 408 || status === 504) return new DatumError("timeout", said, detail);
  if (status === 429) return new DatumError("rateLimited", said, detail);
  if (status >= 500) return new DatumError("serverError", said, detail);
  return new DatumError("protocol", `${said}. Check the address that the function asks.`, detail);
}

export const isSuccess = ({ status }: ApiAnswer): boolean => status >= 200 && status < 300;
