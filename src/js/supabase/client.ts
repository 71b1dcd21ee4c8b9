import type { SupabaseClient } from "@supabase/supabase-js";

/** A client of any database type. */
export type Client = SupabaseClient<any, any, any>;

/** What the package uses of a request that postgrest-js builds. */
export interface Builder extends PromiseLike<{ data: unknown; error: unknown; status: number }> {
  abortSignal(signal: AbortSignal): unknown;
  /** Since 2.100: false keeps postgrest-js from repeating a request by itself. */
  retry?(enabled: boolean): unknown;
}

/** A promise that also settles when the signal aborts: supabase-js looks for a session for up to half a minute while offline. */
export async function abortable<T>(promise: PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop!);
  }
}
