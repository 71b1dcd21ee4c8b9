import type { Json, PullPage, PullRequest, PushReply, PushRequest, PushedOperation, RemoteAdapter, SyncMetadata } from "datum-sync";

/** What a request asks for. */
export type RequestKind = "pull" | "push" | "getSyncMetadata" | "putSyncMetadata" | "clearSyncMetadata" | "health" | "subscribe";

/** A request that has arrived. */
export interface RemoteRequest {
  readonly kind: RequestKind;
  readonly userId: string;
  /** The argument of `pull`, `push` or `putSyncMetadata`. */
  readonly request?: unknown;
}

/**
 * How a request fails.
 *
 * - `"offline"`: it does not arrive.
 * - `"lostReply"`: it is carried out, and its reply is lost.
 * - `"silent"`: nothing answers, until the engine gives up.
 * - `"garbage"`: the answer is a page of HTML, as of a captive portal.
 * - a status: what a server would answer, as in the table of `docs/adapters.md`, such as `{ status: 503, retryAfterMs: 2000 }`.
 * - an error: thrown as it is.
 * - a function: returns one of these for the requests that it wants to fail, else undefined.
 */
export type Fault =
  | "offline"
  | "lostReply"
  | "silent"
  | "garbage"
  | { status: number; retryAfterMs?: number; message?: string }
  | Error
  | ((request: RemoteRequest) => Fault | null | undefined);

/** Which requests a fault concerns. */
export interface FaultOptions {
  /** Only these. Default: all. */
  on?: RequestKind | readonly RequestKind[];
  /** How many of them; after that they succeed again. Default: all of them, until the fault is ended. */
  times?: number;
  /** Only those of this user. */
  userId?: string;
}

/** A row as the remote has it. */
export interface RemoteRow {
  id: string;
  version: number;
  [field: string]: Json;
}

/** The verdict of {@link MemoryRemoteOptions.decide}. */
export type Decision =
  | { status: "rejected"; code: string; message: string; row?: { [field: string]: Json } | null }
  | { status: "retry"; retryAfterMs?: number; code?: string };

/** Options of a {@link MemoryRemote}. They can be changed at any time. */
export interface MemoryRemoteOptions {
  /** How long each answer takes, in milliseconds. Default 0. */
  latency?: number;
  /** A push with more operations is answered 413. Default: no limit. */
  maxOperations?: number;
  /** A push with more characters of JSON is answered 413. Default: no limit. */
  maxBytes?: number;
  /** Refuses operations. It is asked for each one; undefined lets it pass. */
  decide?: ((operation: PushedOperation, userId: string) => Decision | null | undefined | void) | undefined;
  /** Which server this is. Default `"memory"`: instances take every `MemoryRemote` for the same one. With another id it is another server, which does nothing with a push that names the first. */
  serverId?: string;
}

/** A copy of all data of a remote. */
export interface RemoteBackup {
  readonly size: number;
}

/**
 * A backend in memory, for tests: the `remote` of any number of instances, which are its devices. It keeps the rules of the
 * sync protocol: versions, conflicts, operations that arrive twice, deletions, epochs, digests. Every user has their own rows.
 *
 * @example
 * const remote = new MemoryRemote();
 * const datum = await Datum.initialize({ entities: { tasks: {} }, remote, initialUserId: "ada" });
 * await datum.manager("tasks").create({ title: "Buy milk" });
 *
 * remote.fail("offline", { times: 3 });
 * await datum.synchronize("ada").catch((error) => expect(error.code).toBe("network"));
 * await datum.synchronize("ada");
 * expect(remote.all("ada", "tasks")).toMatchObject([{ title: "Buy milk" }]);
 */
export class MemoryRemote implements RemoteAdapter {
  constructor(options?: MemoryRemoteOptions);

  /** {@link MemoryRemoteOptions.latency}. */
  latency: number;
  /** {@link MemoryRemoteOptions.maxOperations}. */
  maxOperations: number;
  /** {@link MemoryRemoteOptions.maxBytes}. */
  maxBytes: number;
  /** {@link MemoryRemoteOptions.decide}. */
  decide: MemoryRemoteOptions["decide"];
  /** {@link MemoryRemoteOptions.serverId}. */
  serverId: string;
  /** Every request that has arrived, the oldest first, also those that failed. A test may empty it. */
  readonly requests: RemoteRequest[];

  /** Writes a row, as another device would: creates it, or replaces its fields. */
  put(userId: string, entity: string, row: { id: string; [field: string]: unknown }): RemoteRow;
  /** Changes some fields of a row, as another device would. Throws a `RangeError` if there is no such row. */
  patch(userId: string, entity: string, id: string, changes: { [field: string]: unknown }): RemoteRow;
  /** Deletes a row, as another device would. Returns false if there is none. */
  delete(userId: string, entity: string, id: string): boolean;

  /** Returns a row; null if there is none. */
  get(userId: string, entity: string, id: string): RemoteRow | null;
  /** Returns the rows of a type, in the order of their last write. */
  all(userId: string, entity: string): RemoteRow[];

  /**
   * Makes requests fail from now on. Returns a function that ends this. Of several faults, a request meets the first that concerns it.
   *
   * The engine tries some failures again within a cycle: give it `retry: { maxAttempts: 1 }` if a test should see each.
   */
  fail(fault: Fault, options?: FaultOptions): () => void;
  /** Ends every fault. */
  heal(): void;
  /** Forgets every cursor: the next pull of each device starts from the beginning. */
  expireCursors(): void;
  /** Returns a copy of all data. */
  backup(): RemoteBackup;
  /** Puts everything back to a copy, as an operator restores a database: the remote has another epoch afterwards. */
  restore(backup: RemoteBackup): void;

  pull(request: PullRequest, signal?: AbortSignal): Promise<PullPage>;
  push(request: PushRequest, signal?: AbortSignal): Promise<PushReply>;
  getSyncMetadata(userId: string): Promise<(SyncMetadata & { digests: NonNullable<PullPage["digests"]> }) | null>;
  putSyncMetadata(metadata: SyncMetadata): Promise<void>;
  clearSyncMetadata(userId: string): Promise<void>;
  subscribe(userId: string, hint: () => void): () => void;
  health(): Promise<boolean>;
}
