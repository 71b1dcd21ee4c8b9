// Server-sent events that say "there is something to pull". They carry no data.

import type { Hub } from "./hub.js";
import { after } from "./timers.js";

/** How often a quiet stream sends a comment. */
const KEEP_ALIVE = 15_000;

/** @internal Why streams end, for all of them. */
export class Closing {
  #ends = new Set<() => void>();
  isClosed = false;

  /** Calls back once the handler is closed. Returns what takes that back. */
  add(end: () => void): () => void {
    if (this.isClosed) end();
    else this.#ends.add(end);
    return () => this.#ends.delete(end);
  }

  close(): void {
    this.isClosed = true;
    for (const end of [...this.#ends]) end();
  }
}

/** @internal A stream of hints that ends when the token expires, the handler is closed or the reader is gone. */
export function hints(hub: Hub, closing: Closing, userId: string, expiresInMs: number, signal: AbortSignal): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let wake = () => {};
  let changed = false;
  // Before the stream is there: too many are an error of the request.
  const unsubscribe = hub.subscribe(userId, () => {
    changed = true;
    wake();
  });
  let stop = () => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let rest = () => {};
        let ended = false;
        const send = (text: string) => controller.enqueue(encoder.encode(text));
        const quiet = () => {
          rest();
          rest = after(KEEP_ALIVE, () => {
            // Behind a reader that does not read, comments would pile up.
            if ((controller.desiredSize ?? 0) > 0) send(":\n\n");
            quiet();
          });
        };
        const end = (reason?: string) => {
          if (ended) return;
          ended = true;
          stop();
          if (reason !== undefined) send(`event: bye\ndata: {"reason":"${reason}"}\n\n`);
          controller.close();
        };
        const taken = [after(expiresInMs, () => end("tokenExpired")), closing.add(() => queueMicrotask(() => end("shutdown")))];
        const aborted = () => end();
        signal.addEventListener("abort", aborted);
        stop = () => {
          ended = true;
          unsubscribe();
          rest();
          for (const take of taken) take();
          signal.removeEventListener("abort", aborted);
          wake = () => {};
        };
        wake = () => {
          // Several changes are one event: the rest is sent once the reader has read.
          if (ended || !changed || (controller.desiredSize ?? 0) <= 0) return;
          changed = false;
          send("event: change\ndata: {}\n\n");
          quiet();
        };
        // A first byte, because some proxies hold the headers back until then.
        send(": open\n\n");
        quiet();
        if (signal.aborted) end();
      },
      pull: () => wake(),
      cancel: () => stop(),
    },
    { highWaterMark: 16 },
  );
}
