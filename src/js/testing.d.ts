import type { Json, PullPage, PullRequest, PushReply, PushRequest, PushedOperation, RemoteAdapter, SpaceMember, SpaceRole, SyncMetadata } from "datum-sync";

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

/** A row as the remote has it. One of a shared space has a `spaceId`. */
export interface RemoteRow {
  id: string;
  version: number;
  [field: string]: Json;
}

/** A shared space of a user, as the remote has it. */
export interface RemoteSpace {
  spaceId: string;
  name: string;
  /** What the user may do in it. */
  role: SpaceRole;
}

/** Which space a row is in. */
export interface InSpace {
  /** A shared space; null for the user's own. Left out, the row is looked for in the user's own, then in the shared ones in the order of joining. */
  spaceId?: string | null;
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
  /** How many members a space may have; more are `tooManyMembers`. Default 10 000. */
  maxMembers?: number;
  /** How many shared spaces a user may be in; more are `tooManySpaces`. Default 2 000. */
  maxSpaces?: number;
}

/** A copy of all data of a remote. */
export interface RemoteBackup {
  /** How many spaces there are, with the users' own. */
  readonly size: number;
}

/**
 * A backend in memory, for tests: the `remote` of any number of instances, which are its devices. It keeps the rules of the
 * sync protocol: versions, conflicts, operations that arrive twice, deletions, epochs, digests. Every user has their own rows,
 * and those of the shared spaces that they are members of.
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
  /** {@link MemoryRemoteOptions.maxMembers}. */
  maxMembers: number;
  /** {@link MemoryRemoteOptions.maxSpaces}. */
  maxSpaces: number;
  /** Every request that has arrived, the oldest first, also those that failed. A test may empty it. */
  readonly requests: RemoteRequest[];

  /**
   * Writes a row, as another device would: creates it, or replaces its fields. A new row goes to the user's own space if neither
   * the options nor the row name another.
   *
   * What the rules refuse, here and below, is a `RangeError` with the `code` that a device would get, such as `"readOnly"`.
   */
  put(userId: string, entity: string, row: { id: string; [field: string]: unknown }, options?: InSpace): RemoteRow;
  /** Changes some fields of a row, as another device would. Throws a `RangeError` if there is no such row. */
  patch(userId: string, entity: string, id: string, changes: { [field: string]: unknown }, options?: InSpace): RemoteRow;
  /** Deletes a row, as another device would. Returns false if there is none. */
  delete(userId: string, entity: string, id: string, options?: InSpace): boolean;
  /** Moves a row to another space, null for the user's own, as another device would. */
  move(userId: string, entity: string, id: string, to: string | null, options?: InSpace): RemoteRow;

  /** Makes a shared space, as a device of its owner would. Returns its id, which a test may choose: a UUID in lower case. */
  createSpace(userId: string, name: string, options?: { spaceId?: string }): string;
  /** Ends a shared space, as a device of the user would. Returns false if the user is in none. */
  deleteSpace(userId: string, spaceId: string): boolean;
  /**
   * Gives a member of a space a role, as a device of `userId` would; a user who is no member becomes one, and null removes one.
   *
   * @example
   * const home = remote.createSpace("ada", "Home");
   * remote.setRole("ada", home, "ben", "writer");
   */
  setRole(userId: string, spaceId: string, member: string, role: SpaceRole | null): void;

  /** Returns a row that the user may read; null if there is none. */
  get(userId: string, entity: string, id: string, options?: InSpace): RemoteRow | null;
  /** Returns the rows of a type, of one space or of all that the user may read; those of a space in the order of their last write. */
  all(userId: string, entity: string, options?: InSpace): RemoteRow[];
  /** Returns the shared spaces of a user, in the order of joining. */
  spaces(userId: string): RemoteSpace[];
  /** Returns the members of a shared space, in the order of their ids. */
  members(spaceId: string): SpaceMember[];

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
  /** Forgets every deletion: a device that was away meanwhile pulls from the beginning, in shared spaces only those concerned. */
  forgetTombstones(): void;
  /** Forgets which operations were applied: one that is sent again is decided by its base. */
  forgetOperations(): void;
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
