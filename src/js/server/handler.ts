// Requests of the protocol as `Request` and `Response`: tokens, limits, streams and long pulls. The store decides the content of answers.

import { readBody } from "./body.js";
import { allow, preflight } from "./cors.js";
import { Hub } from "./hub.js";
import { Rates, isRate, type RateLimit } from "./rate.js";
import { Closing, hints } from "./stream.js";
import { SyncError, broken, isId, refusal, type SyncReply, type SyncRequest, type SyncStore } from "./store.js";
import { after } from "./timers.js";

const PREFIX = "/sync/v1";
/** The largest body of a request that is no push. */
const MAX_QUESTION = 1 << 20;
/** The longest stream, however long its token is valid. */
const MAX_STREAM = 86_400_000;
const MAX_WAIT = 25_000;
const SWEEP_EVERY = 3_600_000;

/** Who sends a request. */
export interface SyncUser {
  /** The user's id: 1 to 512 bytes of UTF-8 without control characters. */
  userId: string;
  /** When the token expires, in seconds since 1970, as `exp` of a JWT. A stream ends then. Without it, after a day. */
  expiresAt?: number;
  /** For `postgresStore`: further claims for PostgreSQL, such as `role`. */
  claims?: Record<string, unknown>;
}

/** The options of {@link createSyncHandler}. */
export interface SyncHandlerOptions {
  /** Where the rows are: `memoryStore()`, `sqliteStore(…)` or `postgresStore(…)`. */
  store: SyncStore;
  /**
   * Says who sends a request, by its headers. `null` is answered 401, and the client asks your app for a new token. Throw a
   * {@link SyncError} for another answer; any other error is a 500, and the client tries again later. Do not read the body.
   */
  authenticate: (request: Request) => string | SyncUser | null | undefined | Promise<string | SyncUser | null | undefined>;
  /**
   * The origins whose pages may send requests, such as `https://app.example`, `"*"` for any, or a function. Without it, only pages of the same origin
   * may. A function that throws, or returns anything but true, allows nothing.
   */
  allowOrigins?: readonly string[] | "*" | ((origin: string) => boolean);
  /** The largest push, in bytes after decompression. 16 MiB if absent. */
  maxBodyBytes?: number;
  /** How many requests each user may send; a further one is 429 with `Retry-After`. Each process counts for itself. Without it, any number. */
  rateLimit?: RateLimit;
  /** Hears of errors that are no client's fault; without it, they are written to the console. */
  onError?: (error: unknown, request: Request) => void;
}

/** Answers the requests of the protocol. */
export interface SyncHandler {
  (request: Request): Promise<Response>;
  /** Tells a user's devices, or all, that there is something to pull: after writes that went past this handler. */
  hint(userId?: string): void;
  /** Ends all streams and waiting pulls, before the process stops. */
  close(): void;
}

/** Makes a handler for a store. It answers every path that contains `/sync/v1/`, wherever it is mounted. */
export function createSyncHandler(options: SyncHandlerOptions): SyncHandler {
  const own = new Handler(options);
  return Object.assign((request: Request) => own.handle(request), { hint: (userId?: string) => own.hint(userId), close: () => own.close() });
}

/** Returns the options, or throws with the name of the one that is wrong. */
function checked(options: SyncHandlerOptions): SyncHandlerOptions {
  if (typeof options !== "object" || options === null) throw new TypeError("createSyncHandler needs options: { store, authenticate }.");
  const { store, authenticate, allowOrigins, maxBodyBytes, rateLimit, onError } = options;
  if (typeof store?.answer !== "function") throw new TypeError("createSyncHandler: `store` must be a store, such as memoryStore().");
  if (typeof authenticate !== "function") throw new TypeError("createSyncHandler: `authenticate` must be a function that returns the user's id, or null.");
  const isList = Array.isArray(allowOrigins) && allowOrigins.every((origin) => typeof origin === "string");
  if (allowOrigins !== undefined && allowOrigins !== "*" && typeof allowOrigins !== "function" && !isList) {
    throw new TypeError('createSyncHandler: `allowOrigins` must be a list of origins, "*", or a function.');
  }
  if (maxBodyBytes !== undefined && !(Number.isInteger(maxBodyBytes) && maxBodyBytes >= 1_024)) {
    throw new TypeError("createSyncHandler: `maxBodyBytes` must be a whole number from 1024 on.");
  }
  if (rateLimit !== undefined && !isRate(rateLimit)) {
    throw new TypeError("createSyncHandler: `rateLimit` must be { perSecond, burst? } with numbers: `perSecond` above 0, `burst` from 1 on.");
  }
  if (onError !== undefined && typeof onError !== "function") throw new TypeError("createSyncHandler: `onError` must be a function.");
  return { ...options, store, authenticate };
}

/** A response whose length is known. */
function sized(body: Uint8Array<ArrayBuffer> | string, status: number, headers: Headers): Response {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  headers.set("content-length", String(bytes.byteLength));
  return new Response(bytes, { status, headers });
}

class Handler {
  #options: SyncHandlerOptions;
  #hub = new Hub();
  #closing = new Closing();
  #isAllowed: (origin: string) => unknown;
  #rates: Rates | undefined;
  #run = Math.floor(Math.random() * 2 ** 32).toString(16).padStart(8, "0");
  #requests = 0;
  #swept = 0;
  #stopListening: (() => void) | undefined;

  constructor(options: SyncHandlerOptions) {
    this.#options = checked(options);
    const { allowOrigins = [], rateLimit } = this.#options;
    this.#rates = rateLimit === undefined ? undefined : new Rates(rateLimit);
    const origins = typeof allowOrigins === "object" ? allowOrigins.map((origin) => origin.replace(/\/+$/, "")) : [];
    this.#isAllowed = typeof allowOrigins === "function" ? allowOrigins : (origin) => allowOrigins === "*" || origins.includes("*") || origins.includes(origin);
  }

  hint(userId?: string): void {
    if (userId === undefined) this.#hub.hintAll();
    else this.#hub.hint(userId);
  }

  close(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#closing.close();
  }

  async handle(request: Request): Promise<Response> {
    if (request.method === "OPTIONS") return preflight(request, (origin) => this.#allows(origin, request));
    const id = `${this.#run}-${(++this.#requests).toString(16)}`;
    let answer: SyncReply | ReadableStream<Uint8Array>;
    try {
      answer = await this.#answer(request);
    } catch (error) {
      answer = error instanceof SyncError ? refusal(error.status, error.code, error.message, { retryAfterMs: error.retryAfterMs ?? null }) : broken(error);
    }
    return this.#respond(request, id, answer);
  }

  #respond(request: Request, id: string, answer: SyncReply | ReadableStream<Uint8Array>): Response {
    const headers = new Headers({
      "x-request-id": id,
      // `no-transform` keeps proxies from buffering a stream in order to compress it.
      "cache-control": "no-store, no-transform",
      "x-content-type-options": "nosniff",
      vary: "authorization",
    });
    allow(request, headers, (origin) => this.#allows(origin, request));
    if (answer instanceof ReadableStream) {
      headers.set("content-type", "text/event-stream");
      // Tells proxies such as nginx not to buffer.
      headers.set("x-accel-buffering", "no");
      return new Response(answer, { status: 200, headers });
    }
    headers.set("content-type", "application/json");
    if (answer.failure === undefined) return sized(answer.body ?? "", answer.status, headers);
    const { code, message, retryAfterMs, cause } = answer.failure;
    if (cause !== undefined && cause !== null) this.#report(cause, request);
    if (typeof retryAfterMs === "number") headers.set("retry-after", String(Math.ceil(retryAfterMs / 1_000)));
    if (answer.status === 401) headers.set("www-authenticate", code === "tokenExpired" ? 'Bearer error="invalid_token", error_description="expired"' : "Bearer");
    const body = { code, message, ...(typeof retryAfterMs === "number" ? { retryAfterMs } : {}), requestId: id };
    return sized(JSON.stringify(body), answer.status, headers);
  }

  /** Whether pages of an origin may ask. An app's own function that fails must not take the answer along, and a promise must not count as yes. */
  #allows(origin: string, request: Request): boolean {
    try {
      const answer = this.#isAllowed(origin);
      if (typeof answer === "object" && answer !== null) {
        // A rejection that nobody handles would end the process.
        Promise.resolve(answer).catch(() => {});
        throw new TypeError("`allowOrigins` must return true or false; it returned an object, such as the promise of an async function.");
      }
      return answer === true;
    } catch (error) {
      this.#report(error, request);
      return false;
    }
  }

  #report(cause: unknown, request: Request): void {
    const { onError } = this.#options;
    if (onError === undefined) return console.error("datum-sync:", cause);
    // The client has its answer all the same.
    const failed = (thrown: unknown) => console.error("datum-sync: `onError` failed:", thrown, cause);
    try {
      // Its type allows an async function, too.
      Promise.resolve(onError(cause, request) as unknown).catch(failed);
    } catch (thrown) {
      failed(thrown);
    }
  }

  async #answer(request: Request): Promise<SyncReply | ReadableStream<Uint8Array>> {
    const { pathname, search } = new URL(request.url);
    const at = pathname.lastIndexOf(`${PREFIX}/`);
    if (at < 0) throw new SyncError(404, "notFound", `There is nothing at ${pathname}; the protocol lives under ${PREFIX}.`);
    const path = pathname.slice(at + PREFIX.length);
    const now = Date.now();
    if ((request.method === "GET" || request.method === "HEAD") && path === "/health") return this.#options.store.health(now);
    const user = await this.#authenticate(request);
    this.#rates?.take(user.userId, now);
    this.#listen();
    if (request.method === "GET" && path === "/stream") return this.#stream(request, user, now);
    const { maxBodyBytes = 16 << 20, store } = this.#options;
    const body = await readBody(request, path === "/push" ? maxBodyBytes : Math.min(maxBodyBytes, MAX_QUESTION));
    const asked = { userId: user.userId, claims: user.claims ?? {}, method: request.method, target: `${PREFIX}${path}${search}`, body };
    const isPull = request.method === "POST" && path === "/pull";
    const wait = isPull ? Math.min(await store.waitMs(body), MAX_WAIT) : 0;
    const reply = wait > 0 && typeof setTimeout === "function" ? await this.#waiting(asked, wait, request.signal) : await this.#ask(asked);
    this.#sweep(now);
    return reply;
  }

  async #authenticate(request: Request): Promise<SyncUser> {
    const found: unknown = await this.#options.authenticate(request);
    if (found === null || found === undefined || found === false) throw new SyncError(401, "tokenInvalid", "The request is not signed in: there is no token that this server accepts.");
    const user = (typeof found === "object" ? found : { userId: found }) as SyncUser;
    // Such as a number from a table: a mistake that no other token mends.
    if (typeof user.userId !== "string") throw new TypeError(`\`authenticate\` must return the user's id as text; it is of the type ${typeof user.userId}.`);
    if (!isId(user.userId)) throw new SyncError(401, "tokenInvalid", "`authenticate` returned a user id that is empty, too long or has control characters.");
    const { expiresAt } = user;
    if (expiresAt !== undefined && !Number.isFinite(expiresAt)) throw new TypeError("`authenticate`: `expiresAt` must be a number of seconds since 1970.");
    return user;
  }

  #stream(request: Request, { userId, expiresAt }: SyncUser, now: number): ReadableStream<Uint8Array> {
    const left = expiresAt === undefined ? MAX_STREAM : Math.max(expiresAt * 1_000 - now, 0);
    return hints(this.#hub, this.#closing, userId, Math.min(left, MAX_STREAM), request.signal);
  }

  /** Asks the store, and tells those who have something to pull. */
  async #ask(request: Omit<SyncRequest, "now">): Promise<SyncReply> {
    const reply = await this.#options.store.answer({ ...request, now: Date.now() });
    if (reply.changed === true) this.#hub.hint(request.userId);
    if (reply.others === "all") this.#hub.hintAll();
    else for (const other of reply.others ?? []) this.#hub.hint(other);
    return reply;
  }

  /** Holds back an empty answer until something changes, the time is over, or nobody waits any more. */
  async #waiting(request: Omit<SyncRequest, "now">, ms: number, signal: AbortSignal): Promise<SyncReply> {
    let wake = () => {};
    let changed = false;
    // Before the first pull, so that no change is missed in between.
    const unsubscribe = this.#hub.subscribe(request.userId, () => {
      changed = true;
      wake();
    });
    let over = false;
    const end = () => {
      over = true;
      wake();
    };
    const taken = [after(ms, end), this.#closing.add(end)];
    signal.addEventListener("abort", end);
    try {
      for (;;) {
        changed = false;
        const reply = await this.#ask(request);
        if (reply.idle !== true || over || signal.aborted) return reply;
        if (!changed) await new Promise<void>((resolve) => (wake = resolve));
        if (over) return reply;
      }
    } finally {
      unsubscribe();
      for (const take of taken) take();
      signal.removeEventListener("abort", end);
    }
  }

  /** Listens to the writes of others from the first request on: a handler that nobody asks costs nothing. */
  #listen(): void {
    if (this.#closing.isClosed) return;
    this.#stopListening ??= this.#options.store.listen?.((userId) => (userId === "all" ? this.#hub.hintAll() : this.#hub.hint(userId))) ?? (() => {});
  }

  #sweep(now: number): void {
    const { store } = this.#options;
    if (store.sweep === undefined || now - this.#swept < SWEEP_EVERY) return;
    this.#swept = now;
    store.sweep(now).catch((error: unknown) => console.error("datum-sync: the sweep failed:", error));
  }
}


