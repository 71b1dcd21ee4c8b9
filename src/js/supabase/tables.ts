import type { RemoteAdapter } from "datum-sync";
import type { Client } from "./client.js";
import { Mapping } from "./columns.js";
import { listen } from "./hints.js";
import type { TablesOptions } from "./options.js";
import type { Account } from "./session.js";
import { metadataIn } from "./tables-metadata.js";
import { Puller } from "./tables-pull.js";
import { Pusher } from "./tables-push.js";

/** The adapter over plain tables. */
export function tablesRemote(client: Client, account: Account, options: TablesOptions): RemoteAdapter {
  const mappings = new Map(Object.entries(options.entities).map(([entity, table]) => [entity, new Mapping(entity, typeof table === "string" ? { table } : table)]));
  const puller = new Puller(client, account, mappings, options.overlap ?? 60_000, options.reconcile ?? 3_600_000);
  const pusher = new Pusher(client, account, mappings);
  const { schemaName: schema = "public" } = ((client as unknown as { rest?: { schemaName?: string } }).rest ?? {});
  const address = (client as unknown as { supabaseUrl?: unknown }).supabaseUrl;
  return {
    ...metadataIn(options.metadata === undefined ? "sync_metadata" : options.metadata, client, account, (userId) => puller.digests(userId, mappings.keys())),
    serverId: options.serverId ?? (typeof address === "string" ? new URL(address).origin : "supabase"),
    pull: (request, signal) => puller.pull(request, signal),
    push: (request, signal) => pusher.push(request, signal),
    subscribe(userId, hint) {
      const ends = [...mappings.values()].map(({ table, userId: owner }) =>
        listen(client, userId, { event: "*", schema, table, ...(owner === null ? {} : { filter: `${owner}=eq.${userId}` }) }, hint),
      );
      return () => ends.forEach((end) => end());
    },
  };
}
