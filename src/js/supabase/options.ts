/** How an entity type is stored in a table of its own. A string is the table's name. */
export interface TableOptions {
  /** Default: the name of the entity type. */
  table?: string;
  /** Whether fields are columns in snake case, such as `dueDate` and `due_date`. Default true; false: under the same names. */
  snakeCase?: boolean;
  /** The table's names for what the engine needs. `userId: null`: row-level security alone says whose a row is. `isDeleted: null`: rows are deleted for good. */
  columns?: { id?: string; userId?: string | null; version?: string; createdAt?: string; modifiedAt?: string; isDeleted?: string | null };
}

/** Plain tables in place of the SQL kit. */
export interface TablesOptions {
  /** The table of each entity type that syncs. */
  entities: { [entity: string]: TableOptions | string };
  /** The table of sync metadata, a row a user; null for none. A table that is not there keeps none. Default `"sync_metadata"`. */
  metadata?: string | null;
  /** How far back each pull looks for rows that other writers committed late or under another clock, in milliseconds. Default 60,000. */
  overlap?: number;
  /**
   * How often ids and versions of all rows are compared, in milliseconds. That finds what a pull cannot: rows that were deleted for good,
   * hidden, or written under a clock that is wrong by more than `overlap`. Default 3,600,000.
   */
  reconcile?: number;
  /** Names the project: see `serverId` of `RemoteAdapter`. Default: the project's address. */
  serverId?: string;
}
