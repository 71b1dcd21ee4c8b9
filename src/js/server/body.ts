// Reads a request's body once, up to a limit, after decompression.

import { SyncError } from "./store.js";
import { after } from "./timers.js";

/** How many times the limit is read and discarded: a client that is still sending reports a network error instead of 413, and would send the same again. */
const DISCARD_FACTOR = 4;
/** How long a body may stop arriving. */
const IDLE = 30_000;

/** @internal */
export async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0);
  if (request.bodyUsed) throw new BodyRead("The body of this request was read before the sync handler got it.");
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity" && encoding !== "gzip") throw new SyncError(415, "unsupportedEncoding", "The body may be plain or gzip.");
  if (encoding === "gzip" && typeof DecompressionStream !== "function") {
    throw new SyncError(415, "unsupportedEncoding", "This server cannot decompress; send the body uncompressed.");
  }
  const stream = encoding === "gzip" ? request.body.pipeThrough(new DecompressionStream("gzip") as unknown as TransformStream<Uint8Array, Uint8Array>) : request.body;
  const reader = (stream as ReadableStream<Uint8Array>).getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await next(reader);
    if (done) break;
    size += value.byteLength;
    if (size <= limit) {
      chunks.push(value);
      continue;
    }
    chunks.length = 0;
    if (size > limit * DISCARD_FACTOR) {
      void reader.cancel().catch(() => {});
      break;
    }
  }
  if (size > limit) throw new SyncError(413, "bodyTooLarge", `The body is too large; the most is ${limit}. Send less at once.`);
  return joined(chunks, size);
}

/** @internal A body that somebody else has read: a mistake in how the handler is mounted. */
export class BodyRead extends Error {
  override readonly name = "BodyRead";
}

async function next(reader: ReadableStreamDefaultReader<Uint8Array>) {
  let stop = () => {};
  const silent = new Promise<never>((_, reject) => {
    stop = after(IDLE, () => reject(new SyncError(408, "timeout", "The body stopped arriving; send it again.")));
  });
  try {
    return await Promise.race([reader.read(), silent]);
  } catch (error) {
    void reader.cancel().catch(() => {});
    if (error instanceof SyncError || error instanceof BodyRead) throw error;
    throw new SyncError(400, "badRequest", "The body ended early or is not what its `Content-Encoding` says.");
  } finally {
    stop();
  }
}

function joined(chunks: Uint8Array[], size: number): Uint8Array {
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
