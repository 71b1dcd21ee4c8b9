import type { Json, PullPage, RemoteAdapter, SyncMetadata } from "datum-sync";
import type { Builder, Client } from "./client.js";
import { errorBody, reply } from "./failure.js";
import type { Account } from "./session.js";

/** The columns of the metadata table, but for `user_id`, by the fields of {@link SyncMetadata}. */
const COLUMNS: Record<string, string> = {
  lastSyncTime: "last_sync_time",
  lastSuccessfulSyncTime: "last_successful_sync_time",
  dataHash: "data_hash",
  deviceId: "device_id",
  devices: "devices",
  customMetadata: "custom_metadata",
  entityCounts: "entity_counts",
  syncStatus: "sync_status",
  conflictCount: "conflict_count",
  errorMessage: "error_message",
  retryCount: "retry_count",
  syncDuration: "sync_duration",
};
const MISSING = new Set(["42P01", "PGRST205"]);

/** The digests of what the user has in each table. */
export type Digests = NonNullable<PullPage["digests"]>;

/** The methods for metadata in a table with a row a user; none if there is no table. */
export function metadataIn(table: string | null, client: Client, account: Account, digests: (userId: string) => Promise<Digests>): Partial<RemoteAdapter> {
  if (table === null) return {};
  const ask = async (userId: string, build: () => Builder): Promise<Record<string, Json>[]> => {
    const answer = await account.ask(userId, build);
    const code = answer.status >= 400 ? errorBody(answer)?.code : undefined;
    if (typeof code === "string" && MISSING.has(code)) return [];
    return (answer.text === "" ? [] : reply(answer, table)) as Record<string, Json>[];
  };
  return {
    async getSyncMetadata(userId, purpose) {
      const [row] = await ask(userId, () => client.from(table).select("*").eq("user_id", userId) as unknown as Builder);
      if (row === undefined) return null;
      const record = read(userId, row);
      // Comparing reads two columns of every row.
      return purpose === "compare" ? { ...record, digests: await digests(userId) } : record;
    },
    async putSyncMetadata(metadata) {
      const values = metadata as unknown as Record<string, Json | undefined>;
      const row = Object.fromEntries(Object.entries(COLUMNS).map(([field, column]) => [column, values[field] ?? null]));
      await ask(metadata.userId, () => client.from(table).upsert({ ...row, user_id: metadata.userId } as never, { onConflict: "user_id" }).select("user_id") as unknown as Builder);
    },
    async clearSyncMetadata(userId) {
      await ask(userId, () => client.from(table).delete().eq("user_id", userId).select("user_id") as unknown as Builder);
    },
  };
}

function read(userId: string, row: Record<string, Json>): SyncMetadata {
  const fields: Record<string, Json> = {};
  for (const [field, column] of Object.entries(COLUMNS)) {
    let value = row[column];
    if (value === null || value === undefined) continue;
    // Tables that were made for other clients have JSON as text.
    if (typeof value === "string" && /^[[{]/.test(value)) value = JSON.parse(value) as Json;
    if (field.endsWith("Time") && typeof value === "string" && !Number.isNaN(Date.parse(value))) value = new Date(value).toISOString();
    fields[field] = value;
  }
  const metadata = { devices: {}, entityCounts: {}, syncStatus: "neverSynced", retryCount: 0, conflictCount: 0, ...fields } as unknown as SyncMetadata;
  const isNeverSynced = metadata.lastSuccessfulSyncTime === undefined;
  return { ...metadata, userId, deviceCount: Object.keys(metadata.devices).length, hasConflicts: metadata.conflictCount > 0, isNeverSynced };
}
