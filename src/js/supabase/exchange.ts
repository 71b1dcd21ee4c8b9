import { DatumError } from "datum-sync";
import { abortable, type Builder } from "./client.js";

/** A timer of more ends at once. */
export const LONGEST_MS = 2 ** 31 - 1;

/** An answer as it came, whatever answered. */
export interface Answer {
  status: number;
  text: string;
  header(name: string): string | null;
}

/**
 * Sends a request of the app's client and returns the whole answer. postgrest-js tells neither headers nor a body that is no JSON, so
 * its `fetch`, which has the session and the app's own headers, is listened to. A version without that member gives the rest.
 *
 * The request ends with the signal, or after `silence` milliseconds in which nothing of an answer has come.
 */
export async function exchange(builder: Builder, silence: number, signal?: AbortSignal): Promise<Answer> {
  const end = new AbortController();
  const stop = () => end.abort(signal?.reason);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const isAlive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => end.abort(new DatumError("timeout", `Supabase was silent for ${silence / 1_000} s.`)), Math.min(silence, LONGEST_MS));
  };
  signal?.throwIfAborted();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await answered(builder, isAlive, end.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

async function answered(builder: Builder, isAlive: () => void, signal: AbortSignal): Promise<Answer> {
  let heard: Answer | undefined;
  let lost: unknown;
  const open = builder as Builder & { fetch?: typeof fetch };
  const send = open.fetch;
  if (typeof send === "function") {
    open.fetch = async (...given) => {
      try {
        isAlive();
        const response = await send(...given);
        const { status, headers } = response;
        heard = { status, text: await textOf(response, isAlive), header: (name) => headers.get(name) };
      } catch (error) {
        lost = error;
        throw error;
      }
      // postgrest-js has nothing left to read, and nothing to repeat.
      return new Response(null, { status: 204 });
    };
  }
  builder.abortSignal(signal);
  builder.retry?.(false);
  const { data, error, status } = await abortable(builder, signal);
  if (heard !== undefined) return heard;
  signal.throwIfAborted();
  if (lost !== undefined || status === 0) throw new DatumError("network", "The request to Supabase did not arrive, or its answer was lost.", { cause: lost ?? error });
  return { status, text: JSON.stringify(error ?? data) ?? "", header: () => null };
}

/** Returns the body of an answer. A slow one is none that has ended. */
async function textOf(response: Response, isAlive: () => void): Promise<string> {
  isAlive();
  // An app's own `fetch` may give less than a Response.
  if (typeof response.body?.getReader !== "function") return response.text();
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  for (let text = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    isAlive();
  }
}
