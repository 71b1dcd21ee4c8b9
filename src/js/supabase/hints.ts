import type { Client } from "./client.js";

/** Which inserts of a table mean that there may be something to pull. */
export interface HintSource {
  schema: string;
  table: string;
  event: "INSERT" | "*";
  filter?: string;
}

/** Makes the names of channels differ: supabase-js gives the same channel for the same name, also one that is being left. */
let count = 0;

/**
 * Calls `hint` for rows that appear in a table, over the app's own realtime socket. Nothing is delivered while a channel is not joined,
 * so each join is a hint too, and what realtime says once it follows the table, which is later.
 */
export function listen(client: Client, userId: string, source: HintSource, hint: () => void): () => void {
  const channel = client.channel(`datum-${userId}-${++count}`);
  channel
    .on("postgres_changes" as never, source as never, hint)
    .on("system" as never, {} as never, (said: { status?: string }) => {
      if (said?.status === "ok") hint();
    })
    .subscribe((status) => {
      if (status === "SUBSCRIBED") hint();
      // Perhaps the token has expired while nobody renewed it: the next join has the session's.
      else if (status === "CHANNEL_ERROR") void Promise.resolve(client.realtime.setAuth()).catch(() => {});
    });
  return () => void client.removeChannel(channel);
}
