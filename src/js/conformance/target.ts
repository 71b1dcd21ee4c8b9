import type { RemoteAdapter } from "datum-sync";

/** JSON that the kit reads and does not trust. */
export type Any = any;

/** An answer, whatever it says. */
export interface Answer {
  /** 2xx for success. Of an adapter: 200, or the status of what it threw; 0 if that has none. */
  status: number;
  /** The `code` of an error. */
  code: string | undefined;
  /** The body as JSON; undefined if it is none. */
  body: Any;
  /** The body as it came. */
  text: string;
  header(name: string): string | null;
}

/** No answer came: the connection failed, or it took too long. */
export class NoAnswer extends Error {
  constructor(
    message: string,
    readonly isSlow: boolean,
  ) {
    super(message);
    this.name = "NoAnswer";
  }
}

/** What a request goes with. */
export interface Sending {
  /** Replaces the token; null sends none. */
  token?: string | null;
  /** Compresses the body. */
  encoding?: "gzip";
  signal: AbortSignal;
}

/** A signed-in user of a backend. */
export interface Party {
  /** The user, if it is known: a token that is no JWT does not say. */
  userId: string | undefined;
  pull(body: object, sending: Sending): Promise<Answer>;
  push(body: object, sending: Sending): Promise<Answer>;
  /** The rest of the protocol, over HTTP alone. */
  http?: HttpParty;
  /** An app's adapter. */
  adapter?: RemoteAdapter;
}

/** What only a server of the protocol has. */
export interface HttpParty {
  token: string;
  request(method: string, path: string, body: string | undefined, sending: Sending): Promise<Answer>;
  /** Opens `GET /stream`. */
  stream(signal: AbortSignal): Promise<Response>;
  /** Asks what a browser asks before a page's first request. */
  preflight(origin: string, signal: AbortSignal): Promise<Response>;
}

/** A text in JSON that `JSON.stringify` would not write so. */
export class Raw {
  constructor(readonly text: string) {}
}

/** Writes JSON with raw texts in it. */
export function jsonOf(value: unknown): string {
  const raws: string[] = [];
  const mark = "\u0001raw\u0001";
  const text = JSON.stringify(value, (_, item: unknown) => (item instanceof Raw ? `${mark}${raws.push(item.text) - 1}` : item));
  return raws.length === 0 ? text : text.replace(/"\\u0001raw\\u0001(\d+)"/g, (_, at: string) => raws[Number(at)] ?? "null");
}

/** Shortens a text for a report. */
export const short = (text: string, length = 700) => (text.length > length ? `${text.slice(0, length)}… (${text.length} characters)` : text);

const codeOf = (value: Any): string | undefined => (typeof value?.code === "string" ? value.code : undefined);
const parsed = (text: string): Any => {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    return undefined;
  }
};

const gzip = (text: string): Promise<ArrayBuffer> => new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();

/** A server that speaks the protocol. */
export function httpParty(base: string, token: string, userId?: string): Party {
  const root = `${base.replace(/\/+$/, "")}/sync/v1`;
  const headers = (sent: string | null | undefined): Record<string, string> => {
    const bearer = sent === undefined ? token : sent;
    return bearer === null ? {} : { authorization: `Bearer ${bearer}` };
  };
  const request: HttpParty["request"] = async (method, path, body, { token: sent, encoding, signal }) => {
    let response: Response;
    let text: string;
    try {
      const json: Record<string, string> = body === undefined ? {} : { "content-type": "application/json", ...(encoding === undefined ? {} : { "content-encoding": encoding }) };
      const bytes = body === undefined || encoding === undefined ? body : await gzip(body);
      response = await fetch(root + path, { method, headers: { accept: "application/json", ...json, ...headers(sent) }, signal, redirect: "manual", ...(bytes === undefined ? {} : { body: bytes }) });
      text = await response.text();
    } catch (error) {
      signal.throwIfAborted();
      throw new NoAnswer(reasonOf(error), false);
    }
    const json = parsed(text);
    return { status: response.status, code: response.ok ? undefined : codeOf(json), body: json, text, header: (name) => response.headers.get(name) };
  };
  return {
    userId: userId ?? subjectOf(token),
    pull: (body, sending) => request("POST", "/pull", jsonOf(body), sending),
    push: (body, sending) => request("POST", "/push", jsonOf(body), sending),
    http: {
      token,
      request,
      stream: (signal) => fetch(`${root}/stream`, { headers: { accept: "text/event-stream", ...headers(undefined) }, signal }),
      preflight: (origin, signal) =>
        fetch(`${root}/pull`, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type" }, signal }),
    },
  };
}

/** An app's adapter, called as the engine calls it. */
export function adapterParty(adapter: RemoteAdapter, userId: string): Party {
  const call = async (name: "pull" | "push", body: object, signal: AbortSignal): Promise<Answer> => {
    try {
      const method = adapter[name] as (request: unknown, signal: AbortSignal) => Promise<unknown>;
      const value = await method.call(adapter, { userId, ...(parsed(jsonOf(body)) as object) }, signal);
      // The engine reads the reply as JSON, too.
      const text = JSON.stringify(value) ?? "undefined";
      return { status: 200, code: undefined, body: parsed(text), text, header: () => null };
    } catch (error) {
      signal.throwIfAborted();
      return thrown(error, name);
    }
  };
  return { userId, adapter, pull: (body, { signal }) => call("pull", body, signal), push: (body, { signal }) => call("push", body, signal) };
}

/** The codes of a `DatumError`, and the statuses that they come from. */
const STATUSES: Record<string, number> = { unauthorized: 401, forbidden: 403, userMismatch: 409, rejected: 409, clientOutdated: 426, rateLimited: 429, serverError: 500, protocol: 400, timeout: 408 };

function thrown(error: Any, name: string): Answer {
  const status = typeof error?.status === "number" ? (error.status as number) : (STATUSES[codeOf(error) ?? ""] ?? 0);
  const text = `${name} threw ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
  if (status === 0) throw new NoAnswer(`${text}${error?.cause ? ` (${reasonOf(error)})` : ""}`, false);
  return { status, code: codeOf(error), body: { retryAfterMs: error?.retryAfterMs }, text, header: () => null };
}

/** What a failed request says: `fetch` puts it into causes. */
export function reasonOf(error: Any): string {
  const words: string[] = [];
  for (let at = error, depth = 0; at !== undefined && at !== null && depth < 4; at = at.cause, depth++) words.push(String(at.code ?? at.message ?? at));
  return words.join(": ");
}

/** The `sub` of a JWT. */
export function subjectOf(token: string): string | undefined {
  try {
    const claims = parsed(new TextDecoder().decode(Uint8Array.from(atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0))));
    return typeof claims?.sub === "string" ? claims.sub : undefined;
  } catch {
    return undefined;
  }
}
