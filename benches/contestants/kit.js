// datum-sync over the SQL kit behind PostgREST, set up as docs/supabase.md says, with a token from elsewhere.
import { createClient } from "@supabase/supabase-js";
import { Datum } from "datum-sync";
import { supabaseRemote } from "datum-sync/supabase";

export async function open(name, { url, anonKey, token, user }) {
  const client = createClient(url, anonKey, { accessToken: () => Promise.resolve(token) });
  const datum = await Datum.initialize({
    name,
    entities: { tasks: {} },
    remote: supabaseRemote(client, { userId: () => user, compareEvery: false }),
    initialUserId: user,
    // Pages are closed with pending operations here, and must not send them.
    flushOnLeave: false,
  });
  const tasks = datum.manager("tasks");
  const synchronize = async (direction) => {
    const result = await datum.synchronize(user, { direction });
    if (!result.isSuccess) throw new Error(JSON.stringify(result));
  };
  return {
    pull: () => synchronize("pullOnly"),
    // The kit answers after three seconds, and leaves the rest for the next request.
    push: async () => {
      do await synchronize("pushOnly");
      while ((await datum.pendingCount(user)) > 0);
    },
    createMany: (list) => tasks.createMany(list),
    readAll: () => tasks.readAll(),
    pending: () => datum.pendingCount(user),
    close: () => datum.close(),
  };
}
