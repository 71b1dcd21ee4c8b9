import type { SupabaseClient } from "@supabase/supabase-js";
import type { RemoteAdapter } from "datum-sync";
import { checkMethod, checkOptions, checkTables } from "./checks.js";
import { functionsRemote } from "./functions.js";
import type { TablesOptions } from "./options.js";
import { Account } from "./session.js";
import { tablesRemote } from "./tables.js";

/** Options of {@link supabaseRemote}. */
export interface SupabaseRemoteOptions {
  /**
   * Syncs plain tables through PostgREST, without functions of the SQL kit, for projects that may not install any. It has limits: see
   * `docs/supabase.md`.
   */
  tables?: TablesOptions;
  /**
   * How often a pull also compares the contents of both sides, in milliseconds: the kit walks all rows for it, and a difference is repaired by
   * one full pull. Each full pull ends with it. Default 86,400,000, a day; false: never.
   */
  compareEvery?: number | false;
  /**
   * How long Supabase may be silent within one request, in milliseconds: then the request ends as `timeout`, and fewer rows or operations are tried.
   * Default 30,000.
   */
  timeout?: number;
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
  checkMethod(client, "rpc", "supabaseRemote needs the client that createClient of supabase-js has returned.");
  checkOptions("supabaseRemote", options, { tables: ["object"], compareEvery: ["ms", "false"], timeout: ["positive"], userId: ["function"] });
  if (options.tables !== undefined) checkTables(options.tables);
  const account = new Account(client, options.userId, options.timeout ?? 30_000);
  return options.tables === undefined ? functionsRemote(client, account, options.compareEvery ?? 86_400_000) : tablesRemote(client, account, options.tables);
}
