/**
 * A sync server in an app's own backend: a handler for requests of the protocol, and stores for its rows.
 *
 * @packageDocumentation
 */
export { createSyncHandler, type SyncHandler, type SyncHandlerOptions, type SyncUser } from "./handler.js";
export { JournalError, memoryStore, type MemoryStoreOptions, type SyncJournal } from "./memory.js";
export { toNodeHandler, type NodeRequest, type NodeResponse } from "./node.js";
export { postgresStore, type PostgresClient, type PostgresStoreOptions } from "./postgres.js";
export { type RateLimit } from "./rate.js";
export { type RulesOptions, type RulesStore } from "./rules-store.js";
export { sqliteStore, type SqliteDatabase } from "./sqlite.js";
export { SyncError, type SyncFailure, type SyncReply, type SyncRequest, type SyncStore } from "./store.js";
