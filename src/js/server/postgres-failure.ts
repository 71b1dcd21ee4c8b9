// What an error of PostgreSQL, or of its client, means to a device.

import { refusal, type SyncReply } from "./store.js";

/** It took too long, so less at once may do. */
const SLOW = new Set(["57014", "55P03", "25P03", "25P04"]);
/** Others were first, or a transaction that writes cannot begin: a replica answered. */
const BUSY = new Set(["40001", "40P01", "25006", "57P01", "57P02", "57P03", "57P05", "58P01"]);
/** The disk is full or fails. */
const STORAGE = new Set(["53100", "58030", "XX001", "XX002"]);
/** The body is no JSON, or has what PostgreSQL cannot hold. */
const UNREADABLE = new Set(["22P02", "22021", "22P05", "22030", "22032"]);
/** No connection, or none left. */
const GONE = /^(08|53)/;
const IS_STATE = /^[0-9A-Z]{5}$/;

/** @internal A database or a role that is not as this store needs it. */
export class SetupError extends Error {
  override readonly name = "SetupError";
}

const parsed = (text: unknown): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(String(text));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
};

/** @internal Returns the answer to a request that failed so; undefined for a fault of this server. */
export function failure(error: unknown): SyncReply | undefined {
  const { code, message, detail } = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  const state = typeof code === "string" ? code : "";
  // `datum.fail` gives PostgREST its answer so.
  if (state === "PGRST") {
    const [body, head] = [parsed(message), parsed(detail)];
    const wait = parsed(body["details"])["retryAfterMs"];
    if (typeof body["code"] !== "string" || typeof head["status"] !== "number") return undefined;
    return refusal(head["status"], body["code"], String(body["message"]), { retryAfterMs: typeof wait === "number" ? wait : null });
  }
  if (UNREADABLE.has(state)) return refusal(400, "badRequest", `The body cannot be read: ${String(message)}.`);
  if (SLOW.has(state)) return refusal(504, "timeout", "The database stopped the request, which took too long; send less at once.", { cause: error });
  if (STORAGE.has(state)) return refusal(503, "storageFailed", "The server cannot store anything at present; try again later.", { retryAfterMs: 5_000, cause: error });
  const isOurs = error instanceof SetupError || error instanceof TypeError || error instanceof SyntaxError;
  // What a client throws without a state of PostgreSQL is about the connection: `pg` has no code for that.
  const hasNoConnection = !IS_STATE.test(state) && !isOurs;
  if (BUSY.has(state) || GONE.test(state) || hasNoConnection) return refusal(503, "busy", "The server is busy; try again shortly.", { retryAfterMs: 1_000, cause: error });
  return undefined;
}
