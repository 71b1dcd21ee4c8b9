// What lies between this page's device and the server: a network switch, a delay, and answers that
// the page makes up instead of the server, to show what an app does then.

import { Network } from "../network.ts";

export interface Sent {
  /** The last part of the path: `push`, `pull`, `metadata`. */
  what: string;
  /** The request's body as JSON; null where it has none. */
  body: unknown;
}

export class Line {
  readonly network = new Network();
  /** Before each request, in milliseconds. */
  delay = 0;
  /** A made-up answer; undefined lets the request through. */
  answer: ((sent: Sent) => Response | undefined) | undefined;
  /** Hears of each request. */
  heard: ((sent: Sent) => void) | undefined;

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const sent: Sent = { what: new URL(url).pathname.split("/").at(-1) ?? "", body: read(init.body) };
    this.heard?.(sent);
    if (this.delay > 0) await wait(this.delay, init.signal);
    return this.answer?.(sent) ?? this.network.fetch(url, init);
  };
}

function read(body: RequestInit["body"]): unknown {
  return typeof body === "string" ? JSON.parse(body) : null;
}

function wait(ms: number, signal: AbortSignal | null | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
