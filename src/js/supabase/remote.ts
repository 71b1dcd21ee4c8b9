import type { SupabaseClient } from "@supabase/supabase-js";
import type { RemoteAdapter } from "datum-sync";
import { functionsRemote } from "./functions.js";
import { Account } from "./session.js";
import { tablesRemote, type TablesOptions } from "./tables.js";

/** Options of {@link supabaseRemote}. */
export interface SupabaseRemoteOptions {
  /**
   * Syncs plain tables through PostgREST, without functions of the SQL kit, for projects that may not install any. It has limits: see
   * `docs/supabase.md`.
   */
  tables?: TablesOptions;
  /**
   * Returns the id of the user whose token the client sends. Only for clients that were made with `accessToken`, which have no session
   * of their own.
   */
  userId?: () => string | null | undefined | Promise<string | null | undefined>;
}

/**
 * The remote of {@link DatumConfig.remote} on the app's own Supabase client: its session, headers, `fetch` and realtime socket. It needs
 * the SQL kit in the project, or `tables`.
 *
 * Requests are sent as the signed-in user, who must be the one whose data it is (`userMismatch`). If the token is refused, the client
 * renews it once; then the cycle ends with `unauthorized` and operations stay queued. With `realtime: true` in the config, hints
 * of other devices come over the client's socket.
 *
 * @example
 * const supabase = createClient(url, key);
 * const datum = await Datum.initialize({
 *   entities: { tasks: {} },
 *   remote: supabaseRemote(supabase),
 *   initialUserId: () => signedInUser(supabase),
 *   realtime: true,
 *   autoStartSync: true,
 * });
 * connectAuth(datum, supabase);
 */
export function supabaseRemote(client: SupabaseClient<any, any, any>, options: SupabaseRemoteOptions = {}): RemoteAdapter {
  const account = new Account(client, options.userId);
  return options.tables === undefined ? functionsRemote(client, account) : tablesRemote(client, account, options.tables);
}
