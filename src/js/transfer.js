// The files of `exportUser` and `importUser` as streams of the platform.

import { DatumError, report } from "./support.js";

/** Returns a stream of what a feed yields: bytes, with the lines that they bring the file to. */
export function streamOf(feed, onProgress, signal) {
  const chunks = feed[Symbol.asyncIterator]();
  const stream = new ReadableStream({
    async pull(controller) {
      checkSignal(signal);
      const { value, done } = await chunks.next();
      if (done) return controller.close();
      controller.enqueue(value[0]);
      tell(onProgress, "writing", value[1], value[2]);
    },
  });
  // Safari has no loop over a stream.
  stream[Symbol.asyncIterator] ??= () => each(stream);
  return stream;
}

/** Returns the file of a trace. */
export const fileOf = (text) => new Blob([text], { type: "application/x-ndjson" });

/** The chunks of a file that an app gives, in any form that it may have it in. */
export class Source {
  #chunks;
  #signal;
  #isWaiting = false;

  constructor(source, signal) {
    this.#signal = signal;
    this.#chunks = chunksOf(source, signal);
  }

  /** Returns the next bytes; undefined at the end. The signal ends the wait for a source that has nothing to say. */
  async next() {
    checkSignal(this.#signal);
    this.#isWaiting = true;
    const { value, done } = await unlessAborted(this.#chunks.next(), this.#signal);
    this.#isWaiting = false;
    checkSignal(this.#signal);
    if (done) return undefined;
    return typeof value === "string" ? new TextEncoder().encode(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }

  /** Ends the reading: nothing more is wanted. */
  async end() {
    const ended = this.#chunks.return();
    ended.catch(() => {});
    // A source that is silent may never hear of it.
    if (!this.#isWaiting) await ended;
  }
}

/** Returns what `work` resolves with, unless the signal aborts before. */
export async function unlessAborted(work, signal) {
  // Nobody may be left to hear how it ends.
  work.catch(() => {});
  checkSignal(signal);
  let stop;
  const aborted = new Promise((_, reject) => {
    stop = () => reject(cancelled(signal));
    signal?.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

async function* chunksOf(source, signal) {
  // Not by its own loop, which Safari lacks and which hears of no signal while it waits.
  const isStream = typeof source?.getReader === "function";
  const isIterable = !isStream && typeof source === "object" && source?.[Symbol.asyncIterator] !== undefined;
  const chunks = isIterable ? source : each(isStream ? source : (source?.body ?? new Response(source).body), signal);
  for await (const chunk of chunks) {
    if (typeof chunk !== "string" && !ArrayBuffer.isView(chunk)) throw new DatumError("invalidArgument", "`source` has a chunk that is neither bytes nor text.");
    yield chunk;
  }
}

async function* each(stream, signal) {
  if (!stream) throw new DatumError("invalidArgument", "`source` must be a stream, a Response, a Blob, text, bytes, or an async iterable.");
  const reader = stream.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal?.addEventListener("abort", cancel);
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    signal?.removeEventListener("abort", cancel);
    cancel();
  }
}

const cancelled = (signal) => new DatumError("cancelled", "It was stopped by its signal.", { cause: signal.reason });

function checkSignal(signal) {
  if (signal?.aborted) throw cancelled(signal);
}

/** Tells an app how far it is; what its function throws changes nothing. */
export function tell(onProgress, phase, lines, total) {
  try {
    onProgress?.({ phase, lines, total });
  } catch (fault) {
    report(fault);
  }
}
