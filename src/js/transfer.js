// The files of `exportUser` and `importUser` as streams of the platform.

import { DatumError, report } from "./support.js";

/** Returns a stream of what a feed yields: bytes, each with the lines that they bring the file to. */
export function streamOf(feed, onProgress, signal) {
  const chunks = feed[Symbol.asyncIterator]();
  const stream = new ReadableStream({
    async pull(controller) {
      if (signal?.aborted) throw stopped(signal);
      const { value, done } = await chunks.next();
      if (done) return controller.close();
      const [bytes, lines, total] = value;
      controller.enqueue(bytes);
      tell(onProgress, { phase: "writing", lines, total });
    },
    cancel: () => chunks.return(),
  });
  // Safari has no loop over a stream.
  stream[Symbol.asyncIterator] ??= async function* () {
    const reader = stream.getReader();
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
    } finally {
      await reader.cancel();
    }
  };
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
    if (this.#signal?.aborted) throw stopped(this.#signal);
    const { value, done } = await this.#chunks.next();
    if (done) return undefined;
    if (typeof value === "string") return new TextEncoder().encode(value);
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    throw refused("has a chunk that is neither bytes nor text");
  }

  /** Ends the reading: nothing more is wanted. */
  end() {
    return Promise.resolve(this.#chunks.return?.()).catch(() => {});
  }
}

async function* chunksOf(source) {
  if (typeof source === "string" || source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return yield source;
  if (source?.bodyUsed || source?.locked) throw refused("has been read already; give a new one");
  // A response, or a blob, or a stream.
  const stream = source?.body ?? (typeof source?.stream === "function" ? source.stream() : source);
  if (typeof stream?.[Symbol.asyncIterator] === "function") return yield* stream;
  if (typeof stream?.getReader !== "function") throw refused("must be a ReadableStream, a Response, a Blob, text, bytes, or an async iterable of them");
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel();
  }
}

function refused(why) {
  return new DatumError("invalidArgument", `\`source\` ${why}.`);
}

function stopped(signal) {
  return new DatumError("cancelled", "It was stopped by its signal; nothing was imported.", { cause: signal.reason });
}

/** Tells an app how far it is; what its function throws changes nothing. */
export function tell(onProgress, progress) {
  try {
    onProgress?.(progress);
  } catch (fault) {
    report(fault);
  }
}

/** As `tell`, of an import. */
export function tellRead(onProgress, lines, total) {
  tell(onProgress, { phase: "reading", lines, total });
}
