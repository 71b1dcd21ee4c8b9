// The handler behind Node's own `http`, Express and others that call `(request, response)`.

import { BodyRead } from "./body.js";
import type { SyncHandler } from "./handler.js";

/** What is needed of an `IncomingMessage`. */
export interface NodeRequest extends AsyncIterable<Uint8Array> {
  method?: string | undefined;
  url?: string | undefined;
  /** Express: the path before a router has cut it. */
  originalUrl?: string | undefined;
  headers: Record<string, string | string[] | undefined>;
  /** What a parser in front of the handler has made of the body. */
  body?: unknown;
  readableEnded?: boolean;
}

/** What is needed of a `ServerResponse`. */
export interface NodeResponse {
  statusCode: number;
  writableFinished: boolean;
  shouldKeepAlive?: boolean;
  setHeader(name: string, value: string | string[]): unknown;
  flushHeaders?(): void;
  write(chunk: Uint8Array): boolean;
  end(): unknown;
  destroy?(): unknown;
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
}

/** What `Request` refuses to be. */
const UNKNOWN = ["CONNECT", "TRACE", "TRACK"];

/** Makes a function for `http.createServer`, `app.use` of Express, and others like them. Mount it before anything that reads bodies, such as `express.json()`. */
export function toNodeHandler(handler: SyncHandler): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  if (typeof handler !== "function") throw new TypeError("toNodeHandler needs the handler of createSyncHandler.");
  return async (incoming, outgoing) => {
    const gone = new AbortController();
    const closed = () => {
      if (!outgoing.writableFinished) gone.abort();
    };
    outgoing.on("close", closed);
    try {
      const isKnown = !UNKNOWN.includes(incoming.method?.toUpperCase() ?? "GET");
      const response = isKnown ? await handler(requestOf(incoming, outgoing, gone.signal)) : new Response(null, { status: 405 });
      await send(response, outgoing, gone.signal);
    } catch (error) {
      console.error("datum-sync:", error);
      outgoing.destroy?.();
    } finally {
      outgoing.off("close", closed);
    }
  };
}

function requestOf(incoming: NodeRequest, outgoing: NodeResponse, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
  }
  const method = incoming.method ?? "GET";
  const path = incoming.originalUrl ?? incoming.url ?? "/";
  // Only the path counts, and a host may be anything.
  const url = `http://localhost${path.startsWith("/") ? path : `/${path}`}`;
  if (method === "GET" || method === "HEAD") return new Request(url, { method, headers, signal });
  return new Request(url, { method, headers, signal, body: bodyOf(incoming, outgoing), duplex: "half" } as RequestInit);
}

/** The body as it came. What a parser has made of one is refused: numbers would lose digits. */
function bodyOf(incoming: NodeRequest, outgoing: NodeResponse): BodyInit {
  const { body } = incoming;
  if (typeof body === "string" || body instanceof Uint8Array) return body as BodyInit;
  let chunks: AsyncIterator<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (incoming.readableEnded === true && chunks === undefined) {
        return controller.error(new BodyRead("Another middleware has read the body. Mount the sync handler before it, such as before express.json()."));
      }
      chunks ??= incoming[Symbol.asyncIterator]();
      const { done, value } = await chunks.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel() {
      // The rest of the body stands between this answer and the next request.
      outgoing.shouldKeepAlive = false;
    },
  });
}

async function send(response: Response, outgoing: NodeResponse, signal: AbortSignal): Promise<void> {
  outgoing.statusCode = response.status;
  response.headers.forEach((value, name) => outgoing.setHeader(name, value));
  if (response.body === null) {
    outgoing.end();
    return;
  }
  outgoing.flushHeaders?.();
  const reader = response.body.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  for (;;) {
    const { done, value } = await reader.read();
    if (done || signal.aborted) break;
    if (!outgoing.write(value)) await drained(outgoing, signal);
  }
  signal.removeEventListener("abort", stop);
  outgoing.end();
}

/** Waits until the connection takes more, or is gone. */
function drained(outgoing: NodeResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    outgoing.on("drain", done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
