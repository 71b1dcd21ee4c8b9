// Remotes whose calls are recorded in the global `seen`, which the tests' expressions read.
import type { HttpRemote, RemoteAdapter } from "datum-sync";

declare global {
  /** The calls of the remote that was made last. */
  var seen: unknown[];
}

/** How a stream goes on after its chunks. */
type End = "open" | "close" | "fail" | "trickle";

const encode = (text: string) => new TextEncoder().encode(text);

const after = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** A response whose stream sends these chunks. */
function stream(chunks: string[], end: End): Response {
  const start = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    for (const chunk of chunks) {
      controller.enqueue(encode(chunk));
      await null;
    }
    if (end === "trickle") {
      for (let i = 0; i < 8; i++) {
        await after(40);
        controller.enqueue(encode(":\n"));
      }
    }
    if (end === "fail") controller.error(new TypeError("network error"));
    else if (end !== "open") controller.close();
  };
  const headers = { "Content-Type": "text/event-stream; charset=utf-8" };
  return new Response(new ReadableStream({ start }), { headers });
}

/** The text of a compressed body. */
function unzip(body: BodyInit): Promise<string> {
  return new Response(new Response(body).body!.pipeThrough(new DecompressionStream("gzip"))).text();
}

const TOOLS = { after, stream, unzip };

type Answer = (url: string, init: RequestInit, call: number, tools: typeof TOOLS) => unknown;

/** The config of a remote whose `fetch` records each call, the first of which is number 1. */
export function recordingRemote(answer: Answer, more: Partial<HttpRemote>): HttpRemote {
  globalThis.seen = [];
  return {
    url: "https://api.test/",
    async fetch(url, init) {
      seen.push({ url, ...init });
      return answer(url, init, seen.length, TOOLS) as Response;
    },
    ...more,
  };
}

/** An adapter with these methods, which do their own recording. */
export function recordingAdapter(methods: Partial<RemoteAdapter>): RemoteAdapter {
  globalThis.seen = [];
  return { pull: async () => undefined as never, push: async () => undefined as never, ...methods };
}

const kept = globalThis.fetch;
let flushed: Promise<Response> | undefined;

/** The browser's own `fetch` records a copy of each request and answers it, until `restoreFetch`. */
export function replaceFetch(): void {
  globalThis.seen = [];
  globalThis.fetch = async (request) => {
    seen.push((request as Request).clone());
    return new Response('{"results":[]}');
  };
}

/** The browser's own `fetch` records its arguments and sends what is to outlive the page, until `restoreFetch`. */
export function replaceFetchButFlushes(): void {
  globalThis.seen = [];
  globalThis.fetch = (...args) => {
    seen.push(args);
    if (!args[1]?.keepalive) return Promise.resolve(new Response("{}"));
    flushed = kept(...args);
    return flushed;
  };
}

export function restoreFetch(): void {
  globalThis.fetch = kept;
}

/** The status of what `replaceFetchButFlushes` let through. */
export async function flushedStatus(): Promise<number | undefined> {
  return (await flushed)?.status;
}

let unhandled = 0;

/** Starts counting rejections that nobody handles. */
export function countUnhandled(): void {
  addEventListener("unhandledrejection", () => unhandled++);
}

export function unhandledRejections(): number {
  return unhandled;
}
