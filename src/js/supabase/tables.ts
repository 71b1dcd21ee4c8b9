import { DatumError, type RemoteAdapter } from "datum-sync";
import type { Client } from "./client.js";
import type { Account } from "./session.js";

/** Options of {@link SupabaseRemoteOptions.tables}. */
export interface TableOptions {
  /** The table of each entity type. */
  names: Record<string, string>;
}

export function tablesRemote(_client: Client, _account: Account, _options: TableOptions): RemoteAdapter {
  throw new DatumError("invalidConfig", "`tables` is not there yet.");
}
