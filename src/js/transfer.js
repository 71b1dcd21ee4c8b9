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

/** The chunks of a file that an app gives, in any form that it may have it in. */
export class Source {
  #chunks;
  #signal;

  constructor(source, signal) {
    this.#signal = signal;
    this.#chunks = chunksOf(source);
  }

  /** Returns the next bytes; undefined at the end. */
  async next() {
    checkSignal(this.#signal);
    const { value, done } = await this.#chunks.next();
    if (done) return undefined;
    return typeof value === "string" ? new TextEncoder().encode(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }

  /** Ends the reading: nothing more is wanted. */
  end() {
    return this.#chunks.return();
  }
}

async function* chunksOf(source) {
  // A loop over a stream ends it when it is left, as one over any other source does.
  const isIterable = typeof source === "object" && source?.[Symbol.asyncIterator] !== undefined;
  const chunks = isIterable ? source : each(source?.body ?? new Response(source).body);
  for await (const chunk of chunks) {
    if (typeof chunk !== "string" && !ArrayBuffer.isView(chunk)) throw new DatumError("invalidArgument", "`source` has a chunk that is neither bytes nor text.");
    yield chunk;
  }
}

async function* each(stream) {
  if (!stream) throw new DatumError("invalidArgument", "`source` must be a stream, a Response, a Blob, text, bytes, or an async iterable.");
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

function checkSignal(signal) {
  if (signal?.aborted) throw new DatumError("cancelled", "It was stopped by its signal.", { cause: signal.reason });
}

/** Tells an app how far it is; what its function throws changes nothing. */
export function tell(onProgress, phase, lines, total) {
  try {
    onProgress?.({ phase, lines, total });
  } catch (fault) {
    report(fault);
  }
}
