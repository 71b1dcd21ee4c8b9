import { DatumError } from "datum-sync";
import { abortable, type Builder } from "./client.js";

/** An answer as it came, whatever answered. */
export interface Answer {
  status: number;
  text: string;
  header(name: string): string | null;
}

/**
 * Sends a request of the app's client and returns the whole answer. postgrest-js tells neither headers nor a body that is no JSON, so
 * its `fetch`, which has the session and the app's own headers, is listened to. A version without that member gives the rest.
 */
export async function exchange(builder: Builder, signal?: AbortSignal): Promise<Answer> {
  let heard: Answer | undefined;
  let lost: unknown;
  const open = builder as Builder & { fetch?: typeof fetch };
  const send = open.fetch;
  if (typeof send === "function") {
    open.fetch = async (...given) => {
      try {
        const response = await send(...given);
        const { status, headers } = response;
        heard = { status, text: await response.text(), header: (name) => headers.get(name) };
      } catch (error) {
        lost = error;
        throw error;
      }
      // postgrest-js has nothing left to read, and nothing to repeat.
      return new Response(null, { status: 204 });
    };
  }
  if (signal !== undefined) builder.abortSignal(signal);
  builder.retry?.(false);
  const { data, error, status } = await abortable(builder, signal);
  if (heard !== undefined) return heard;
  signal?.throwIfAborted();
  if (lost !== undefined || status === 0) throw new DatumError("network", "The request to Supabase did not arrive, or its answer was lost.", { cause: lost ?? error });
  return { status, text: JSON.stringify(error ?? data) ?? "", header: () => null };
}
