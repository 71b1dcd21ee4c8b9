/// <reference lib="esnext.disposable" />
/**
 * datum-sync: offline-first sync for web apps.
 *
 * Times are ISO 8601 UTC strings with milliseconds, such as `"2026-01-31T12:00:00.000Z"`. Durations are
 * milliseconds, sizes are bytes. Every promise rejects with a {@link DatumError} and with nothing else.
 * What an app receives is frozen: change a copy, and pass it to `update`.
 *
 * @packageDocumentation
 */

/** What JSON can hold. Entities are JSON: no `Date`, `Map`, `BigInt`, functions, `NaN`. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * The fields that the engine owns. Everything else in an entity is the app's own JSON.
 *
 * @example
 * interface Task extends Entity {
 *   title: string;
 *   done: boolean;
 *   due?: string;
 * }
 * const tasks = datum.manager<Task>("tasks");
 */
export interface Entity {
  /** A UUID version 7 unless the draft brings one: well-formed Unicode, 1 to 512 bytes, no control characters. */
  id: string;
  /** The user whose database this is. */
  userId: string;
  /** When the entity was made. */
  createdAt: string;
  /** When it was last written. For display and for `lastWriteWins` only: it never orders a pull. */
  modifiedAt: string;
  /** Assigned by the server; 0 until the server has the entity. */
  version: number;
  /** A tombstone: only seen with `includeDeleted`. */
  isDeleted: boolean;
}

/** An entity whose own fields are not declared: what `manager("tasks")` without a type gives. */
export interface AnyEntity extends Entity {
  [field: string]: Json | undefined;
}

/** What `create` takes: the app's fields, and, where the app wants to choose them, the engine's. */
export type Draft<T extends Entity> = Omit<T, keyof Entity> & Partial<Entity>;

/** The fields that `patch` may change. */
export type Changes<T extends Entity> = Partial<Omit<T, keyof Entity>>;

/** What {@link Datum.initialize} takes. An unknown key is refused with `invalidConfig`. */
export interface DatumConfig {
  /** Prefix of the IndexedDB databases, for two apps on one origin. Default `"datum"`. */
  name?: string;
  /** The entity types, at least one. */
  entities: Record<string, EntityConfig<any>>;
  /** The app's backend: the sync protocol over HTTP, or the app's own adapter. */
  remote: HttpRemote | RemoteAdapter;
  /**
   * Whose data `manager` calls work on, where they name no user. A function is called once, by `initialize`,
   * which rejects with `invalidConfig` where it throws, and with `timeout` where it has not answered after 10
   * seconds. Null or undefined is nobody: the calls reject with `noUser` until {@link Datum.switchUser}.
   */
  initialUserId?: string | (() => string | null | undefined | Promise<string | null | undefined>);
  /**
   * Whether a sign-in starts automatic cycles, as {@link Datum.startAutoSync} does. Default false. Of all tabs of an app,
   * one runs them, and only while somebody can see it: hidden tabs send nothing.
   */
  autoStartSync?: boolean;
  /** How far automatic cycles are apart, in milliseconds, 1,000 to 86,400,000; each is spread by up to a tenth. Default 900,000. */
  autoSyncInterval?: number;
  /**
   * While automatic cycles are started: how long after a write it is pushed, in milliseconds, up to 3,600,000. Writes in
   * quick succession are pushed together, at most five times as late. Default 1,000; false: at the next interval.
   */
  syncAfterWrite?: number | false;
  /** While automatic cycles are started: sync when the network comes back. Default true. */
  syncOnReconnect?: boolean;
  /** While automatic cycles are started: sync when the page becomes visible and the last attempt is older than 30 s, or writes wait. Default true. */
  syncOnVisible?: boolean;
  /**
   * The first cycle after a sign-in, which pulls, then pushes. It runs where `autoStartSync` is on, or where this is given.
   * No read waits for it. A failure that may mend itself is tried again.
   */
  coldStart?: ColdStart;
  /** How long a cycle may take before it is stopped, in milliseconds. Default 120,000. */
  syncTimeout?: number;
  /**
   * How long a {@link ConflictResolver} function may take for one conflict, in milliseconds, 1 to 86,400,000; never more than half
   * of the cycle's timeout. Default 30,000. One that has to ask somebody answers `{ take: "later" }`.
   */
  resolverTimeout?: number;
  /** Default `"pushThenPull"`. */
  defaultSyncDirection?: SyncDirection;
  /** What `synchronize` uses where its own options say nothing. */
  defaultSyncOptions?: Omit<SyncOptions<any>, "signal" | "conflictResolver"> & { conflictResolver?: BuiltinResolver };
  /** What decides conflicts where the entity type has no resolver of its own. Default `"merge"`. */
  defaultConflictResolver?: ConflictResolver<any>;
  /**
   * How hard IndexedDB is asked to write. `local` is for the app's own writes (default `"strict"`: a
   * resolved promise survives a power cut), `pulled` for what came from the server (default `"relaxed"`).
   */
  durability?: { local?: "strict" | "relaxed"; pulled?: "strict" | "relaxed" };
  /**
   * Who asks the browser never to evict what is stored (`navigator.storage.persist()`; Firefox asks the user): with `true` the
   * engine, after the first write or the first sync that brings data, never at page load; with `"ask"`, the default, the app, by
   * {@link Datum.requestPersistence}; with `false` nobody.
   */
  persist?: boolean | "ask";
  /** How many bytes of entities are kept in memory. Default 67,108,864 (64 MiB). */
  memoryBudget?: number;
  /**
   * How a request that may succeed later is tried again within a cycle, and an automatic cycle after it failed (for as long
   * as it fails, at least 1,000 ms later each time). `maxAttempts` counts the first try
   * (default 3); `initial` and `max` are delays in milliseconds (500 and 60,000), each `factor` (2) times the last, and
   * spread by `jitter` (`"full"`). What the remote asks for (`Retry-After`) is never undercut.
   */
  retry?: { maxAttempts?: number; initial?: number; factor?: number; max?: number; jitter?: "full" | "none" };
  /**
   * What `synchronize` does while a cycle of that user runs: `"sequential"` (default) runs after it,
   * `"skipConcurrent"` resolves with `wasSkipped`, `"joinInFlight"` gets its result. Cycles in other tabs count; one whose
   * tab has not said a word for 15 seconds is not waited for any more, and ends with `wasCancelled` if its tab wakes up.
   */
  syncRequestStrategy?: "sequential" | "skipConcurrent" | "joinInFlight";
  /** What {@link Datum.switchUser} does where it names no strategy. Default `"syncThenSwitch"`. */
  defaultUserSwitchStrategy?: UserSwitchStrategy;
  /** The app's schema version, which goes with every request. Default 0. */
  schemaVersion?: number;
  /** Users whose `synchronize` is always skipped. */
  excludedSyncUserIds?: string[];
  /**
   * Listens for the remote's word that there is something to pull, and then syncs at once rather than at the next interval.
   * For the current user, while auto sync runs, in one visible tab. Default false.
   *
   * Over HTTP it is the protocol's `/stream`. Where a proxy holds that back, or the server has none, pulls that wait
   * take its place; a server that knows neither is left alone. An adapter hints by its `subscribe`.
   */
  realtime?: boolean;
  /**
   * When the page is hidden or left, sends what waits for the current user without waiting for the answer: at most 60 KiB, with the headers
   * of the last request, unless sync is paused or the user excluded. The operations stay queued and are sent again; the
   * server applies them once. Default true. Only over HTTP: an adapter's requests end with its page.
   */
  flushOnLeave?: boolean;
  /**
   * When the page is hidden or the network goes while operations wait, asks the browser to wake the service worker once
   * there is a network (Background Sync, tag `datum-sync:` and `name`). Needs a service worker that calls `handleBackgroundSync` of
   * `datum-sync/service-worker`; does nothing in browsers without it, which are all but those made of Chromium. Default false.
   */
  backgroundSync?: boolean;
  /** Told of every event and every write. What one throws goes to the console and nowhere else. */
  observers?: Observer[];
  /** Takes the log. Default: silence, or the console where `logLevel` is given. */
  logger?: Logger;
  /** What is logged: this level and those above it. Ids of users and entities only from `"debug"` on. Default `"info"`. */
  logLevel?: LogLevel;
}

/** The first cycle after a sign-in. */
export interface ColdStart {
  /**
   * - `"adaptive"` (default): none if the last success, which is remembered over reloads, is younger than `threshold`.
   * - `"incremental"`: always one, from the cursor on.
   * - `"fullSync"`: always one, which ignores the cursor.
   * - `"disabled"`: none.
   */
  strategy?: "adaptive" | "incremental" | "fullSync" | "disabled";
  /** Milliseconds. Default 3,600,000. */
  threshold?: number;
  /** How long after the sign-in it begins, in milliseconds. Default 500. */
  delay?: number;
  /** How long it may take, in milliseconds; where it is tried again, `syncTimeout` counts. Default 15,000. */
  maxDuration?: number;
}

/** How one entity type is kept. */
export interface EntityConfig<T extends Entity = AnyEntity> {
  /** What decides conflicts of this type. */
  conflictResolver?: ConflictResolver<T>;
  /**
   * For the resolver `"merge"`: what becomes of a field that both sides changed, where that is not the later write's. A path
   * of names with dots means a field within, such as `"address.city"`. The fields of {@link Entity} and those of `localOnly` are refused.
   *
   * @example
   * const tasks: EntityConfig<Task> = { mergeFields: { votes: "sum", tags: "union", due: "min", notes: "text" } };
   */
  mergeFields?: { [F in OwnField<T> | `${OwnField<T>}.${string}`]?: FieldPolicy };
  /** What `delete` leaves here. Default `"hardDelete"`: only the tombstone. `"softDelete"`: the body stays readable with `includeDeleted`. */
  deleteBehavior?: "softDelete" | "hardDelete";
  /**
   * Throws to refuse a write. It sees the whole entity as it will be, frozen: the draft of a `create`, the
   * entity of an `update`, the current one with the changes of a `patch`. The write rejects with
   * `invalidEntity`, whose `cause` is what was thrown, and nothing is written; of a `createMany`, none.
   */
  validate?: Middleware<T>["validate"];
  /** Makes of an entity what is stored and synced, after `validate`. See {@link Middleware}. */
  beforeSave?: Middleware<T>["beforeSave"];
  /** Makes of what is stored what the app reads. See {@link Middleware}. */
  afterRead?: Middleware<T>["afterRead"];
  /** More of the same: writes go through the functions above and then down this list, reads come back up. */
  middleware?: Middleware<T>[];
  /**
   * Top-level fields that never leave the device: they are in no request, and nothing that is pulled,
   * merged or refused takes them away. They go with the entity, and with `clearUserData`. A write that
   * changes nothing else queues no operation and leaves `modifiedAt` alone. Where another client has given
   * the server a field of that name, a value of this device's own is what is read. Resolvers do not see
   * them and cannot set them.
   *
   * The list may change: a field that is new in it stays on the server as it is and is sent no more (an
   * `update` that takes another field away removes it there); one that has left it is sent with the
   * entity's next write.
   */
  localOnly?: string[];
  /**
   * How entities of this type hang on others. A child whose foreign key names an entity that waits to be created is sent behind it,
   * whatever was written first, and the delete of a parent behind what is still to be sent of its children. This version
   * knows `belongsTo` and refuses other kinds with `invalidConfig`.
   */
  relations?: Record<string, Relation>;
  /**
   * What the entity shows once the server has refused a write of it for good. Default `"revert"`: the server's row again, or nothing where it has none; what was
   * refused is in {@link Datum.deadLetters}. `"keepLocal"`: the local write stays visible, over reloads and newer rows, until
   * its dead letter (`kept`) is retried or discarded: a refused patch with the fields that it changed, anything else whole. The next write of the
   * entity takes it along and the dead letter's place.
   */
  onRejected?: "revert" | "keepLocal";
}

/** The parent of an entity: `foreignKey` is the top-level field that holds its id, a string. */
export interface Relation {
  belongsTo: string;
  foreignKey: string;
}

/** The names of the fields that are the app's own. */
export type OwnField<T extends Entity> = Exclude<keyof T & string, keyof Entity>;

/**
 * What becomes of a field that both sides changed. One that only one side changed is that side's, whatever the policy.
 *
 * - `"local"`, `"remote"`: this device's, or what the server has.
 * - `"lastWrite"`: the later write's, as without a policy; an object as a whole, where it would else be merged by field.
 * - `"min"`, `"max"`: of two numbers, or of two strings: the earlier or later time, where they are times such as `createdAt`.
 * - `"sum"`: for counters and amounts: what either side has added to the base, or taken from it, is added. Exact for whole
 *   numbers and for up to nine decimal places, and each change counts once, whatever answers are lost. For that, an entity
 *   with a change is pushed, in any direction, before a pulled row of it is taken, and a second change waits for the first.
 * - `"union"`: for arrays as sets: what either side has added, without what either has taken away. Objects with an `id` are known
 *   again by it, and merged by field; taken away here and changed there, one stays. The base's order, then what is new.
 * - `"text"`: for strings: the edits of both, by line and by word. Where they overlap, the later write's; lines that both
 *   have added at one place are both kept.
 *
 * Values that do not fit the policy, such as text for `"sum"`, go to the later write; {@link Datum.explainMerge} says so.
 */
export type FieldPolicy = "local" | "remote" | "lastWrite" | "min" | "max" | "sum" | "union" | "text";

/**
 * Functions around the entities of a type: what `beforeSave` makes, `afterRead` undoes. Both are
 * synchronous, get an entity that they may change, and return it or another one; the fields of
 * {@link Entity} stay as they are whatever is returned. `beforeSave` gets what the app has passed, and what
 * it returns must be JSON.
 *
 * What the server holds is what some device's `beforeSave` made: rows that are pulled go through
 * `afterRead` when they are read, and never through `beforeSave`. A {@link ConflictResolver} function sees
 * and answers entities as the app knows them; the built-in ones compare what is stored. Events and dead
 * letters show what is stored.
 *
 * A `beforeSave` that throws refuses the write with `invalidEntity`. An `afterRead` that throws hides no
 * other entity: that one is given as it is stored, and the fault is told once on the console. A `patch` of
 * such an entity is refused. A `patch` writes the fields whose stored value differs then, and the whole
 * entity where `beforeSave` has taken one away.
 *
 * @example
 * const cipher: Middleware<Note> = {
 *   beforeSave: (note) => ({ ...note, text: encrypt(note.text) }),
 *   afterRead: (note) => ({ ...note, text: decrypt(note.text) }),
 * };
 */
export interface Middleware<T extends Entity = AnyEntity> {
  validate?(draft: Readonly<T>): void;
  beforeSave?(entity: T): object;
  afterRead?(entity: T): T;
}

/** A backend that speaks sync protocol 1 over HTTP, such as `datum-server`. */
export interface HttpRemote {
  /**
   * Where the protocol's `/sync/v1` is: `"https://api.example.com"`, or a path on the page's own server.
   * Without query, fragment or password.
   */
  url: string;
  /** Sent with each request. */
  headers?: HeaderSource;
  /**
   * Used instead of the global `fetch`. It is called with a url and an init whose `headers` are a plain
   * object and whose `body` is a string (bytes where `compress` applies).
   */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Whether cookies are sent. Default: the browser's own, `"same-origin"`. */
  credentials?: RequestCredentials;
  /** Sends bodies above 8 KiB gzipped, where the browser can. The server must take them. Default false. */
  compress?: boolean;
  /** How long an answer may take to begin, and then to end, in milliseconds, 1 to 3,600,000. Default 30,000. */
  timeout?: number;
}

/**
 * The headers of each request, or a function that gives them.
 *
 * The function is called with `"request"` for each request, and with `"unauthorized"` after the remote
 * answered 401: then is the time to renew the token. Requests that were refused at once share that
 * second call. Each is sent once more; another 401 is a {@link DatumError} `unauthorized`. So is a function that
 * throws, that gives what is no headers, or that has not answered within `timeout`: its message names `headers`. What is queued
 * stays queued, the health is `unauthorized`, and the next sync asks the function again.
 */
export type HeaderSource = HeaderRecord | ((reason: "request" | "unauthorized") => HeaderRecord | Promise<HeaderRecord>);

/** Header names and values. An undefined value leaves the header out. */
export type HeaderRecord = Record<string, string | undefined>;

/**
 * Any backend: an app implements these with whatever client it has.
 *
 * What a method throws goes by its `code` where that is a {@link DatumErrorCode}, else by its `status` as
 * an HTTP status (401, 403, 409, 426 and 429 as the protocol has them, 410 for a cursor that is gone, 413
 * for a batch that is too large); its `retryAfterMs` is honoured. Anything else counts as a network failure
 * and is tried again. `signal` aborts when the cycle is stopped.
 */
export interface RemoteAdapter {
  /** One page of changes after `request.cursor`; everything where that is null. */
  pull(request: PullRequest, signal: AbortSignal): Promise<PullPage>;
  /** Applies operations in order and answers each. Sending one twice (the same `opId`) must change nothing. */
  push(request: PushRequest, signal: AbortSignal): Promise<PushReply>;
  /** The record that `putSyncMetadata` was given last, by any device. */
  getSyncMetadata?(userId: string): Promise<SyncMetadata | null>;
  /** Keeps one record for the user. Its `devices` holds those of the record that `getSyncMetadata` gave. */
  putSyncMetadata?(metadata: SyncMetadata): Promise<void>;
  /** Forgets that record. */
  clearSyncMetadata?(userId: string): Promise<void>;
  /**
   * Calls `hint` whenever there may be something to pull for that user, as often as it likes: many at once count as one, and those after
   * the end as none. Returns what ends it. What it throws goes by its code, and is tried again later where that may help.
   */
  subscribe?(userId: string, hint: () => void): () => void;
  /** Whether the backend is well. */
  health?(): Promise<boolean>;
}

/** What `pull` is asked for. */
export interface PullRequest {
  /** This device. */
  clientId: string;
  /** Whose data. A backend must refuse it (409, `userMismatch`) where its own session is another user's. */
  userId: string;
  /** Where the last page ended; null for everything. */
  cursor: string | null;
  /** With `cursor: null`: the epoch that this device knew last. See {@link PullPage.kept}. */
  epoch?: string;
  /** The most rows that the page may hold. */
  limit: number;
  /** Only these entity types. */
  entities?: string[];
}

/** A page of changes, in the order in which the backend committed them. */
export interface PullPage {
  changes: Change[];
  /** Where the next page starts: any text, never empty. */
  cursor: string;
  /** Whether more is waiting. */
  more: boolean;
  /** How many rows come after this page; makes progress real. */
  remaining?: number;
  /** Changes when the backend was restored from an older state. */
  epoch?: string;
  /**
   * Where the request names another epoch: the greatest version that was not forgotten when that one ended. What was acknowledged
   * later is offered again. Without it a device goes by what differs, and by the times of the writes.
   */
  kept?: number;
  /** The backend's clock. */
  serverTime?: string;
  /** Count and hash of each entity type as of `cursor`, when `more` is false. */
  digests?: Record<string, { count: number; hash: string }>;
}

/** One row of a page. */
export interface Change {
  entity: string;
  id: string;
  /** 1 or more, greater with each write of the row. */
  version: number;
  /** A tombstone, without `data`. */
  deleted?: boolean;
  /** The app's fields with `createdAt` and `modifiedAt`. */
  data?: { [field: string]: Json };
}

/** What `push` is asked for. */
export interface PushRequest {
  /** This device. */
  clientId: string;
  /** Whose data: see {@link PullRequest}. */
  userId: string;
  /**
   * The history that the versions are of, where this device knows one. Where it is another than the backend's, nothing must be
   * done: answer each operation `{ status: "retry", code: "epochChanged" }`, with the backend's `epoch`.
   */
  epoch?: string;
  /** At most one an entity. */
  operations: PushedOperation[];
}

/** One write, conditional on the version that it was made against. */
export interface PushedOperation {
  /** Unique for ever. */
  opId: string;
  entity: string;
  id: string;
  kind: OperationKind;
  /** The row's version must still be this; null: the row must not exist. */
  baseVersion: number | null;
  /** All fields for create and update, the changed ones for patch, absent for delete. */
  data?: { [field: string]: Json };
  /**
   * Operations earlier in the same request. Where one of them is not applied, this one must not be either: answer
   * `{ status: "retry", code: "blocked" }`.
   */
  after?: string[];
}

/** One verdict an operation, in their order. */
export interface PushReply {
  results: PushVerdict[];
  /** Changes when the backend was restored from an older state. */
  epoch?: string;
  /** The backend's clock. */
  serverTime?: string;
}

/** What became of an operation. */
export type PushVerdict = { opId: string } & (
  /** It stands, now or from an earlier sending. `row` where the backend made something else of it. */
  | { status: "applied"; version: number; replayed?: boolean; row?: { [field: string]: Json } }
  /** The base is not current any more; `row` is what is, null where it was deleted. */
  | { status: "conflict"; version: number; row: { [field: string]: Json } | null }
  /** It will never be accepted. */
  | { status: "rejected"; code: string; message: string; row?: { [field: string]: Json } | null }
  /** Not now. */
  | { status: "retry"; retryAfterMs?: number; code?: string }
);

/** Which phases a cycle has, and in which order. */
export type SyncDirection = "pushThenPull" | "pullThenPush" | "pushOnly" | "pullOnly";

/** What {@link Datum.synchronize} takes. An unknown key is refused with `invalidArgument`. */
export interface SyncOptions<T extends Entity = AnyEntity> {
  /** Default: `defaultSyncDirection` of the config. */
  direction?: SyncDirection;
  /** Ignores the cursor: pulls everything, then drops what the server no longer has. Default false. */
  forceFullSync?: boolean;
  /**
   * Operations per push and rows per page, 1 to 10,000. Default: 1,000 operations, fewer where the server finds that too
   * much; 1,000 rows, and up to 4,000 where pages come quickly from a server of the sync protocol.
   */
  overrideBatchSize?: number;
  /** Whether deletes are pushed and pulled tombstones applied. Default true; false leaves both waiting. */
  includeDeletes?: boolean;
  /** Whether conflicts are resolved. Default true; false parks each for {@link Datum.resolveConflict}. */
  resolveConflicts?: boolean;
  /** What decides conflicts in this cycle. */
  conflictResolver?: ConflictResolver<T>;
  /** Pulls a part, with a cursor of its own: only these entity types, or what the remote selects by `query`. */
  scope?: SyncScope;
  /** How long the cycle may take, in milliseconds. Default: `syncTimeout` of the config. */
  timeout?: number;
  /** Stops the cycle at its next safe point. */
  signal?: AbortSignal;
  /** Tries even when the browser says that it is offline. Default false. */
  force?: boolean;
}

/** A partial pull. Its cursor goes by `name`, which is made of the other two by default. */
export interface SyncScope {
  /** Only these entity types. */
  entities?: string[];
  /** What the remote selects by, in its own words. */
  query?: Json;
  name?: string;
}

/** What a cycle did. A cycle that failed in part resolves; one that could not run rejects. */
export interface SyncResult {
  userId: string;
  /** Neither skipped nor cancelled, and nothing failed. */
  isSuccess: boolean;
  /** Operations pushed, and rows pulled and applied. */
  syncedCount: number;
  pushedCount: number;
  pulledCount: number;
  /** Operations that the server refused in this cycle. */
  failedCount: number;
  conflictsDetected: number;
  conflictsResolved: number;
  /** Operations that still wait. */
  pendingOperations: number;
  /** Bytes of this cycle. */
  bytesPushed: number;
  bytesPulled: number;
  /** Bytes of all cycles of this user on this device. */
  totalBytesPushed: number;
  totalBytesPulled: number;
  /** Milliseconds. */
  duration: number;
  /** At least one answer of the remote was applied, or confirmed that nothing is new. */
  remoteFetched: boolean;
  wasSkipped: boolean;
  skipReason?: "offline" | "paused" | "inProgress" | "excludedUser" | "nothingToPush";
  wasCancelled: boolean;
  /** The same by entity type. */
  entities: Record<string, { pushed: number; pulled: number; failed: number; conflicts: number }>;
  /** The first failure, where there was one. */
  error?: DatumErrorJson;
}

/** What a user's sync is doing: `idle` until the first cycle, then the last one's end until the next begins. */
export type SyncState = "idle" | "syncing" | "paused" | "cancelled" | "failed" | "completed";

/** One snapshot of a user's sync: the same in every tab of theirs but for `isLeader`, whichever of them syncs. */
export interface SyncStatus {
  userId: string;
  status: SyncState;
  /** 0 to 1; never goes back within a cycle. */
  progress: number;
  /** Only while `status` is `"syncing"`. */
  phase?: "pushing" | "pulling" | "applying";
  /** Operations that wait. */
  pendingOperations: number;
  /** Operations that this cycle has settled. */
  completedOperations: number;
  /** Operations that the server refused in this cycle. */
  failedOperations: number;
  /** Operations pushed and rows pulled in this cycle. */
  syncedCount: number;
  conflictsResolved: number;
  /** Conflicts that wait for a decision. */
  unresolvedConflicts: number;
  /** Operations that the server will never accept, kept aside. */
  deadLetters: number;
  lastStartedAt?: string;
  lastCompletedAt?: string;
  /** When the next automatic cycle begins, in whichever tab leads; absent where none is planned. */
  nextSyncAt?: string;
  /** The same, where it tries again what has failed. */
  nextRetryAt?: string;
  /** What went wrong in the current or last cycle. */
  errors: readonly DatumErrorJson[];
  health: Health;
  /** Whether this tab is the one that runs the automatic cycles. */
  isLeader: boolean;
  /** Whether the browser believes that there is a network. */
  online: boolean;
}

/** How things stand. */
export interface Health {
  status: "healthy" | "syncing" | "pending" | "degraded" | "offline" | "unauthorized" | "error";
  local: "healthy" | "memoryOnly" | "unhealthy";
  remote: "healthy" | "unreachable" | "unhealthy" | "unknown";
}

/** The status now, and each later one. A `for await` gets the latest at once and never misses the end of a cycle. */
export interface StatusFeed extends AsyncIterable<SyncStatus> {
  /** The latest. */
  readonly current: SyncStatus;
}

/** What is known of a user's cycles: on this device, or, from the remote, over all devices. */
export interface SyncMetadata {
  userId: string;
  /** The last attempt, successful or not. */
  lastSyncTime?: string;
  lastSuccessfulSyncTime?: string;
  /** Over entity, id and version of everything, in any order; equal on client and server when in sync. */
  dataHash?: string;
  /** The device that the rest describes. */
  deviceId?: string;
  /** Every device that synced, with its last success. */
  devices: Record<string, string>;
  deviceCount: number;
  /** The app's own: {@link Datum.setCustomMetadata}. From the remote, those of all devices; of one field, the latest device's. */
  customMetadata?: Record<string, Json>;
  entityCounts: Record<string, { count: number; hash?: string; pending: number }>;
  syncStatus: "neverSynced" | "syncing" | "synced" | "failed" | "pending" | "conflict";
  /** Unresolved, right now. */
  conflictCount: number;
  /** Of the last attempt; cleared by the next success. */
  errorMessage?: string;
  /** Failed attempts since the last success. */
  retryCount: number;
  /** How long the last cycle took, in milliseconds. */
  syncDuration?: number;
  isNeverSynced: boolean;
  hasConflicts: boolean;
}

/**
 * What becomes of the previous user's operations, or of the new user's data, when the user changes.
 *
 * - `"syncThenSwitch"`: pushes what waits of the previous user, if anything does, for at most `syncTimeout`, unless offline
 *   or paused. Then it switches, whatever came of it: what still waits is kept.
 * - `"promptIfUnsyncedData"`: does not switch while the previous user has pending operations or dead letters, so
 *   that the app can ask.
 * - `"keepLocal"`: just switches.
 * - `"clearAndFetch"`: removes what this device has of the **new** user and pulls everything afresh. What waits of
 *   that user is pushed before; where some of it cannot be, or nothing could be fetched (offline, paused), it does not switch.
 */
export type UserSwitchStrategy = "syncThenSwitch" | "clearAndFetch" | "promptIfUnsyncedData" | "keepLocal";

/** What {@link Datum.switchUser} takes. */
export interface UserSwitch {
  /** Must be the current user where it is given: a check against two parts of an app that switch at once. */
  oldUserId?: string;
  newUserId: string;
  /** Default: `defaultUserSwitchStrategy` of the config. */
  strategy?: UserSwitchStrategy;
}

/** What came of a switch. */
export interface UserSwitchResult {
  /** Whether `newUserId` is the current user now. */
  success: boolean;
  previousUserId: string | null;
  newUserId: string;
  /** Operations that still wait: the previous user's, or the new one's where those kept `"clearAndFetch"` from clearing. */
  unsyncedOperations: number;
  /** Why nothing was switched (`unsyncedData`, `offline`); after a switch, why operations still wait or the fetch failed. */
  error?: DatumErrorJson;
}

/** How to sign out. */
export interface LogoutOptions {
  /** How long to try to push what waits, in milliseconds; 0 not to try. Default 5,000. */
  flush?: number;
  /** Removes everything that this device has of the user. Default false. */
  wipe?: boolean;
  /** Wipes what is unsynced too, for good. Default false. */
  force?: boolean;
}

/** What is left behind by a logout. */
export interface LogoutResult {
  /** Operations that were pushed on the way out. */
  flushed: number;
  /** Operations that were not. They wait for the next sign-in, unless they were wiped. */
  unsynced: PendingOperation[];
  /** Operations that the server will never accept. */
  deadLetters: number;
  /** Whether nothing of the user is left on this device. */
  wiped: boolean;
}

/** How this device and the remote stand to each other, by digest and never by clocks. */
export type MetadataComparison = "inSync" | "remoteNewer" | "localNewer" | "diverged" | "neverSynced";

/** An entity that changed here and on the server. */
export interface Conflict<T extends Entity = AnyEntity> {
  id: string;
  entity: string;
  entityId: string;
  userId: string;
  kind: "bothModified" | "deletedRemotely" | "deletedLocally";
  /** The last state that both sides agreed on; null where there was none. */
  base: Readonly<T> | null;
  /** Null where it was deleted here. */
  local: Readonly<T> | null;
  /** Null where it was deleted there. */
  remote: Readonly<T> | null;
  /** The fields that were changed on both sides, to different values. */
  fields: readonly string[];
  detectedAt: string;
}

/** What a resolver decides. */
export type Resolution<T extends Entity = AnyEntity> =
  | { take: "local" }
  | { take: "remote" }
  | { take: "merged"; data: T }
  /** The conflict waits: see {@link Datum.conflicts}. */
  | { take: "later" };

/** How one conflict was decided. */
export interface MergeExplanation {
  readonly at: string;
  readonly entity: string;
  readonly entityId: string;
  /** The built-in resolver's name, `"function"` for the app's own, `"resolveConflict"` where the app decided it later. */
  readonly resolver: string;
  /** The fields in which the sides differed; of very many, the first. For a deletion, `isDeleted` alone. */
  readonly fields: readonly FieldExplanation[];
}

/** Why a field is what it is. A value that is absent is null; one of more than 256 bytes of JSON is a string: its beginning and `…`. */
export interface FieldExplanation {
  /** Its name; with dots for a field within. */
  readonly field: string;
  readonly base: Json;
  readonly local: Json;
  readonly remote: Json;
  readonly taken: "local" | "remote" | "merged";
  /** A short sentence for people. */
  readonly because: string;
}

/**
 * What decides conflicts.
 *
 * - `"merge"`: by field against the base. A field changed on both sides goes by its {@link FieldPolicy}, objects are merged by field,
 *   and anything else goes to the later write. An edit survives a delete.
 * - `"lastWriteWins"`: the whole entity of the later write. An edit survives a delete.
 * - `"localPriority"`, `"remotePriority"`: always the same side.
 * - `"ask"`: none of them: the conflict waits for {@link Datum.resolveConflict}, over reloads too; meanwhile the app sees its own side.
 * - a function: asked for each; it may be asked again for a conflict whose entity changed meanwhile. On a deletion too it may take any
 *   side: what is merged or edited makes the entity anew.
 *
 * A function that throws, answers anything else or does not answer within `resolverTimeout` decides nothing: the conflict waits, the
 * failure (`conflict`, `invalidEntity`, `timeout`) is in the result and the status, and the cycle goes on with everything else. It is asked
 * again in each of the next two cycles; after that, only {@link Datum.resolveConflict} decides. After a `timeout` it is
 * asked nothing more in that cycle.
 */
export type ConflictResolver<T extends Entity = AnyEntity> =
  | BuiltinResolver
  | ((conflict: Conflict<T>) => Resolution<T> | Promise<Resolution<T>>);

/** The resolvers that go by a name. */
export type BuiltinResolver = "merge" | "lastWriteWins" | "localPriority" | "remotePriority" | "ask";

/** What an operation does. */
export type OperationKind = "create" | "update" | "patch" | "delete";

/** A local write that the server has not settled. What was tried, and when it is tried again, is as far as this tab knows. */
export interface PendingOperation {
  opId: string;
  entity: string;
  entityId: string;
  kind: OperationKind;
  /** `inFlight`: sent, not answered yet. `blocked`: waits for what `blockedBy` names. `pending`: goes with the next push. */
  state: "pending" | "inFlight" | "blocked";
  queuedAt: string;
  /** How often it was sent without being settled. */
  attempts: number;
  /** What it would send. */
  bytes: number;
  /** The `id` of a {@link Conflict} or a {@link DeadLetter}, or the `opId` of the operation whose answer it waits for. */
  blockedBy?: string;
  /** When it is sent again: the server asked for it, or the next automatic cycle begins. */
  nextAttemptAt?: string;
  /** What the last attempt to send it said. */
  lastError?: DatumErrorJson;
}

/**
 * The engine of an app: its entities, their sync, and what is known of it.
 *
 * Calls about a user reject with `invalidArgument` where the user id is empty or malformed, and with `closed`
 * after {@link Datum.close}.
 *
 * @example
 * const datum = await Datum.initialize({
 *   entities: { tasks: {} },
 *   remote: { url: "https://api.example.com", headers: async () => ({ Authorization: `Bearer ${await token()}` }) },
 *   initialUserId: "ada",
 * });
 * const tasks = datum.manager<Task>("tasks");
 * await tasks.create({ title: "Buy milk", done: false });
 * await datum.synchronize("ada");
 */
export class Datum implements AsyncDisposable {
  private constructor();

  /**
   * Loads the engine and opens the storage. A second call with the same `name` gives the same instance.
   *
   * Rejects with `invalidConfig` (naming the key; also where the name is initialized with another config),
   * `storageUnavailable`, `storageBlocked` (another tab holds an older version open), `network` (the engine's
   * own file could not be loaded).
   */
  static initialize(config: DatumConfig): Promise<Datum>;
  /** The open instance that was initialized first. Throws `notInitialized` where there is none. */
  static readonly instance: Datum;
  /** Whether {@link Datum.instance} may be read. */
  static readonly isInitialized: boolean;

  /** Whose data `manager` calls work on where they name no user. */
  readonly currentUserId: string | null;

  /** The entities of one type. Throws `invalidArgument` where the config has no such type. */
  manager<T extends Entity = AnyEntity>(entity: string): Manager<T>;

  /**
   * Runs a cycle: pushes what waits, pulls what is new, resolves conflicts. Failures of single operations
   * are in the result.
   *
   * Rejects with `invalidArgument`, `timeout`, `unauthorized`, `forbidden`, `network`, `serverError`,
   * `rateLimited`, `protocol`, `clientOutdated`, `userMismatch`, `storageFull` and the like. Offline, paused
   * and aborted are no errors: see `wasSkipped` and `wasCancelled`.
   */
  synchronize(userId: string, options?: SyncOptions): Promise<SyncResult>;

  /**
   * The status of a user's sync.
   *
   * @example
   * for await (const status of datum.statusForUser("ada")) render(status);
   */
  statusForUser(userId: string): StatusFeed;

  /**
   * What happens, as it happens, from the call's loop on. A reader that does not keep up loses what is passing first;
   * `metrics.droppedEvents` counts that.
   *
   * @example
   * for await (const event of datum.events({ type: "dataChanged" })) console.log(event.entity, event.created);
   */
  events<K extends DatumEvent["type"] = DatumEvent["type"]>(filter?: EventFilter<K>): AsyncIterable<Extract<DatumEvent, { type: K }>>;

  /**
   * Lets no cycle begin and stops the one in flight at its next safe point, which resolves with `wasCancelled`; for one user,
   * or for all, those included who sign in later. Pausing twice is pausing once. Resolves when nothing runs any more in this
   * tab. It holds in every open tab that has the user's database open, also in one that is opened later, and ends with the last of them.
   */
  pauseSync(userId?: string): Promise<void>;
  /**
   * Lets cycles begin again, for all users, or for one while the others stay paused. The status goes back to how the last cycle
   * ended. No cycle begins by it, but automatic ones go on as they were, and those that rested after a refusal are tried again.
   */
  resumeSync(userId?: string): Promise<void>;

  /**
   * Starts automatic cycles for a user, the first after one interval; starting again sets another interval. A cycle
   * that fails is tried again with `retry`'s delays; one that was refused (`unauthorized`, `forbidden`, `clientOutdated`,
   * `userMismatch`) rests until `resumeSync`, a sign-in, or a `synchronize` that succeeds.
   *
   * Throws `invalidArgument` where `interval` is not a whole number from 1,000 to 86,400,000 (milliseconds; default
   * `autoSyncInterval`), and `closed`.
   */
  startAutoSync(userId: string, options?: { interval?: number }): void;
  /** Stops them for a user, or for all. A cycle that is running goes on. Throws `invalidArgument` and `closed`. */
  stopAutoSync(userId?: string): void;
  /** When the next automatic cycle begins, in whichever tab leads; null where none is planned. Throws `invalidArgument`. */
  nextSyncTime(userId: string): string | null;

  /**
   * Makes another user the current one. Calls that name no user and were made before it resolves are about the previous
   * one, whose running cycle is stopped. Nothing is read, sent or counted under another user: each has a database of their
   * own, and the server refuses requests under another user's token (`userMismatch`).
   *
   * What keeps it from switching is in the result. Rejects with `invalidArgument` where `oldUserId` is not the
   * current user, and with what the storage says.
   *
   * @example
   * const { success } = await datum.switchUser({ newUserId: "bob", strategy: "promptIfUnsyncedData" });
   * if (!success && confirm("Some changes are not synced yet. Switch anyway?")) {
   *   await datum.switchUser({ newUserId: "bob", strategy: "keepLocal" });
   * }
   */
  switchUser(request: UserSwitch): Promise<UserSwitchResult>;

  /**
   * Signs a user out: stops what runs, tries to push what waits, and closes the user's database. If this was the current user,
   * nobody is current then. A push that fails does not reject: what was not pushed is in the result, and is there again when
   * the user signs in with {@link Datum.switchUser}.
   *
   * Other tabs stay signed in, unless `wipe` is given: then they close the user's database and sign the user out as well.
   * Rejects with `unsyncedData` where `wipe` would lose something: then the user stays signed in.
   *
   * @example
   * try {
   *   await datum.logout("ada", { wipe: true });
   * } catch (error) {
   *   if (!(error instanceof DatumError && error.code === "unsyncedData")) throw error;
   *   if (confirm(`${error.message} Sign out anyway?`)) await datum.logout("ada", { wipe: true, force: true });
   * }
   */
  logout(userId: string, options?: LogoutOptions): Promise<LogoutResult>;

  /** The users that have a database on this device, in order. */
  userIds(): Promise<string[]>;

  /**
   * Replaces the app's own fields in the sync metadata of this device. The remote hears of them in the next cycle that
   * succeeds. They outlive reloads and `clearSyncMetadata`; `{}` removes them.
   *
   * Rejects with `invalidArgument` for what JSON cannot hold, and for more than 16 KiB of JSON.
   *
   * @example
   * await datum.setCustomMetadata("ada", { deviceName: "Ada's phone" });
   */
  setCustomMetadata(userId: string, metadata: Record<string, Json>): Promise<void>;

  /** What this device knows; null where it has never synced and the app has put nothing in. */
  getSyncMetadata(userId: string): Promise<SyncMetadata | null>;
  /** What the remote knows of all devices; null where it keeps nothing. Rejects as `synchronize` does. */
  getRemoteSyncMetadata(userId: string): Promise<SyncMetadata | null>;
  /** Compares the two. Rejects as `synchronize` does. */
  compareSyncMetadata(userId: string): Promise<MetadataComparison>;
  /**
   * Forgets what is known of past cycles, here (`local`, default true: the next cycle pulls everything afresh) and on
   * the remote for every device (`remote`, default false). Entities and pending operations stay.
   */
  clearSyncMetadata(userId: string, options?: { local?: boolean; remote?: boolean }): Promise<void>;
  /** The result of the last cycle; null where there was none. */
  getLastSyncResult(userId: string): Promise<SyncResult | null>;

  /** What waits for a push, in order. */
  pendingOperations(userId: string): Promise<PendingOperation[]>;
  /** How many those are. */
  pendingCount(userId: string): Promise<number>;

  /** What the remote will never accept, as it said why. */
  deadLetters(userId: string): Promise<readonly DeadLetter[]>;
  /**
   * Queues a dead letter once more, as a new write on what is there now; `edited` replaces its fields. A refused patch says
   * again only what it had changed. Those that became dead letters because they depend on it (`blockedBy`) are queued again
   * behind it, in the same commit. Rejects with `notFound`, and with `invalidEntity` for a bad edit: then it stays.
   */
  retryDeadLetter(id: string, edited?: { [field: string]: Json }): Promise<void>;
  /** Gives a dead letter up, for good. Rejects with `notFound`. */
  discardDeadLetter(id: string): Promise<void>;

  /** The conflicts that wait for the app, with all three sides as they are now. */
  conflicts(userId: string): Promise<readonly Conflict[]>;
  /** Decides one of them; the next cycle pushes what stands of this side's. Rejects with `notFound` and `invalidEntity`. */
  resolveConflict(id: string, resolution: Resolution<any>): Promise<void>;
  /**
   * How the latest conflicts of an entity were decided on this device, the oldest first: which field was taken from whom, and why.
   * Of the current user, unless the options name another. Kept over reloads: the last ten of an entity, as long as all
   * together are within 128 KiB. Values are shown as they are stored.
   *
   * Rejects with `invalidArgument` and `noUser`.
   *
   * @example
   * const [last] = (await datum.explainMerge("tasks", id)).slice(-1);
   * for (const { field, taken, because } of last?.fields ?? []) console.log(`${field}: ${taken}. ${because}`);
   */
  explainMerge(entity: string, id: string, options?: UserOption): Promise<readonly MergeExplanation[]>;

  /**
   * What the user's data takes up, in bytes; `quota` is what the browser allows this origin in all, where it
   * tells; `persisted` is whether it has promised not to evict it.
   */
  storageSize(userId: string): Promise<{ bytes: number; quota?: number; persisted: boolean }>;
  /**
   * Asks the browser never to evict what is stored, and answers whether it promises that. To be called when the user will
   * understand the question. With `persist: false` it only answers.
   */
  requestPersistence(): Promise<boolean>;
  /**
   * Removes everything that this device has of a user, unsynced operations too. Other tabs let go of it as well: their watches of
   * that user end, and nothing that they knew comes back. A tab that slept through it signs the user out when it wakes.
   */
  clearUserData(userId: string): Promise<void>;

  /**
   * Asks the remote how it does. Says the same in the status of that user, or of the current one. A remote that cannot be
   * reached is an answer; it rejects only with `invalidArgument` and `closed`.
   */
  checkHealth(userId?: string): Promise<Health>;
  /** What was done since this instance was opened. */
  readonly metrics: Metrics;

  /** Stops what runs, closes the storage and ends every feed. Later calls reject with `closed`. */
  close(): Promise<void>;
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The entities of one type, in the current user's database, or that of `userId` in the options.
 *
 * A write resolves when it is stored on this device; the server hears of it in the next cycle. Every call
 * rejects with `noUser` where no user is known, and with `closed` after {@link Datum.close}; every write with
 * `storageFull` where the quota is used up: then nothing was written.
 */
export class Manager<T extends Entity = AnyEntity> {
  private constructor();

  /** The entity type, as the config names it. */
  readonly entity: string;

  /**
   * Makes an entity. Rejects with `alreadyExists`, and with `invalidEntity`, naming the field, for what JSON
   * cannot hold and for more than 1 MiB.
   */
  create(draft: Draft<T>, options?: WriteOptions): Promise<Readonly<T>>;
  /** Replaces the app's fields. Rejects with `notFound` and `invalidEntity`. */
  update(entity: Readonly<T>, options?: WriteOptions): Promise<Readonly<T>>;
  /** Changes some of the app's fields. Rejects with `notFound` and `invalidEntity`. */
  patch(id: string, changes: Changes<T>, options?: WriteOptions): Promise<Readonly<T>>;
  /** Removes an entity; false where there was none. */
  delete(id: string, options?: DeleteOptions): Promise<boolean>;
  /** Makes many in one atomic commit: all or none. */
  createMany(drafts: readonly Draft<T>[], options?: WriteOptions): Promise<Readonly<T>[]>;
  /** Replaces many in one atomic commit. */
  updateMany(entities: readonly Readonly<T>[], options?: WriteOptions): Promise<Readonly<T>[]>;
  /** Removes many in one atomic commit; the ids that were there. */
  deleteMany(ids: readonly string[], options?: DeleteOptions): Promise<string[]>;

  /** One entity; null where there is none. */
  read(id: string, options?: ReadOptions): Promise<Readonly<T> | null>;
  /** All of them, by id. */
  readAll(options?: ReadOptions): Promise<Readonly<T>[]>;
  /** Some of them, by id, after that of the last page. */
  readPage(page?: PageRequest, options?: ReadOptions): Promise<Page<Readonly<T>>>;
  /** Whether there is one. */
  exists(id: string, options?: UserOption): Promise<boolean>;
  /** How many there are. The first argument is kept for queries. */
  count(query?: undefined, options?: UserOption): Promise<number>;

  /**
   * All of them, by id: at once, then after every change of this tab, another tab or a cycle. A pulled page is one update;
   * a slow reader gets the latest; an entity that did not change is the same object as before. Each array is the reader's
   * own. The loop ends when the instance is closed or the user logged out.
   *
   * @example
   * for await (const tasks of datum.manager<Task>("tasks").watchAll()) render(tasks);
   */
  watchAll(options?: ReadOptions): AsyncIterable<Readonly<T>[]>;
  /** One of them, or null: at once, then whenever it is another one. */
  watchById(id: string, options?: UserOption): AsyncIterable<Readonly<T> | null>;

  /** {@link Datum.synchronize}, with a resolver that knows the type. Other entity types sync too. */
  synchronize(userId: string, options?: SyncOptions<T>): Promise<SyncResult>;
  /**
   * {@link Manager.create}, then a cycle: both results. A cycle that fails leaves the entity stored and its operation
   * queued; rejects as both calls do.
   */
  pushAndSync(draft: Draft<T>, options?: WriteOptions): Promise<{ entity: Readonly<T>; result: SyncResult }>;
  /** {@link Datum.getRemoteSyncMetadata}. */
  getRemoteSyncMetadata(userId: string): Promise<SyncMetadata | null>;
  /**
   * Resolves once the server has answered the writes of an entity that wait at the call, in this tab or another, now or after a
   * reload: `applied` where it has the last of them as it was written; `merged` where that met a conflict and something else than
   * it alone stands, be it a merge or the server's own row; `rejected` where it became a dead letter. Later writes do not prolong
   * it, unless they were joined with one of those before it was sent. Where nothing waits it says how the last write of this device
   * ended, for 30 days; `applied` for everything else that is here. Rejects with `notFound` where there is no such entity, and
   * with `closed` where the instance or the user's database is closed or removed first.
   */
  whenSynced(id: string, options?: UserOption): Promise<"applied" | "merged" | "rejected">;
  /** What this device knows. */
  readonly localAdapter: {
    /** {@link Datum.getSyncMetadata}. */
    getSyncMetadata(userId: string): Promise<SyncMetadata | null>;
  };
  /** What the remote knows. */
  readonly remoteAdapter: {
    /** {@link Datum.getRemoteSyncMetadata}. */
    getSyncMetadata(userId: string): Promise<SyncMetadata | null>;
    /** {@link Datum.clearSyncMetadata} on both sides, so that the next cycle brings fresh data. */
    clearSyncMetadata(userId: string): Promise<void>;
  };
}

/** Names another user's database than the current one's. */
export interface UserOption {
  userId?: string;
}

/** How to write. */
export interface WriteOptions extends UserOption {
  /**
   * Entities whose waiting operations are sent first. Where one of those is refused for good, this write becomes a dead
   * letter with it (`blocked`); where its conflict waits for a decision, this waits too. What a foreign key of `relations` names
   * need not be said. Writes that depend on each other in a circle are sent in their order.
   */
  dependsOn?: { entity: string; id: string }[];
}

/** How to remove. */
export interface DeleteOptions extends WriteOptions {
  /** Default: `deleteBehavior` of the entity type. */
  behavior?: "softDelete" | "hardDelete";
}

/** What to read. */
export interface ReadOptions extends UserOption {
  /** Entities that were deleted softly too. Default false. */
  includeDeleted?: boolean;
}

/** Which page to read. */
export interface PageRequest {
  /** How many, 1 to 10,000. Default 100. */
  size?: number;
  /** `after` of the page before. */
  after?: string;
}

/** A page of entities. */
export interface Page<T> {
  items: T[];
  /** To ask for the next page with; absent on the last. */
  after?: string;
  hasMore: boolean;
  /** How many entities all pages have together. */
  total: number;
}

/** Which events to hear of. */
export interface EventFilter<K extends DatumEvent["type"] = DatumEvent["type"]> {
  userId?: string;
  /** Only what is about one entity type. */
  entity?: string;
  type?: K;
}

/** What happened, whose data it concerns (empty for nobody's) and when. */
export type DatumEvent = { readonly userId: string; readonly at: string } & (
  | { readonly type: "syncStarted"; readonly direction: SyncDirection; readonly pendingOperations: number }
  | { readonly type: "syncProgress"; readonly status: SyncStatus }
  /** The cycle has ended; see `result.isSuccess` and `result.wasCancelled`. */
  | { readonly type: "syncCompleted"; readonly result: SyncResult }
  | { readonly type: "syncFailed"; readonly error: DatumErrorJson }
  /** One commit: a write, or a pulled page. Ids of one entity type. */
  | {
      readonly type: "dataChanged";
      readonly entity: string;
      readonly source: "local" | "remote" | "otherTab";
      readonly created: readonly string[];
      readonly updated: readonly string[];
      readonly deleted: readonly string[];
    }
  | { readonly type: "conflictDetected"; readonly conflict: Conflict }
  | {
      readonly type: "conflictResolved";
      readonly conflict: Conflict;
      readonly taken: "local" | "remote" | "merged";
      readonly explanation: MergeExplanation;
    }
  | { readonly type: "deadLetter"; readonly deadLetter: DeadLetter }
  | { readonly type: "userSwitched"; readonly previousUserId: string | null; readonly hadUnsyncedData: boolean }
  | { readonly type: "leaderChanged"; readonly isLeader: boolean }
  | { readonly type: "connectivityChanged"; readonly online: boolean }
  /**
   * The browser removed what was stored, or it cannot be read. Between two visits, nothing is saved; under an open instance, what
   * this tab knew was saved again. Told to the first who listens, also where it was found before that.
   */
  | { readonly type: "storageLost"; readonly lostOperations: number | "unknown"; readonly savedOperations: number }
  /**
   * The server was put back to an older state, and everything has been pulled afresh: `offeredAgain` writes of this device that it
   * had acknowledged in the last 30 days, and forgotten, wait to be pushed again.
   */
  | { readonly type: "serverRestored"; readonly offeredAgain: number }
);

/** An operation that the remote will never accept. */
export interface DeadLetter {
  id: string;
  opId: string;
  entity: string;
  entityId: string;
  kind: OperationKind;
  queuedAt: string;
  attempts: number;
  bytes: number;
  /** The dead letter without which this one cannot stand. */
  blockedBy?: string;
  /** The remote's stable word for why, and its message for people. `blocked`: what it depends on was refused, see `blockedBy`. */
  code: string;
  message: string;
  diedAt: string;
  /** What it would have made of the entity. */
  data: Json;
  /** The state that both sides had agreed on, as it was then. */
  base: Json;
  /** Whether the entity still shows it: `onRejected`. */
  kept: boolean;
}

/** Who is told of everything. */
export interface Observer {
  /** After it happened. */
  onEvent?(event: DatumEvent): void;
  /** Before a write is checked and stored. `draft` is what middleware has made of it; with its id for a patch, only that for a delete. */
  beforeWrite?(entity: string, kind: OperationKind, draft: Json): void;
}

/** From the finest to none. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "off";

/** Takes log entries. */
export interface Logger {
  log(entry: LogEntry): void;
}

/** One line of the log, as data. */
export interface LogEntry {
  readonly level: Exclude<LogLevel, "off">;
  readonly at: string;
  /** What the entry is about: cycles and events, requests of the remote, or the browser's storage. */
  readonly scope: "sync" | "remote" | "storage";
  readonly message: string;
  readonly fields: { readonly [field: string]: Json };
}

/** What was done since the instance was opened. */
export interface Metrics {
  readonly cycles: number;
  readonly successfulCycles: number;
  readonly failedCycles: number;
  readonly conflictsDetected: number;
  readonly conflictsResolved: number;
  readonly userSwitches: number;
  /** Users whose database is open. */
  readonly activeUsers: readonly string[];
  readonly bytesPushed: number;
  readonly bytesPulled: number;
  /** Requests of cycles and health checks, each try counted. */
  readonly requests: number;
  /** Records written to the open databases' logs. */
  readonly commits: number;
  /** Writes that another tab had overtaken, and that were planned again. */
  readonly staleCommits: number;
  /** Events that readers were too slow for. */
  readonly droppedEvents: number;
}

/** The stable name of a failure. Branch on this, never on the message. */
export type DatumErrorCode =
  /** `Datum.initialize` has not finished. */
  | "notInitialized"
  /** No user is known, and the call named none. */
  | "noUser"
  /** The config has an unknown key or a wrong value. */
  | "invalidConfig"
  /** An argument is wrong. */
  | "invalidArgument"
  /** The entity cannot be stored as it is. */
  | "invalidEntity"
  /** There is no such entity here. */
  | "notFound"
  /** There is an entity with this id already. */
  | "alreadyExists"
  /** The browser says that there is no network. */
  | "offline"
  /** The request did not arrive, or its answer was lost. */
  | "network"
  /** It took longer than it was allowed to. */
  | "timeout"
  /** The caller, a pause or a close stopped it. */
  | "cancelled"
  /** The remote accepts neither the token nor a fresh one. The queue is intact. */
  | "unauthorized"
  /** The remote knows the user and refuses. */
  | "forbidden"
  /** The remote will never accept this. */
  | "rejected"
  /** The remote failed. */
  | "serverError"
  /** The remote asks for fewer requests; see `retryAfterMs`. */
  | "rateLimited"
  /** The remote's answer does not follow the protocol: a wrong url, a login page, a bug. */
  | "protocol"
  /** The remote needs a newer version of the app. */
  | "clientOutdated"
  /** The data, or the token, belongs to another user. */
  | "userMismatch"
  /** Unsynced operations stand in the way. */
  | "unsyncedData"
  /** Both sides changed, and nothing decided between them. */
  | "conflict"
  /** The browser gives no storage. */
  | "storageUnavailable"
  /** The quota is used up. */
  | "storageFull"
  /** The browser removed what was stored. */
  | "storageLost"
  /** Another tab holds the database open at an older version. */
  | "storageBlocked"
  /** Stored bytes do not match their checksum. */
  | "corrupt"
  /** A schema migration failed. */
  | "migration"
  /** This instance has been closed. */
  | "closed"
  /** The engine stopped on a fault of its own. What was stored is safe; reload the page. */
  | "engineDead";

/**
 * Every rejection. `message` is for people and names the fix.
 *
 * An adapter may throw one, to say what happened: `throw new DatumError("unauthorized", "signed out")`.
 *
 * @example
 * try {
 *   await datum.synchronize("ada");
 * } catch (error) {
 *   if (error instanceof DatumError && error.code === "unauthorized") signIn();
 *   else throw error;
 * }
 */
export class DatumError extends Error {
  constructor(code: DatumErrorCode, message: string, detail?: DatumErrorDetail);
  readonly code: DatumErrorCode;
  /** Whether the same call may succeed later, unchanged. */
  readonly retryable: boolean;
  /** When it happened. */
  readonly at: string;
  readonly userId?: string;
  readonly entity?: string;
  readonly entityId?: string;
  /** The HTTP status of the remote's answer. */
  readonly status?: number;
  /** The wait that the remote asked for, in milliseconds. */
  readonly retryAfterMs?: number;
  /** What lay beneath. */
  override readonly cause?: unknown;
  toJSON(): DatumErrorJson;
}

/** What more is known of a failure. */
export interface DatumErrorDetail {
  userId?: string;
  entity?: string;
  entityId?: string;
  status?: number;
  retryAfterMs?: number;
  cause?: unknown;
}

/** A failure as data, in a status or a result. */
export interface DatumErrorJson {
  code: DatumErrorCode;
  message: string;
  retryable: boolean;
  at: string;
  entity?: string;
  entityId?: string;
  status?: number;
  retryAfterMs?: number;
}
