// What the pages sync with: a Supabase project, whose publishable key is in the address of the page. It takes the place of `app/remote.ts`.
import { createClient } from "@supabase/supabase-js";
import type { RemoteAdapter } from "datum-sync";
import { supabaseRemote } from "datum-sync/supabase";

export async function remoteOf(url: string, userId: string): Promise<RemoteAdapter> {
  const key = new URLSearchParams(location.search).get("key") ?? "";
  const supabase = createClient(url, key, { auth: { storageKey: `session-${userId}` } });
  const { data } = await supabase.auth.getSession();
  if (data.session === null) {
    const { error } = await supabase.auth.signUp({ email: `${userId}@example.test`, password: "correct horse" });
    if (error) throw error;
  }
  return supabaseRemote(supabase);
}
