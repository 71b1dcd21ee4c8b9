// What the handler asks of a store.

/** One request of an authenticated user. */
export interface SyncRequest {
  /** The user, as `authenticate` returned it. */
  readonly userId: string;
  /** What else `authenticate` returned; `postgresStore` gives it to PostgreSQL. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly method: string;
  /** Path and query, from `/sync/v1` on. */
  readonly target: string;
  readonly body: Uint8Array;
  /** The time, in milliseconds since 1970. */
  readonly now: number;
}

/** An error of a request, as section 3 of PROTOCOL.md has it. */
export interface SyncFailure {
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number | null;
  /** For the log only. */
  readonly cause?: unknown;
}

/** The answer to a request. */
export interface SyncReply {
  readonly status: number;
  /** The JSON of an answer with status 200. */
  readonly body?: Uint8Array<ArrayBuffer> | string;
  /** What failed, with another status. */
  readonly failure?: SyncFailure;
  /** Whether rows were written: the user's streams get a hint. */
  readonly changed?: boolean;
  /** The other users whose streams get a hint; `"all"` if the store does not know. */
  readonly others?: readonly string[] | "all";
  /** Whether a pull found nothing, so that it may wait for a change. */
  readonly idle?: boolean;
}

/** A place for rows that follows the rules of the protocol. */
export interface SyncStore {
  answer(request: SyncRequest): Promise<SyncReply>;
  /** Answers whether the store can be read and written. */
  health(now: number): Promise<SyncReply>;
  /** Returns how long a pull wants to wait for a change, in milliseconds. */
  waitMs(body: Uint8Array): number | Promise<number>;
  /** Removes what its retention has ended for. Called once an hour, if there are requests. */
  sweep?(now: number): Promise<void>;
  /** Calls `hint` when others than this handler have written. Returns what stops that. */
  listen?(hint: (userId: string | "all") => void): () => void;
}

/** An error with a status and code of the protocol. Throw it in `authenticate` for another answer than 401 `tokenInvalid`. */
export class SyncError extends Error {
  override readonly name = "SyncError";
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }
}

/** @internal */
export const refusal = (status: number, code: string, message: string, more: Partial<SyncFailure> = {}): SyncReply => ({
  status,
  failure: { code, message, ...more },
});

/** @internal */
export const broken = (cause: unknown): SyncReply => refusal(500, "internal", "The server failed to answer; try again later.", { cause });

/** @internal 1 to 512 bytes of UTF-8 without control characters. */
export function isId(id: unknown): id is string {
  return typeof id === "string" && id !== "" && id.length <= 512 && new TextEncoder().encode(id).length <= 512 && !/[\u0000-\u001f\u007f-\u009f]/.test(id) && isWellFormed(id);
}

/** Returns false for half a surrogate pair. */
function isWellFormed(text: string): boolean {
  try {
    encodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
