// A simulated network between this page's engine and the server: a switch, a delay, and fake responses
// that show how an app handles failures.

import { Network } from "../network.ts";

export interface SimRequest {
  /** The last part of the path: `push`, `pull`, `metadata`. */
  endpoint: string;
  /** The parsed body; null if there is none. */
  body: unknown;
}

export class NetworkSim {
  readonly network = new Network();
  /** Delays each request, in milliseconds. */
  delay = 0;
  /** Returns a fake response, or undefined to let the request through. */
  respond: ((request: SimRequest) => Response | undefined) | undefined;
  /** Called for each request. */
  onRequest: ((request: SimRequest) => void) | undefined;

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const request = { endpoint: new URL(url).pathname.split("/").at(-1) ?? "", body: parse(init.body) };
    this.onRequest?.(request);
    if (this.delay > 0) await sleep(this.delay, init.signal);
    return this.respond?.(request) ?? this.network.fetch(url, init);
  };
}

function parse(body: RequestInit["body"]): unknown {
  return typeof body === "string" ? JSON.parse(body) : null;
}

function sleep(ms: number, signal: AbortSignal | null | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
