/**
 * datum-sync over Supabase: a remote on the app's own client, and its sign-ins.
 *
 * @packageDocumentation
 */
export { connectAuth, signedInUser, type AuthOptions } from "./auth.js";
export { supabaseRemote, type SupabaseRemoteOptions } from "./remote.js";
export type { TableOptions, TablesOptions } from "./options.js";
