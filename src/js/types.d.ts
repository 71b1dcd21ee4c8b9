/**
 * datum-sync: offline-first sync for web apps.
 *
 * Times are ISO 8601 UTC strings with milliseconds, such as `"2026-01-31T12:00:00.000Z"`. Durations are
 * milliseconds, sizes are bytes. Every rejection is a {@link DatumError}.
 * Values that an app receives are frozen: change a copy, and pass it to `update`.
 *
 * @packageDocumentation
 */

// As in TypeScript's `esnext.disposable`, which came with 5.2: older versions, and configs without it, take these types too.
declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol;
    readonly asyncDispose: unique symbol;
  }
  interface Disposable {
    [Symbol.dispose](): void;
  }
  interface AsyncDisposable {
    [Symbol.asyncDispose](): PromiseLike<void>;
  }
}

/** Any JSON value. Entities are JSON: no `Date`, `Map`, `BigInt`, functions, `NaN`. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * The fields that the engine owns. All other fields of an entity are the app's own JSON.
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
  /** A UUID version 7 unless the draft has one: well-formed Unicode, 1 to 512 bytes, no control characters. */
  id: string;
  /** The user whose database this is. */
  userId: string;
  /** The shared space that the entity is in; absent in the user's personal space. `create` takes it; it is changed by moving the entity. */
  spaceId?: string;
  /** When the entity was created. */
  createdAt: string;
  /** When it was last written. Used for display and for `lastWriteWins`; it never orders a pull. */
  modifiedAt: string;
  /** Assigned by the server; 0 until the server has the entity. */
  version: number;
  /** True for a tombstone. Only visible with `includeDeleted`. */
  isDeleted: boolean;
}

/** An entity whose own fields are not declared: the type of `manager("tasks")` without a type argument. */
export interface AnyEntity extends Entity {
  [field: string]: Json | undefined;
}

/** The entity types of an app that declares none: any name, with any fields. */
export interface AnyEntities {
  [name: string]: AnyEntity;
}

/** An app's entity types by name: what {@link Datum.initialize} is given as `<{ tasks: Task }>`. */
export type EntityTypes<E> = { [N in keyof E]: Entity & JsonFields<E[N]> };

/**
 * The fields of an entity as they come back: a type that satisfies it promises nothing that JSON loses. A field that does not is an
 * error that says why.
 */
export type JsonFields<T> = { [F in keyof T]: typeof converted extends keyof T ? T[F] : Stored<T[F]> };

/**
 * An entity type with fields that are not JSON, such as a `Date`, which the middleware of the type converts: `beforeSave` writes them as
 * JSON, `afterRead` makes them again.
 *
 * @example
 * const datum = await Datum.initialize<{ tasks: Converted<Task> }>({
 *   entities: {
 *     tasks: {
 *       beforeSave: (task) => ({ ...task, due: task.due.toISOString() }),
 *       afterRead: (task) => ({ ...task, due: new Date(task.due) }),
 *     },
 *   },
 *   remote,
 * });
 */
export type Converted<T extends Entity> = T & { readonly [converted]?: never };
declare const converted: unique symbol;

type Stored<V> = unknown extends V
  ? V
  : V extends Json | undefined
    ? V
    : StoredObject<V>;

type StoredObject<V> = V extends Date
  ? "A Date comes back as a string: declare the field as string and write date.toISOString(), or see Converted."
  : V extends ReadonlyMap<any, any> | ReadonlySet<any> | WeakMap<any, any> | WeakSet<any>
    ? "JSON cannot hold a Map or a Set: declare an array or an object."
    : V extends bigint
      ? "JSON cannot hold a BigInt: declare a string."
      : V extends symbol | ((...args: never) => unknown) | (abstract new (...args: never) => unknown)
        ? "JSON cannot hold functions and symbols: leave the field out of the entity type."
        : V extends RegExp | Error | ArrayBuffer | ArrayBufferView | Promise<unknown>
          ? "JSON loses the content of this object: declare a string, an array or a plain object."
          : V extends readonly unknown[]
            ? { [I in keyof V]: undefined extends V[I] ? "JSON cannot hold undefined in an array: declare null." : Stored<V[I]> }
            : { [F in keyof V]: Stored<V[F]> };

/** The argument of `create`: the app's fields, and optionally the engine's. An undefined field is the same as none. */
export type Draft<T extends Entity> = Omit<T, keyof Entity> & Partial<Entity>;

/**
 * The fields that `patch` changes. A field that is undefined or left out stays as it is; null is a value like any other and is stored.
 * Fields are removed by `remove` of {@link PatchOptions}.
 */
export type Changes<T extends Entity> = { [F in OwnField<T>]?: T[F] | undefined };

/** The argument of {@link Datum.initialize}. An unknown key is refused with `invalidConfig`. */
export interface DatumConfig<E extends { [N in keyof E]: Entity } = any> {
  /**
   * Prefix of the IndexedDB databases, for two apps on one origin. Default `"datum"`. One instance of a name can be open: see
   * {@link Datum.initialize}.
   */
  name?: string;
  /** The entity types, at least one. */
  entities: { [N in keyof E & string]: EntityConfig<E[N]> };
  /** The app's backend: the sync protocol over HTTP, or the app's own adapter. */
  remote: HttpRemote | RemoteAdapter;
  /**
   * The user of `manager` calls that name none. A function is called once, by `initialize`,
   * which rejects with `invalidConfig` if it throws, and with `timeout` if it has not answered after 10
   * seconds. Null or undefined means no user: calls reject with `noUser` until {@link Datum.switchUser}.
   *
   * If the instance of this `name` is open, its current user must be the same, or `initialize` rejects with `userMismatch`. A
   * config without this key does not say who the user is.
   */
  initialUserId?: string | (() => string | null | undefined | Promise<string | null | undefined>);
  /**
   * Whether a sign-in starts automatic cycles, as {@link Datum.startAutoSync} does. Default false. One tab of
   * an app runs them, and only while it is visible.
   */
  autoStartSync?: boolean;
  /** The interval between automatic cycles, in milliseconds, 1,000 to 86,400,000; each varies by up to a tenth. Default 900,000. */
  autoSyncInterval?: number;
  /**
   * The delay between a write and its push while automatic cycles are started, in milliseconds, up to 3,600,000. Writes in
   * quick succession are pushed together, after at most five times the delay. Default 1,000; false: at the next interval.
   */
  syncAfterWrite?: number | false;
  /** Whether started automatic cycles sync when the network comes back. Default true. */
  syncOnReconnect?: boolean;
  /** Whether started automatic cycles sync when the page becomes visible, if the last attempt is older than 30 s or writes are pending. Default true. */
  syncOnVisible?: boolean;
  /**
   * The first cycle after a sign-in, which pulls, then pushes. It runs if `autoStartSync` is on or this is given.
   * Reads do not wait for it. Failures that may be temporary are retried.
   */
  coldStart?: ColdStart;
  /** How long a cycle may take before it is stopped, in milliseconds. Default 120,000. */
  syncTimeout?: number;
  /**
   * How long a {@link ConflictResolver} function may take for one conflict, in milliseconds, 1 to 86,400,000; never more than half
   * of the cycle's timeout. Default 30,000. To ask the user, answer `{ take: "later" }`.
   */
  resolverTimeout?: number;
  /** Default `"pushThenPull"`. */
  defaultSyncDirection?: SyncDirection;
  /** Defaults for the options of `synchronize`. */
  defaultSyncOptions?: Omit<SyncOptions<any>, "signal" | "conflictResolver"> & { conflictResolver?: BuiltinResolver };
  /** The resolver of entity types that name none. Default `"merge"`. */
  defaultConflictResolver?: ConflictResolver<any>;
  /**
   * The durability of IndexedDB transactions. `local` is for the app's own writes (default `"strict"`: a
   * resolved promise survives a power cut), `pulled` for rows from the server (default `"relaxed"`).
   */
  durability?: { local?: "strict" | "relaxed"; pulled?: "strict" | "relaxed" };
  /**
   * Who asks the browser never to evict the stored data (`navigator.storage.persist()`; Firefox asks the user). `true`: the
   * engine, after the first write or the first sync that brings data, never at page load. `"ask"` (default): the app, with
   * {@link Datum.requestPersistence}. `false`: nobody.
   */
  persist?: boolean | "ask";
  /** The maximum size of the entities kept in memory, in bytes. Default 67,108,864 (64 MiB). */
  memoryBudget?: number;
  /**
   * Keeps a trace of each user's database in memory: what every commit was made of, and what came of it, for {@link Datum.exportTrace}.
   * `maxBytes` (65,536 to 1,073,741,824; default 8 MiB) bounds it: older steps go first. Default false.
   */
  trace?: boolean | { maxBytes?: number };
  /**
   * How failed requests are retried within a cycle, and failed automatic cycles after it (for as long
   * as they fail, with at least 1,000 ms between them). `maxAttempts` includes the first attempt
   * (default 3); `initial` and `max` are delays in milliseconds (500 and 60,000), each `factor` (2) times the last,
   * randomised by `jitter` (`"full"`). A delay is never shorter than the remote's `Retry-After`. One that is not the
   * protocol's own, such as a proxy's, counts for at most an hour. An operation that fails while others succeed waits as long by itself,
   * or until the app calls `synchronize`.
   */
  retry?: { maxAttempts?: number; initial?: number; factor?: number; max?: number; jitter?: "full" | "none" };
  /**
   * What `synchronize` does while a cycle of that user runs: `"sequential"` (default) runs after it,
   * `"skipConcurrent"` resolves with `wasSkipped`, `"joinInFlight"` returns its result. Cycles in other tabs count. If such a
   * tab is silent for 15 seconds, nobody waits for its cycle any longer, and it ends with `wasCancelled` if the tab wakes up.
   */
  syncRequestStrategy?: "sequential" | "skipConcurrent" | "joinInFlight";
  /** The default strategy of {@link Datum.switchUser}. Default `"syncThenSwitch"`. */
  defaultUserSwitchStrategy?: UserSwitchStrategy;
  /**
   * The version of the app's entities: raise it when their form changes. It is sent with every request, so that a server can refuse older apps
   * (`clientOutdated`). Stored data of an earlier version is migrated when its user's database is opened; data of a later one is refused with
   * `clientOutdated`, and a tab of an older app that is still open writes and syncs no more. Default 0.
   */
  schemaVersion?: number;
  /**
   * How stored data of earlier versions becomes that of `schemaVersion`: each begins where the one before it ends, and the last leads to `schemaVersion`. All
   * entities of a user change at once, with their pending operations, or none. Without it, they are taken as they are. The code that checks an array is loaded by
   * `initialize`, which a service worker cannot do: there, and in tests, use `migrations` of `datum-sync/migrations`.
   */
  migrations?: readonly Migration[] | Migrations;
  /**
   * The name of a field in which every entity says which `schemaVersion` its form has. The engine writes it into what it sends, and migrates what it pulls from devices
   * whose app is older; a server stores it as any other field. An entity without it counts as one of the earliest version. Without `schemaField`, pulled entities
   * are taken to have the form of `schemaVersion`.
   */
  schemaField?: string;
  /** Called with the error if a migration fails, which the call that opened the user's database rejects with. Nothing has changed then. */
  onMigrationError?: (error: DatumError) => void;
  /** Users whose `synchronize` is always skipped. */
  excludedSyncUserIds?: string[];
  /**
   * Listens for hints of the remote that there is something to pull, and then syncs immediately.
   * For the current user, while automatic cycles run, in one visible tab. Default false.
   *
   * Over HTTP it uses the protocol's `/stream`. If a proxy buffers that, or the server has none, it uses long
   * polling; a server that supports neither is not asked again. An adapter gives hints with `subscribe`.
   */
  realtime?: boolean;
  /**
   * When the page is hidden or left, sends the current user's pending operations without waiting for the answer: at most 60 KiB, with
   * the headers of the last request, unless sync is paused or the user excluded. The operations stay queued and are sent again;
   * the server applies them once. Default true. Over HTTP only: an adapter's requests end with its page.
   */
  flushOnLeave?: boolean;
  /**
   * When the page is hidden or goes offline with pending operations, asks the browser to wake the service worker once
   * there is a network (Background Sync, tag `datum-sync:` and `name`). Needs a service worker that calls `handleBackgroundSync` of
   * `datum-sync/service-worker`; does nothing in browsers without Background Sync, which only Chromium has. Default false.
   */
  backgroundSync?: boolean;
  /** Called for every event and every write. Their exceptions are logged on the console and have no other effect. */
  observers?: Observer[];
  /** Receives the log. Default: none, or the console if `logLevel` is given. */
  logger?: Logger;
  /** The lowest level that is logged. Ids of users and entities only from `"debug"` on. Default `"info"`. */
  logLevel?: LogLevel;
  /**
   * Whether cycles, phases, requests and commits are shown in the browser's performance timeline: as entries of `performance.measure`, for which
   * Chromium's Performance panel has a track of its own. At most 500 entries are kept: then they are removed, and new ones follow. Does nothing in browsers without `performance.measure`. Default false.
   */
  performanceTrack?: boolean;
}

/**
 * One step of the way to the app's schema version: what happens to the entities of one type, or of all, when stored data of the version
 * `from` is brought to the version `to`.
 */
export type Migration = {
  /** The version of the stored data. A whole number from 0 to 4,294,967,295. */
  readonly from: number;
  /** The version after it. Greater than `from`. */
  readonly to: number;
  /** The entity type; all types if it is left out. */
  readonly entity?: string;
} & (
  | {
      /**
       * Returns the entity in its new form. It gets plain JSON, which it may change, with the fields that the engine owns. It must be
       * synchronous and must leave `id` and `userId` as they are; changes of the engine's other fields are ignored.
       */
      readonly migrate: (entity: MigratedFields) => MigratedFields;
      readonly operations?: never;
    }
  | { readonly operations: readonly FieldOperation[]; readonly migrate?: never }
);

/** An entity in a migration: the engine's fields, and whatever the app has stored. */
export type MigratedFields = { [field: string]: any } & { readonly id: string };

/**
 * One change of a top-level field. `add` sets a field that an entity does not have; `rename` replaces what is under the new name;
 * `remove` and `transform` do nothing for entities without the field.
 */
export type FieldOperation =
  | { readonly add: string; readonly value: Json }
  | { readonly rename: string; readonly to: string }
  | { readonly remove: string }
  | { readonly transform: string; readonly with: (value: any) => Json };

/** The app's migrations as a checked chain. Made by `migrations` of `datum-sync/migrations`. */
export interface Migrations {
  /** The earliest version that can be migrated. */
  readonly from: number;
  /** The version to which they lead. */
  readonly to: number;
}

/** The first cycle after a sign-in. */
export interface ColdStart {
  /**
   * - `"adaptive"` (default): one, unless the last success, also before a reload, is younger than `threshold`.
   * - `"incremental"`: always one, from the cursor.
   * - `"fullSync"`: always one, without the cursor.
   * - `"disabled"`: none.
   */
  strategy?: "adaptive" | "incremental" | "fullSync" | "disabled";
  /** Milliseconds. Default 3,600,000. */
  threshold?: number;
  /** The delay after the sign-in, in milliseconds. Default 500. */
  delay?: number;
  /** How long it may take, in milliseconds; retries have `syncTimeout`. Default 15,000. */
  maxDuration?: number;
}

/** The configuration of one entity type. */
export interface EntityConfig<T extends Entity = AnyEntity> {
  /** The resolver of this type. */
  conflictResolver?: ConflictResolver<T>;
  /**
   * For the resolver `"merge"`: how fields that both sides changed are merged, if not by the later write. A path
   * with dots names a nested field, such as `"address.city"`. The fields of {@link Entity} and of `localOnly` are refused.
   *
   * @example
   * const tasks: EntityConfig<Task> = { mergeFields: { votes: "sum", tags: "union", due: "min", notes: "text" } };
   */
  mergeFields?: { [F in OwnField<T> | `${OwnField<T>}.${string}`]?: FieldPolicy };
  /**
   * Fields in whose order queries find entities without looking at each, at most 16: a path, such as `"due"` or `"project.name"`, or several for one
   * index, such as `["project", "due"]`. An index is in memory, and is built at the first query that can use it. {@link Manager.explain} says which
   * one a query uses.
   */
  indexes?: (string | string[])[];
  /** What `delete` keeps on this device. Default `"hardDelete"`: only the tombstone. `"softDelete"`: the body stays readable with `includeDeleted`. */
  deleteBehavior?: "softDelete" | "hardDelete";
  /**
   * Throws to refuse a write. It receives the whole entity, frozen: the draft of a `create`, the
   * entity of an `update`, the current entity with the changes of a `patch`. The write rejects with
   * `invalidEntity`, with the exception as its `cause`, and nothing is written; nor are others of the same `createMany`.
   */
  validate?: Middleware<T>["validate"];
  /** Returns the entity to store and sync. Called after `validate`. See {@link Middleware}. */
  beforeSave?: Middleware<T>["beforeSave"];
  /** Returns the entity that the app reads. See {@link Middleware}. */
  afterRead?: Middleware<T>["afterRead"];
  /** More middleware: writes pass the functions above and then this list in order, reads in reverse order. */
  middleware?: Middleware<T>[];
  /**
   * Top-level fields that never leave the device: they are in no request, and pulled rows,
   * merges and rejections do not remove them. They are deleted with the entity, and by `clearUserData`. A write that
   * changes no other field queues no operation and does not change `modifiedAt`. If the server has a field of that
   * name from another client, this device's value takes precedence. Resolvers do not see
   * them and cannot set them.
   *
   * The list may change: a field that is added stays on the server unchanged and is no longer sent (an
   * `update` that removes another field removes it there); a field that is removed is sent with the
   * entity's next write.
   */
  localOnly?: string[];
  /**
   * How entities of this type lead to others, by name: see {@link Relation}. A name is none of the type's own fields, begins with no `$` and has no
   * dots, quotes and backslashes. `with` reads relations along, {@link Manager.related} reads one, and `onDelete` says what a delete does to those that refer to
   * the deleted entity. An entity is sent after the pending creates of those that it refers to, whichever was written first, and the delete of an entity
   * after the pending operations of those that refer to it.
   *
   * @example
   * relations: {
   *   project: { belongsTo: "projects", foreignKey: "projectId" },
   *   subtasks: { hasMany: "tasks", foreignKey: "parentId", onDelete: "cascade" },
   *   tags: { manyToMany: "tags", through: "taskTags", thisKey: "taskId", otherKey: "tagId" },
   * }
   */
  relations?: Record<string, Relation<T>>;
  /**
   * What the entity shows once the server has rejected a write of it. Default `"revert"`: the server's row again, or nothing if it has none;
   * the rejected write is in {@link Datum.deadLetters}. `"keepLocal"`: the local write stays visible, also after reloads and newer rows, until
   * its dead letter (`kept`) is retried or discarded: of a rejected patch the changed fields, of anything else the whole. The next write of the
   * entity includes it and replaces the dead letter.
   */
  onRejected?: "revert" | "keepLocal";
}

/**
 * How entities of a type lead to others. Keys are top-level fields that hold an id, a string: `foreignKey` of `belongsTo` is a field of this type, that of
 * `hasOne` and `hasMany` a field of the other one; `thisKey` and `otherKey` are fields of the type `through`. A key that is null or missing, is no string or names nothing
 * leads nowhere. An id means an entity of the same space, or else one in another space of the user.
 */
export type Relation<T extends Entity = AnyEntity> =
  | { belongsTo: string; foreignKey: OwnField<T> }
  | { hasOne: string; foreignKey: string; onDelete?: OnDelete }
  | { hasMany: string; foreignKey: string; onDelete?: OnDelete }
  | { manyToMany: string; through: string; thisKey: string; otherKey: string; onDelete?: OnDelete };

/**
 * What the delete of an entity does to those whose key has its id (of `manyToMany`: to the entities of `through`). `"none"` (default): nothing; `"cascade"`: they are deleted,
 * too, by the rules of their own type; `"restrict"`: the delete rejects with `restricted` unless they go with it; `"setNull"`: their key becomes null. Everything
 * happens in one commit, or nothing. Deletes of the server and of other devices are not followed: who deletes follows the rules.
 */
export type OnDelete = "none" | "cascade" | "restrict" | "setNull";

/**
 * An entity that was read with relations, as in `With<Task, { project: Project | null; tags: readonly Tag[] }>`. `belongsTo` and `hasOne` give an entity or
 * null, the others a frozen array in order of id.
 */
export type With<T extends Entity, R> = Readonly<T> & Readonly<R>;

/** An entity, named. */
export interface EntityKey {
  readonly entity: string;
  /** The shared space of the entity; absent for the user's personal space. */
  readonly spaceId?: string;
  readonly id: string;
}

/** What a delete would do, by {@link Manager.getDeletePlan}. */
export interface CascadeDeletePreview {
  /** Nothing restricts it. */
  readonly canDelete: boolean;
  /** The entity and what goes with it; empty if there is none. */
  readonly deleted: readonly EntityKey[];
  /** Those whose keys become null. */
  readonly changed: readonly (EntityKey & { readonly fields: readonly string[] })[];
  /** Those that restrict it: by which relation, and of which entity. */
  readonly restrictedBy: readonly (EntityKey & { readonly relation: string; readonly of: EntityKey })[];
}

/** The names of the app's own fields. */
export type OwnField<T extends Entity> = Exclude<keyof T & string, keyof Entity>;

/** The names of the app's own fields that an entity may lack. */
export type OptionalField<T extends Entity> = { [F in OwnField<T>]-?: undefined extends T[F] ? F : {} extends Pick<T, F> ? F : never }[OwnField<T>];

/**
 * How a field that both sides changed is merged. A field that only one side changed keeps that side's value, under every policy.
 *
 * - `"local"`, `"remote"`: this device's value, or the server's.
 * - `"lastWrite"`: the later write's value, as without a policy; objects as a whole instead of by field.
 * - `"min"`, `"max"`: of two numbers, or of two strings: the earlier or later time, where they are times such as `createdAt`.
 * - `"sum"`: for counters and amounts: the base plus both sides' differences. Exact for whole
 *   numbers and for up to nine decimal places, and each change counts once, whatever replies are lost. For that, an entity
 *   with a change is pushed, in any direction, before a pulled row of it is applied, and a second change waits for the first.
 * - `"union"`: for arrays as sets: the elements that either side added, without those that either removed. Objects with an `id` are
 *   matched by it and merged by field; an object removed on one side and changed on the other stays. The base's order, then new elements.
 * - `"text"`: for strings: the edits of both sides, by line and by word. The later write wins where they overlap; lines that both
 *   added at one place are both kept.
 *
 * For values that do not fit the policy, such as text for `"sum"`, the later write wins; {@link Datum.explainMerge} says so.
 */
export type FieldPolicy = "local" | "remote" | "lastWrite" | "min" | "max" | "sum" | "union" | "text";

/**
 * Functions that transform the entities of a type: `afterRead` reverses `beforeSave`. Both are
 * synchronous, receive an entity that they may change, and return it or another one; they cannot change the
 * fields of {@link Entity}. `beforeSave` receives the app's argument and must return JSON.
 *
 * The server has the result of some device's `beforeSave`: pulled rows pass
 * `afterRead` when they are read, and never `beforeSave`. A {@link ConflictResolver} function receives
 * and returns entities as the app knows them; the built-in ones compare stored values. Events and dead
 * letters have stored values.
 *
 * If `beforeSave` throws, the write is refused with `invalidEntity`. If `afterRead` throws, the
 * entity is returned as it is stored, the exception is logged once on the console, and a `patch` of the
 * entity is refused. A `patch` writes the fields whose stored value changes, and removes those that
 * `beforeSave` leaves out.
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
   * The base of the protocol's `/sync/v1`: `"https://api.example.com"`, or a path on the page's own server.
   * Without query, fragment or password.
   */
  url: string;
  /** Sent with each request. */
  headers?: HeaderSource;
  /**
   * Replaces the global `fetch`. It is called with a url and an init whose `headers` are a plain
   * object and whose `body` is a string (bytes if compressed).
   */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Whether cookies are sent. Default: the browser's own, `"same-origin"`. */
  credentials?: RequestCredentials;
  /** Compresses bodies above 8 KiB with gzip, if the browser can. The server must accept them. Default false. */
  compress?: boolean;
  /**
   * How long the remote may be silent, in milliseconds, 1 to 3,600,000: before the response begins, and between any two
   * parts of it. However long a response is, it may take longer; a request gets a second more for each 16 kB that it sends. Default 30,000.
   */
  timeout?: number;
}

/**
 * The headers of each request, or a function that returns them.
 *
 * The function is called with `"request"` for each request, and with `"unauthorized"` after the remote
 * answered 401: renew the token then. Concurrent requests that were refused share that
 * second call. Each is sent once more; another 401 is a {@link DatumError} `unauthorized`. So is a function that
 * throws, returns no valid headers, or has not answered within `timeout`: the message names `headers`. Operations
 * stay queued, the health is `unauthorized`, and the next sync calls the function again. A {@link DatumError} that it throws keeps its
 * code: throw `new DatumError("network", …)` where a token could not be renewed for want of a network.
 */
export type HeaderSource = HeaderRecord | ((reason: "request" | "unauthorized") => HeaderRecord | Promise<HeaderRecord>);

/** Header names and values. An undefined value leaves the header out. */
export type HeaderRecord = Record<string, string | undefined>;

/**
 * Any backend, by the app's own code.
 *
 * A {@link DatumError} that a method throws keeps its code. Of anything else the engine reads `status` as an HTTP status (401, 426 and 429
 * as in the protocol, 403 of a pull too, 410 for a cursor that is no longer valid, 413 for a batch that is too large, 409 as a
 * refusal of operations), and `retryAfterMs`. An exception of the language (a `TypeError` that no request has led to) is a bug: `protocol`. Any other one counts as a network failure and is retried. A `push` that
 * fails as a whole is sent again in parts: operations that fail alone rest and are named in `lastError`, one that is refused alone
 * (409, `rejected`) becomes a dead letter, and the others go. `signal` aborts when the cycle is stopped.
 */
export interface RemoteAdapter {
  /** Names the backend that the data belongs to, if replies do not: another name is another server, see `acceptServer`. */
  serverId?: string;
  /** Returns a page of changes after `request.cursor`; from the beginning if that is null. */
  pull(request: PullRequest, signal: AbortSignal): Promise<PullPage>;
  /** Applies operations in order and returns a verdict on each. A repeated operation (the same `opId`) must change nothing. */
  push(request: PushRequest, signal: AbortSignal): Promise<PushReply>;
  /**
   * Returns the last record that any device passed to `putSyncMetadata`. A backend with digests ({@link PullPage.digests}) may add them, as of
   * now: `compareSyncMetadata` compares with them.
   *
   * `purpose` may save work: `"compare"` needs the digests, `"read"` the record. Before `putSyncMetadata` it is `"put"`, for the other devices'
   * times; a backend that keeps a record for each device may return null then.
   */
  getSyncMetadata?(userId: string, purpose?: "read" | "compare" | "put"): Promise<(SyncMetadata & { digests?: PullPage["digests"] }) | null>;
  /** Stores the user's record. Its `devices` include those of the record from `getSyncMetadata`. */
  putSyncMetadata?(metadata: SyncMetadata): Promise<void>;
  /** Deletes that record. */
  clearSyncMetadata?(userId: string): Promise<void>;
  /**
   * Calls `hint` whenever there may be something to pull for that user. Many calls at once count as one; calls after
   * the end are ignored. Returns a function that ends the subscription. If it throws, it is called again later if the error is retryable.
   */
  subscribe?(userId: string, hint: () => void): () => void;
  /** Returns whether the backend works. */
  health?(): Promise<boolean>;
}

/** The argument of `pull`. */
export interface PullRequest {
  /** This device. */
  clientId: string;
  /** The user. A backend must refuse the request (409, `userMismatch`) if its own session belongs to another user. */
  userId: string;
  /** The end of the last page; null for everything. */
  cursor: string | null;
  /** With `cursor: null`: the last epoch that this device knew. See {@link PullPage.kept}. */
  epoch?: string;
  /** The maximum number of rows in the page. */
  limit: number;
  /** Only these entity types. */
  entities?: string[];
  /** Asks a backend with shared spaces for {@link PullPage.spaces}, whether the list has changed or not. */
  spaces?: true;
}

/**
 * A page of changes, in the order in which the backend committed them. A backend with shared spaces keeps the order within each space; what it adds is
 * in section 11 of the protocol, whose names are those of the fields here.
 */
export interface PullPage {
  changes: Change[];
  /** The start of the next page: any text, never empty. */
  cursor: string;
  /** Whether there are more rows. */
  more: boolean;
  /** The number of rows after this page; makes progress exact. */
  remaining?: number;
  /** Changes when the backend is restored to an older state. */
  epoch?: string;
  /**
   * If the request names another epoch: the greatest version that survived its end. Writes acknowledged
   * later are offered again. Without it a device compares contents and the times of the writes.
   */
  kept?: number;
  /** The backend's clock. */
  serverTime?: string;
  /** Which server this is, the same after a restore. An adapter's own `serverId` wins over it. */
  serverId?: string;
  /**
   * Count and hash of each entity type as of `cursor`, when `more` is false, to find rows that went astray. `hash` is the sum over the live rows,
   * modulo 2^64 and in 16 hexadecimal digits, of the first 16 digits of the MD5 of `"entity\nid\nversion"`; of a row of a shared space
   * `"space\nentity\nid\nversion"`.
   */
  digests?: Record<string, { count: number; hash: string }>;
  /**
   * All shared spaces of the user, in the order of joining: what is not in it is left. With every page whose list is not that of the
   * request's cursor, and with every page from a null cursor, empty if there are none. A backend that has no spaces leaves it out: then
   * nothing that names a space is sent to it, and writes into spaces reject with `unsupported`.
   */
  spaces?: { id: string; role: SpaceRole }[];
  /** The spaces that come from their beginning with this page. `space` absent or null: the personal one. `at`: its counter. */
  starts?: { space?: string | null; at: number; kept?: number }[];
}

/** One row of a page. */
export interface Change {
  entity: string;
  id: string;
  /** 1 or more, greater with each write of the row. */
  version: number;
  /** A tombstone, without `data`. */
  deleted?: boolean;
  /** The shared space that the row is in; absent or null: the personal one. */
  space?: string | null;
  /** Of the tombstone of a moved row: where it is now, if this user may read it there. */
  movedTo?: { space?: string | null; version: number };
  /** The app's fields with `createdAt` and `modifiedAt`. */
  data?: { [field: string]: Json };
}

/** The argument of `push`. */
export interface PushRequest {
  /** This device. */
  clientId: string;
  /** The user: see {@link PullRequest}. */
  userId: string;
  /**
   * The epoch of the versions, if this device knows one. If it is not the backend's, the backend must do nothing
   * and answer each operation with `{ status: "retry", code: "epochChanged" }`, and with its own `epoch`.
   */
  epoch?: string;
  /**
   * The server that the operations are for, if replies have named it ({@link PushReply.serverId}) and the adapter has no `serverId` of
   * its own. If it is not the backend's, the backend must do nothing and answer each operation with
   * `{ status: "retry", code: "otherServer" }`, and with its own `serverId`.
   */
  serverId?: string;
  /** At most one for each entity. */
  operations: PushedOperation[];
}

/** One write, conditional on the version that it was made against. */
export interface PushedOperation {
  /** Never reused. */
  opId: string;
  entity: string;
  id: string;
  kind: OperationKind;
  /** The shared space that the row is in; absent: the personal one. A backend without spaces must reject the operation (`invalidOperation`). */
  space?: string;
  /** Of a `move`: the space that the row goes to; absent: the personal one. */
  to?: string;
  /** The row's version must still be this; null: the row must not exist. */
  baseVersion: number | null;
  /** All fields for create and update, the changed ones for patch, absent for delete. */
  data?: { [field: string]: Json };
  /**
   * Operations earlier in the same request. If one of them is not applied, this one must not be either: answer
   * `{ status: "retry", code: "blocked" }`.
   */
  after?: string[];
}

/** One verdict for each operation, in their order. */
export interface PushReply {
  results: PushVerdict[];
  /** Changes when the backend is restored to an older state. */
  epoch?: string;
  /** The backend's clock. */
  serverTime?: string;
  /** Which server this is, the same after a restore. An adapter's own `serverId` wins over it. */
  serverId?: string;
}

/** The outcome of one operation. */
export type PushVerdict = { opId: string } & (
  /** It is stored, now or since an earlier request. `row` if the backend changed the data. */
  | { status: "applied"; version: number; replayed?: boolean; row?: { [field: string]: Json }; leftVersion?: number }
  /**
   * The base is not current; `row` is the current data, null if it was deleted. If the row was moved to where this user may read it: its
   * `space`, null for the personal one, and the version of the tombstone that it has left.
   */
  | { status: "conflict"; version: number; row: { [field: string]: Json } | null; space?: string | null; leftVersion?: number }
  /** It will never be accepted. */
  | { status: "rejected"; code: string; message: string; row?: { [field: string]: Json } | null; space?: string }
  /** Not now. */
  | { status: "retry"; retryAfterMs?: number; code?: string }
);

/** Which phases a cycle has, and in which order. */
export type SyncDirection = "pushThenPull" | "pullThenPush" | "pushOnly" | "pullOnly";

/** The options of {@link Datum.synchronize}. An unknown key is refused with `invalidArgument`. */
export interface SyncOptions<T extends Entity = AnyEntity> {
  /** Default: `defaultSyncDirection` of the config. */
  direction?: SyncDirection;
  /** Ignores the cursor: pulls everything, then drops what the server no longer has. Default false. */
  forceFullSync?: boolean;
  /**
   * Operations per push and rows per page, 1 to 10,000. Default: 1,000 operations, fewer if the server refuses
   * so many; 1,000 rows, and up to 4,000 if a server of the sync protocol answers quickly.
   */
  overrideBatchSize?: number;
  /** Whether deletes are pushed and pulled tombstones applied. Default true; false keeps both pending. */
  includeDeletes?: boolean;
  /** Whether conflicts are resolved. Default true; false parks each for {@link Datum.resolveConflict}. */
  resolveConflicts?: boolean;
  /** The resolver for this cycle. */
  conflictResolver?: ConflictResolver<T>;
  /** Pulls only a part, with a cursor of its own: some entity types, or what the remote selects by `query`. */
  scope?: SyncScope;
  /** How long the cycle may take, in milliseconds. Default: `syncTimeout` of the config. */
  timeout?: number;
  /** Stops the cycle at its next safe point. */
  signal?: AbortSignal;
  /** Runs even if the browser reports being offline and the remote has not answered. Default false. */
  force?: boolean;
}

/** A partial pull. Its cursor is stored under `name`, which is derived from the other two by default. */
export interface SyncScope {
  /** Only these entity types. */
  entities?: string[];
  /** The remote's own selection. */
  query?: Json;
  name?: string;
}

/** The result of a cycle. A cycle that failed in part resolves; one that could not run rejects. */
export interface SyncResult {
  userId: string;
  /** Neither skipped nor cancelled, and nothing failed. */
  isSuccess: boolean;
  /** Operations pushed, and rows pulled and applied. */
  syncedCount: number;
  pushedCount: number;
  pulledCount: number;
  /** Operations that the server rejected in this cycle. */
  failedCount: number;
  conflictsDetected: number;
  conflictsResolved: number;
  /** Operations that are still pending. */
  pendingOperations: number;
  /** Bytes of this cycle. */
  bytesPushed: number;
  bytesPulled: number;
  /** Bytes of all cycles of this user on this device. */
  totalBytesPushed: number;
  totalBytesPulled: number;
  /** Milliseconds. */
  duration: number;
  /** Whether at least one reply of the remote was applied, or confirmed that nothing is new. */
  remoteFetched: boolean;
  wasSkipped: boolean;
  /** `offline`: the browser reports it, and the remote did not answer one request either. */
  skipReason?: "offline" | "paused" | "inProgress" | "excludedUser" | "nothingToPush";
  wasCancelled: boolean;
  /** The same by entity type. */
  entities: Record<string, { pushed: number; pulled: number; failed: number; conflicts: number }>;
  /** The first failure, if there was one. */
  error?: DatumErrorJson;
}

/** The state of a user's sync: `idle` until the first cycle, then the outcome of the last one until the next begins. */
export type SyncState = "idle" | "syncing" | "paused" | "cancelled" | "failed" | "completed";

/** A snapshot of a user's sync: the same in every tab except for `isLeader`, whichever tab syncs. */
export interface SyncStatus {
  userId: string;
  status: SyncState;
  /** 0 to 1; never decreases within a cycle. */
  progress: number;
  /** Only while `status` is `"syncing"`. */
  phase?: "pushing" | "pulling" | "applying";
  /** Operations that are pending. */
  pendingOperations: number;
  /** Operations that this cycle has settled. */
  completedOperations: number;
  /** Operations that the server rejected in this cycle. */
  failedOperations: number;
  /** Operations pushed and rows pulled in this cycle. */
  syncedCount: number;
  conflictsResolved: number;
  /** Undecided conflicts. */
  unresolvedConflicts: number;
  /** Rejected operations that the app has not dealt with. */
  deadLetters: number;
  lastStartedAt?: string;
  lastCompletedAt?: string;
  /** When the next automatic cycle begins, in whichever tab leads; absent if none is planned. */
  nextSyncAt?: string;
  /** When the next automatic cycle begins, if it retries a failed one. */
  nextRetryAt?: string;
  /** The failures of the current or last cycle. */
  errors: readonly DatumErrorJson[];
  health: Health;
  /** Whether this tab runs the automatic cycles. */
  isLeader: boolean;
  /** Whether the browser reports a network. */
  online: boolean;
}

/** The condition of local storage, remote and sync. */
export interface Health {
  status: "healthy" | "syncing" | "pending" | "degraded" | "offline" | "unauthorized" | "error";
  local: "healthy" | "memoryOnly" | "unhealthy";
  remote: "healthy" | "unreachable" | "unhealthy" | "unknown";
}

/** The current status and each later one. A `for await` loop gets the latest at once and never misses the end of a cycle. */
export interface StatusFeed extends AsyncIterable<SyncStatus> {
  /** The latest status. */
  readonly current: SyncStatus;
}

/** What is known about a user's cycles: on this device, or, from the remote, on all devices. */
export interface SyncMetadata {
  userId: string;
  /** The last attempt, successful or not. */
  lastSyncTime?: string;
  lastSuccessfulSyncTime?: string;
  /** A hash over entity, id and version of all rows, in any order; equal on client and server when in sync. */
  dataHash?: string;
  /** The device that the rest describes. */
  deviceId?: string;
  /** Every device that synced, with its last success. */
  devices: Record<string, string>;
  deviceCount: number;
  /** The app's own fields: {@link Datum.setCustomMetadata}. From the remote, those of all devices; the latest device wins for each field. */
  customMetadata?: Record<string, Json>;
  entityCounts: Record<string, { count: number; hash?: string; pending: number }>;
  syncStatus: "neverSynced" | "syncing" | "synced" | "failed" | "pending" | "conflict";
  /** Unresolved conflicts now. */
  conflictCount: number;
  /** The error of the last attempt; cleared by the next success. */
  errorMessage?: string;
  /** Failed attempts since the last success. */
  retryCount: number;
  /** How long the last cycle took, in milliseconds. */
  syncDuration?: number;
  isNeverSynced: boolean;
  hasConflicts: boolean;
}

/**
 * What happens to the previous user's operations, or to the new user's data, when the user changes.
 *
 * - `"syncThenSwitch"`: pushes the previous user's pending operations, if any, for at most `syncTimeout`, unless offline
 *   or paused. Then it switches in any case: what is still pending is kept.
 * - `"promptIfUnsyncedData"`: does not switch while the previous user has pending operations or dead letters, so
 *   that the app can ask.
 * - `"keepLocal"`: just switches.
 * - `"clearAndFetch"`: removes this device's data of the **new** user and pulls everything again. That user's pending
 *   operations are pushed before; if some cannot be, or nothing can be pulled (offline, paused), it does not switch.
 * - `"adopt"`: a visitor becomes an account. Everything of the previous user on this device becomes the new user's, as
 *   pending creates, in one atomic step that survives a crash; then the previous user's data is removed from this device.
 *   Where both have an entity of the same id, the conflict resolvers decide at the next sync. Of shared spaces that the server
 *   has, only pending operations go along.
 */
export type UserSwitchStrategy = "syncThenSwitch" | "clearAndFetch" | "promptIfUnsyncedData" | "keepLocal" | "adopt";

/** The argument of {@link Datum.switchUser}. */
export interface UserSwitch {
  /** If given, it must be the current user: a check against concurrent switches. */
  oldUserId?: string;
  newUserId: string;
  /** Default: `defaultUserSwitchStrategy` of the config. */
  strategy?: UserSwitchStrategy;
}

/** The result of a switch. */
export interface UserSwitchResult {
  /** Whether `newUserId` is the current user now. */
  success: boolean;
  previousUserId: string | null;
  newUserId: string;
  /** Operations that are still pending: the previous user's, or the new user's after `"adopt"` or if they prevented `"clearAndFetch"`. */
  unsyncedOperations: number;
  /** After `"adopt"`: how many entities the new user did not have, and how many it has as well with other content. */
  adopted?: { added: number; merged: number };
  /** Why the user was not switched (`unsyncedData`, `offline`); after a switch, why operations are still pending or the pull failed. */
  error?: DatumErrorJson;
}

/** How to sign out. */
export interface LogoutOptions {
  /** How long to try to push pending operations, in milliseconds; 0 for not at all. Default 5,000. */
  flush?: number;
  /** Removes all of the user's data from this device. Default false. */
  wipe?: boolean;
  /** Wipes unsynced data too, irrevocably. Default false. */
  force?: boolean;
}

/** How far an export or an import is. */
export interface TransferProgress {
  /** `"writing"` of an export, `"reading"` of an import. What is read is written at once, when the file has ended. */
  phase: "writing" | "reading";
  /** Lines so far. */
  lines: number;
  /** Lines in all. */
  total: number;
}

/** How to export a user's data. */
export interface ExportOptions {
  /** Also the fields that never leave the device (`localOnly`). Default true. */
  localOnly?: boolean;
  /** Called after each chunk. What it throws is reported to the console, and changes nothing. */
  onProgress?: (progress: TransferProgress) => void;
  /** Ends the stream with `cancelled`. */
  signal?: AbortSignal;
}

/** How to import a user's data. */
export interface ImportOptions extends UserOption {
  /**
   * What becomes of an entity that is here in another state than in the file: `"keep"` leaves it as it is (the default), `"overwrite"`
   * makes the file's state a pending write, `"fail"` imports nothing. No import deletes an entity that is here.
   */
  existing?: "keep" | "overwrite" | "fail";
  /**
   * Imports the entities as new writes, which the next cycle offers to the server: needed if the file is of another user or another
   * server, or if the server was restored since. Entities of shared spaces do not come along. Default false.
   */
  asNew?: boolean;
  /** Only says what would be done. Default false. */
  dryRun?: boolean;
  /** Called after each chunk. What it throws is reported to the console, and changes nothing. */
  onProgress?: (progress: TransferProgress) => void;
  /** Stops the import, which has written nothing then. An import that has read its file may be past that. A source of which nothing was read yet is left as it is. */
  signal?: AbortSignal;
}

/** What an import has done, or would do. */
export interface ImportResult {
  userId: string;
  dryRun: boolean;
  /** Entities that were not here. */
  added: number;
  /** Entities whose state here was replaced, by `existing: "overwrite"`. */
  overwritten: number;
  /** Entities that stay as they are here, though the file has another state. */
  kept: number;
  /** Entities that were here already, as in the file. */
  unchanged: number;
  /** Entities of shared spaces that did not come along. */
  skipped: number;
  /** Operations that are pending now and were not before. */
  pendingOperations: number;
  /** Conflicts that wait for a decision now. */
  conflicts: number;
  /** Dead letters that were not here. */
  deadLetters: number;
}

/** What `importUser` reads: `fetch`'s response, a file that the user has chosen, a stream of `exportUser`, its text or bytes. */
export type ImportSource = ReadableStream<Uint8Array | string> | Response | Blob | string | ArrayBuffer | ArrayBufferView | AsyncIterable<Uint8Array | string>;

/** The result of a logout. */
export interface LogoutResult {
  /** Operations that were pushed during the logout. */
  flushed: number;
  /** Operations that were not pushed. They are kept for the next sign-in, unless they were wiped. */
  unsynced: PendingOperation[];
  /** Rejected operations. */
  deadLetters: number;
  /** Whether all of the user's data was removed from this device. */
  wiped: boolean;
}

/** How this device's data compares with the remote's, by digest and not by clocks. */
export type MetadataComparison = "inSync" | "remoteNewer" | "localNewer" | "diverged" | "neverSynced" | "unknown";

/** An entity that changed here and on the server. */
export interface Conflict<T extends Entity = AnyEntity> {
  id: string;
  entity: string;
  /** The shared space of the entity; absent for the user's personal space. */
  spaceId?: string;
  entityId: string;
  userId: string;
  kind: "bothModified" | "deletedRemotely" | "deletedLocally";
  /** The last state that both sides agreed on; null if there was none. */
  base: Readonly<T> | null;
  /** Null if it was deleted here. */
  local: Readonly<T> | null;
  /** Null if it was deleted on the server. */
  remote: Readonly<T> | null;
  /** The fields that were changed on both sides, to different values. */
  fields: readonly string[];
  detectedAt: string;
}

/** A resolver's decision. */
export type Resolution<T extends Entity = AnyEntity> =
  | { take: "local" }
  | { take: "remote" }
  | { take: "merged"; data: T }
  /** The conflict stays undecided: see {@link Datum.conflicts}. */
  | { take: "later" };

/** How one conflict was decided. */
export interface MergeExplanation {
  readonly at: string;
  readonly entity: string;
  /** The shared space of the entity; absent for the user's personal space. */
  readonly spaceId?: string;
  readonly entityId: string;
  /** The built-in resolver's name, `"function"` for the app's own, `"resolveConflict"` if the app decided it later. */
  readonly resolver: string;
  /** The fields in which the sides differed; only the first of very many. For a deletion, only `isDeleted`. */
  readonly fields: readonly FieldExplanation[];
}

/** How one field was decided. An absent value is null; a value of more than 256 bytes of JSON is a string with its beginning and `…`. */
export interface FieldExplanation {
  /** Its name; a path with dots for a nested field. */
  readonly field: string;
  readonly base: Json;
  readonly local: Json;
  readonly remote: Json;
  readonly taken: "local" | "remote" | "merged";
  /** A short sentence for people. */
  readonly because: string;
}

/**
 * Decides conflicts.
 *
 * - `"merge"`: by field, against the base. Fields changed on both sides are merged by their {@link FieldPolicy}, objects field by field;
 *   for everything else the later write wins. An edit wins over a delete.
 * - `"lastWriteWins"`: the whole entity of the later write. An edit wins over a delete.
 * - `"localPriority"`, `"remotePriority"`: always the same side.
 * - `"ask"`: the conflict waits for {@link Datum.resolveConflict}, also after reloads; meanwhile the app sees its own side.
 * - a function: called for each conflict, and again if its entity changed meanwhile. It may take any side of a deletion too:
 *   taking the edited or a merged entity creates it again.
 *
 * If a function throws, returns anything else or does not answer within `resolverTimeout`, the conflict stays undecided, the
 * failure (`conflict`, `invalidEntity`, `timeout`) is in the result and the status, and the cycle continues. The function is called
 * again in each of the next two cycles; after that, only {@link Datum.resolveConflict} decides. After a `timeout` it is
 * not called again in that cycle.
 */
export type ConflictResolver<T extends Entity = AnyEntity> =
  | BuiltinResolver
  | ((conflict: Conflict<T>) => Resolution<T> | Promise<Resolution<T>>);

/** The names of the built-in resolvers. */
export type BuiltinResolver = "merge" | "lastWriteWins" | "localPriority" | "remotePriority" | "ask";

/** The kind of an operation. */
export type OperationKind = "create" | "update" | "patch" | "delete" | "move";

/** A local write that the server has not decided. Attempts and times are those that this tab knows of. */
export interface PendingOperation {
  opId: string;
  entity: string;
  /** The shared space of the entity; absent for the user's personal space. */
  spaceId?: string;
  entityId: string;
  /** Of a move: the space that the entity goes to; null for the personal space. */
  to?: string | null;
  kind: OperationKind;
  /** `inFlight`: sent, no answer yet. `blocked`: waits for `blockedBy`. `pending`: sent with the next push. */
  state: "pending" | "inFlight" | "blocked";
  queuedAt: string;
  /** How often it was sent without a verdict. */
  attempts: number;
  /** Its size in a request. */
  bytes: number;
  /** The `id` of a {@link Conflict} or a {@link DeadLetter}, or the `opId` of the operation that must be decided first. */
  blockedBy?: string;
  /** When it is sent again: as the server asked, or with the next automatic cycle. */
  nextAttemptAt?: string;
  /** The error of the last attempt to send it. */
  lastError?: DatumErrorJson;
}

/** The result of {@link Datum.explainNextSync}. */
export interface NextSyncExplanation {
  readonly userId: string;
  /** When the next automatic cycle begins; null if it begins at once, or if none does until something changes. */
  readonly at: string | null;
  readonly reason: NextSyncReason;
  /** The same for people: why, and what mends it if no cycle is planned. */
  readonly because: string;
  /** The failure of the last cycle, if it still matters. */
  readonly error?: DatumErrorJson;
}

/** Why the next automatic cycle is when it is, or why there is none. */
export type NextSyncReason =
  /** The interval of automatic cycles. */
  | "interval"
  /** A write is pushed after `syncAfterWrite`. */
  | "write"
  /** The first cycle after a sign-in. */
  | "signIn"
  /** The network came back, the page became visible, or sync was resumed. */
  | "resumed"
  /** The remote has said that there is something to pull. */
  | "hint"
  /** The last cycle failed. */
  | "retry"
  /** The remote has asked for the delay. */
  | "retryAfter"
  /** The remote has postponed an operation, or fails on it. */
  | "postponed"
  /** A cycle runs. */
  | "running"
  /** Another tab runs the automatic cycles; `at` is its plan, as far as it has announced one. */
  | "otherTab"
  /** No tab has announced itself as the one that runs the automatic cycles: this one asks to. */
  | "electing"
  /** None: sync is paused. */
  | "paused"
  /** None: the browser reports no network, and no request has shown otherwise. */
  | "offline"
  /** None: this tab is hidden. */
  | "hidden"
  /** None: the last cycle failed in a way that needs somebody to act, see `error`. */
  | "stopped"
  /** None: automatic cycles are not started. */
  | "notStarted"
  /** None: `excludedSyncUserIds` names the user. */
  | "excluded"
  /** None: the user's database is not open here. */
  | "notOpen"
  /** None: the instance is closed. */
  | "closed";

/** The result of {@link Datum.explainOperation}. */
export interface OperationExplanation {
  readonly opId: string;
  readonly userId: string;
  readonly entity: string;
  readonly entityId: string;
  /**
   * `inFlight`: sent, no answer yet. `waiting`: it goes by itself. `stopped`: it goes once somebody acts, or something outside changes, as the reasons
   * say. `deadLetter`: the remote has rejected it, or the app has discarded it.
   */
  readonly state: "inFlight" | "waiting" | "stopped" | "deadLetter";
  /** What keeps it, each with what mends it; at least one. What must be mended for this operation alone comes first. */
  readonly reasons: readonly WaitReason[];
}

/** Why an operation has not been sent. */
export interface WaitReason {
  readonly reason: WaitReasonName;
  /** The same for people, with what mends it. */
  readonly because: string;
  /** When it is over, if that is known. */
  readonly until?: string;
  /** The `id` of the {@link Conflict} or {@link DeadLetter}, or the `opId`, that comes first. */
  readonly blockedBy?: string;
  readonly error?: DatumErrorJson;
}

/** What keeps an operation: something of its own, or of all of the user's sync. */
export type WaitReasonName =
  | NextSyncReason
  /** It was sent, and the answer has not come. */
  | "inFlight"
  /** An operation that it depends on, or an earlier one of its entity, waits itself: the text says why. */
  | "blocked"
  /** A conflict of its entity is undecided. */
  | "conflict"
  /** It is a dead letter, or depends on one. */
  | "deadLetter"
  /** The config does not name its entity type. */
  | "unnamedType"
  /** It is a delete, and `includeDeletes` is off. */
  | "deletesHeld"
  /** `defaultSyncDirection` is `"pullOnly"`. */
  | "pullOnly"
  /** It is in a shared space, and the remote has not said that it has spaces; or its entity is on its way to another space. */
  | "space"
  /** Another server answers than the one that the data belongs to. */
  | "otherServer"
  /** The server was restored, and everything is pulled before anything is sent. */
  | "restored"
  /** The storage refused what the last cycle had to record. */
  | "storage"
  /** This device's clock is wrong by more than a minute, which may be why a token or a certificate is refused. */
  | "clock";

/**
 * The engine of an app: its entities and their sync.
 *
 * Calls with a user id reject with `invalidArgument` if it is empty or malformed, and with `closed`
 * after {@link Datum.close}.
 *
 * @example
 * const datum = await Datum.initialize<{ tasks: Task }>({
 *   entities: { tasks: {} },
 *   remote: { url: "https://api.example.com", headers: async () => ({ Authorization: `Bearer ${await token()}` }) },
 *   initialUserId: "ada",
 *   autoStartSync: true, // what is written is sent by itself
 * });
 * const tasks = datum.manager("tasks");
 * await tasks.create({ title: "Buy milk", done: false });
 */
export class Datum<E extends { [N in keyof E]: Entity } = AnyEntities> implements AsyncDisposable {
  private constructor();

  /**
   * Loads the engine and opens the storage. With the app's entity types (`Datum.initialize<{ tasks: Task }>(…)`), their managers have
   * them, and other names do not compile.
   *
   * While an instance of this `name` is open, a further call resolves with it, and the live parts of the newest config replace the older
   * ones: headers, `fetch`, adapter, middleware, resolvers, observers, logger. The data of both configs must be the same; in a module
   * that a development server has replaced, the newer config wins, and the instance is opened again. An instance that is being
   * closed is given to nobody: the call waits until it has closed.
   *
   * Rejects with `invalidConfig` (naming the key; also if the name is open and the data differs), `userMismatch` (the name is open, and
   * `initialUserId` is not its current user), `storageUnavailable`, `storageBlocked` (another tab has an older version open), `network`
   * (the engine's own file could not be loaded).
   */
  static initialize<E extends EntityTypes<E> = {}, N extends string = keyof E & string>(
    config: Omit<DatumConfig, "entities"> & { entities: { [K in N]: EntityConfig<K extends keyof E ? E[K] : any> } },
  ): Promise<Datum<{ [K in N]: K extends keyof E ? E[K] : AnyEntity }>>;
  /** The open instance that was initialized first. Throws `notInitialized` if there is none. */
  static readonly instance: Datum;
  /** The version of the package, such as `"1.2.3"`. */
  static readonly version: string;
  /** Whether {@link Datum.instance} may be read. */
  static readonly isInitialized: boolean;
  /** The open instances of this page, the oldest first: for the browser's console. */
  static readonly instances: readonly Datum[];

  /** The `name` of its config. */
  readonly name: string;
  /** The user of `manager` calls that name none. */
  readonly currentUserId: string | null;
  /**
   * Yields the current user, null for nobody: at once, then after every change, also when another tab has removed the user's data. The
   * loop ends when the instance is closed.
   */
  watchCurrentUser(): AsyncIterable<string | null>;

  /**
   * Returns the manager of one entity type, as `initialize` was told of it, or with the type argument if there is one. Throws
   * `invalidArgument` if the config has no such type.
   */
  manager<N extends keyof E & string>(entity: N): Manager<E[N]>;
  manager<T extends Entity & JsonFields<T>>(entity: keyof E & string): Manager<T>;

  /**
   * Runs a cycle: pushes pending operations, pulls new rows, resolves conflicts. Failures of single operations
   * are in the result.
   *
   * Rejects with `invalidArgument`, `timeout`, `unauthorized`, `forbidden`, `network`, `serverError`,
   * `rateLimited`, `protocol`, `clientOutdated`, `userMismatch`, `storageFull` and others. Being offline, paused
   * or aborted is not an error: see `wasSkipped` and `wasCancelled`.
   */
  synchronize(userId: string, options?: SyncOptions): Promise<SyncResult>;

  /**
   * Returns the status feed of a user's sync.
   *
   * @example
   * for await (const status of datum.statusForUser("ada")) render(status);
   */
  statusForUser(userId: string): StatusFeed;

  /**
   * Returns the events from the start of the loop on. A reader that is too slow loses transient events first;
   * `metrics.droppedEvents` counts them.
   *
   * @example
   * for await (const event of datum.events({ type: "dataChanged" })) console.log(event.entity, event.created);
   */
  events<K extends DatumEvent["type"] = DatumEvent["type"]>(filter?: EventFilter<K>): AsyncIterable<Extract<DatumEvent, { type: K }>>;

  /**
   * Stops the running cycle at its next safe point, which resolves with `wasCancelled`, and starts no other; for one user,
   * or for all users, including later sign-ins. A second pause has no effect. Resolves when nothing runs any more in this
   * tab. The pause holds in every tab that has the user's database open or opens it later, and ends with the last of them.
   */
  pauseSync(userId?: string): Promise<void>;
  /**
   * Allows cycles again, for all users, or for one while the others stay paused. The status returns to the outcome of the last
   * cycle. It starts no cycle itself; automatic ones continue, and those that stopped after a refusal are retried.
   */
  resumeSync(userId?: string): Promise<void>;

  /**
   * Starts automatic cycles for a user, the first after one interval; another call changes the interval. A cycle
   * that fails is retried with the delays of `retry`; after a refusal (`unauthorized`, `forbidden`, `clientOutdated`,
   * `userMismatch`) they stop until `resumeSync`, a sign-in, or a `synchronize` that succeeds.
   *
   * Throws `invalidArgument` if `interval` is not a whole number from 1,000 to 86,400,000 (milliseconds; default
   * `autoSyncInterval`), and `closed`.
   */
  startAutoSync(userId: string, options?: { interval?: number }): void;
  /** Stops automatic cycles for a user, or for all. A running cycle continues. Throws `invalidArgument` and `closed`. */
  stopAutoSync(userId?: string): void;
  /** Returns when the next automatic cycle begins, in whichever tab leads; null if none is planned. Throws `invalidArgument`. */
  nextSyncTime(userId: string): string | null;
  /**
   * Explains when the next automatic cycle begins, or why none does and what mends that. Also answers once the instance is closed. Rejects with
   * `invalidArgument`.
   *
   * @example
   * const { at, because } = await datum.explainNextSync("ada");
   */
  explainNextSync(userId: string): Promise<NextSyncExplanation>;

  /**
   * Makes another user the current one. Until it resolves, calls that name no user concern the previous
   * one, whose running cycle is stopped. Nothing is read, sent or counted under another user: each has a database of their
   * own, and the server refuses requests under another user's token (`userMismatch`).
   *
   * If it does not switch, the result says why. Rejects with `invalidArgument` if `oldUserId` is not the
   * current user, and with errors of the storage.
   *
   * @example
   * const { success } = await datum.switchUser({ newUserId: "bob", strategy: "promptIfUnsyncedData" });
   * if (!success && confirm("Some changes are not synced yet. Switch anyway?")) {
   *   await datum.switchUser({ newUserId: "bob", strategy: "keepLocal" });
   * }
   */
  switchUser(request: UserSwitch): Promise<UserSwitchResult>;

  /**
   * Signs a user out: stops the running cycle, tries to push pending operations, and closes the user's database. If this was the
   * current user, there is no current user afterwards. A failed push does not reject: the operations that were not pushed are in the
   * result, and are there again when the user signs in with {@link Datum.switchUser}.
   *
   * Other tabs stay signed in, unless `wipe` is given: then they close the user's database and sign the user out as well. Each gets the
   * event `signedOut`. Rejects with `unsyncedData` if `wipe` would lose something: the user stays signed in then.
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

  /** Returns the users that have a database on this device, in order. */
  userIds(): Promise<string[]>;

  /**
   * Replaces the app's own fields in the sync metadata of this device. The next successful cycle sends them to the remote.
   * They survive reloads and `clearSyncMetadata`; `{}` removes them.
   *
   * Rejects with `invalidArgument` for values that are not JSON, and for more than 16 KiB of JSON.
   *
   * @example
   * await datum.setCustomMetadata("ada", { deviceName: "Ada's phone" });
   */
  setCustomMetadata(userId: string, metadata: Record<string, Json>): Promise<void>;

  /** Returns this device's metadata; null if it has never synced and the app has set no fields. */
  getSyncMetadata(userId: string): Promise<SyncMetadata | null>;
  /** Returns the remote's metadata of all devices; null if it has none. Rejects as `synchronize` does. */
  getRemoteSyncMetadata(userId: string): Promise<SyncMetadata | null>;
  /**
   * Compares this device with the remote, by digests of the rows. `unknown` where the remote gives none, as many adapters do, or keeps
   * no metadata: nothing is known then, and nothing is claimed. Rejects as `synchronize` does.
   */
  compareSyncMetadata(userId: string): Promise<MetadataComparison>;
  /** As `compareSyncMetadata`, with the reason in words. */
  explainSyncMetadata(userId: string): Promise<{ result: MetadataComparison; because: string }>;
  /**
   * Forgets past cycles, on this device (`local`, default true: the next cycle pulls everything again) and on
   * the remote for every device (`remote`, default false). Entities and pending operations stay.
   */
  clearSyncMetadata(userId: string, options?: { local?: boolean; remote?: boolean }): Promise<void>;
  /** Returns the result of the last cycle; null if there was none. */
  getLastSyncResult(userId: string): Promise<SyncResult | null>;

  /** Returns the pending operations, in order. */
  pendingOperations(userId: string): Promise<PendingOperation[]>;
  /** Returns the number of pending operations. */
  pendingCount(userId: string): Promise<number>;
  /**
   * Explains why an operation has not been sent yet, and what mends that: one of the user's outbox (or the one that it was merged into), or a dead
   * letter, by its `opId`. For the current user, unless the options name another. Rejects with `invalidArgument`, `noUser`, and `notFound` if it has left the outbox.
   *
   * @example
   * const { reasons } = await datum.explainOperation(operation.opId);
   * for (const { because } of reasons) console.log(because);
   */
  explainOperation(opId: string, options?: UserOption): Promise<OperationExplanation>;

  /** The spaces that the user shares with others. */
  spaces(): SpaceManager;

  /**
   * Takes a pending operation out of the outbox, with the later ones of its entity and those that depend on it, in one commit. The
   * entity is what the server had. Nothing is lost: each is a dead letter with the code `discarded` (`blocked` for those that depend on
   * it), so {@link Datum.retryDeadLetter} takes it back, and {@link Datum.discardDeadLetter} ends it. Resolves with the letters, the operation's own
   * first. A letter with `maybe` was sent before: the server may apply it nevertheless, and an answer that says so removes the letter, unless it
   * holds later writes too. What was pending before it stays.
   *
   * For the current user, unless the options name another. Rejects with `invalidArgument`, `noUser`, and `notFound` if it has left the
   * outbox, also as part of a later write.
   *
   * @example
   * const [operation] = await datum.pendingOperations(userId);
   * if (operation) {
   *   const [letter] = await datum.discardOperation(operation.opId);
   *   if (letter && mistaken) await datum.retryDeadLetter(letter.id);
   * }
   */
  discardOperation(opId: string, options?: UserOption): Promise<readonly DeadLetter[]>;
  /** Returns the operations that the remote has rejected, with its reasons, and those that were discarded. */
  deadLetters(userId: string): Promise<readonly DeadLetter[]>;
  /**
   * Queues a dead letter again, as a new write on the current entity; `edited` replaces its fields. A rejected patch is repeated
   * with only the fields that it changed. Where it says what the letter says, it has the letter's `opId`, and the remote applies it once, also if an
   * earlier request arrives late. Dead letters that depend on it (`blockedBy`) are queued again
   * behind it, in the same commit. Rejects with `notFound`, and with `invalidEntity` for a bad edit: the dead letter stays then.
   */
  retryDeadLetter(id: string, edited?: { [field: string]: Json }): Promise<void>;
  /** Deletes a dead letter. Rejects with `notFound`. */
  discardDeadLetter(id: string): Promise<void>;

  /** Returns the undecided conflicts, with all three sides as they are now. */
  conflicts(userId: string): Promise<readonly Conflict[]>;
  /** Decides a conflict; the next cycle pushes the result if it differs from the server's row. Rejects with `notFound` and `invalidEntity`. */
  resolveConflict(id: string, resolution: Resolution<any>): Promise<void>;
  /**
   * Returns how the latest conflicts of an entity were decided on this device, oldest first: which field was taken from which side, and why.
   * For the current user, unless the options name another. The last ten of an entity survive reloads, as long as all
   * together are within 128 KiB. Values are stored values.
   *
   * Rejects with `invalidArgument` and `noUser`.
   *
   * @example
   * const [last] = (await datum.explainMerge("tasks", id)).slice(-1);
   * for (const { field, taken, because } of last?.fields ?? []) console.log(`${field}: ${taken}. ${because}`);
   */
  explainMerge(entity: string, id: string, options?: UserOption): Promise<readonly MergeExplanation[]>;

  /** Returns the size of the user's data on this device, and how it is stored. It reads no entity. */
  storageSize(userId: string): Promise<StorageSize>;
  /**
   * Returns the tabs of this browser that have the user's data open, this one first. Each is asked, and has a quarter of a second to answer: a
   * tab that is frozen is not among them. Without BroadcastChannel, this one is alone. Empty for a user without data on this device.
   *
   * @example
   * const leader = (await datum.tabs(userId)).find((tab) => tab.isLeader);
   */
  tabs(userId: string): Promise<readonly TabInfo[]>;
  /**
   * Asks the browser never to evict the stored data, and returns whether it promises that. Call it when the user will
   * understand the question. With `persist: false` it does not ask.
   */
  requestPersistence(): Promise<boolean>;
  /**
   * Removes all of a user's data from this device, unsynced operations too. Other tabs close the user's database as well: their watches
   * end, and they save nothing back. A tab that was frozen meanwhile signs the user out when it wakes up.
   *
   * Questions about a user without a database are answered (nothing is stored, nothing is pending) and create none. If the user is not
   * the current one, calls that need a database, such as `synchronize`, then reject with `closed` until a {@link Datum.switchUser}
   * or a write for that user.
   */
  clearUserData(userId: string): Promise<void>;
  /**
   * Decides that a user's data belongs to the server that answers now. A database knows its server by the `serverId` of its
   * replies, else by the URL's origin and path, else by an adapter's own `serverId`; where another one answers, cycles end with
   * `otherServer`, and nothing is pushed, offered or pulled. The same server at a new address goes on by itself.
   *
   * `"offer"` keeps everything that is on this device and offers it to that server with the next cycle, as creates; where it
   * has an entity of that id already, the resolver decides. A shared space that it does not have is offered by its owners. What
   * others have deleted on that server meanwhile comes back: nothing there tells a deletion from what it never had. `"wipe"` removes
   * everything from this device, pending operations included, and the next cycle fetches what that server has.
   *
   * @returns How many entities are offered, besides what was pending.
   */
  acceptServer(userId: string, data: "offer" | "wipe"): Promise<number>;

  /**
   * Returns a user's data as a stream of UTF-8 lines, each a JSON object: rows with their versions, pending operations, conflicts and dead
   * letters, as they are stored (middleware does not run), of one state of the database. It can also be iterated. Bodies are read as the
   * stream is read, so that it never holds all of them. If a row that was not read yet changes and the database is compacted
   * meanwhile, the stream fails with `storageBlocked`: export again. It fails with `corrupt` if a stored row cannot be read. The last
   * line has a digest: `importUser` refuses a file that was cut. The file is not encrypted.
   *
   * @param userId Default: the current user.
   * @throws `invalidArgument`, `noUser`; while the package's last file is on its way, the stream fails with them, and with `network` if that cannot
   *   be had.
   * @example
   * const file = await new Response(datum.exportUser()).blob();
   */
  exportUser(userId?: string | null, options?: ExportOptions): ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>;
  /**
   * Returns what this instance has traced of a user's database since it opened it, as a file of JSON lines. `cargo xtask replay FILE`, in a
   * checkout of datum-sync, has the same engine decide every step again, and shows the first that differs: a bug becomes a test. Values of
   * fields are replaced by random marks of their length, equal ones by equal marks. Ids of entities, operations and spaces, names of types
   * and fields, versions, times and the remote's codes and cursors stay; so do fields that are merged by `min`, `max` or `sum`, and foreign keys. Of
   * requests it has kind, counts, times and codes, and no tokens, addresses or bodies.
   *
   * @param userId Default: the current user.
   * @throws `unsupported` without `trace` in the config, if the package's last file could not be had when the data was opened, or if the data has
   *   more bytes than three eighths of `maxBytes`; `noUser`.
   * @example
   * const file = await datum.exportTrace();
   */
  exportTrace(userId?: string | null): Promise<Blob>;
  /**
   * Imports a file of `exportUser`, for the user in `options`, or else the current one, or else the file's. The whole file is read and
   * checked first; then all of it is written at once, or nothing. Until then its content is held in memory. Other tabs see it as any write.
   *
   * On a device that has not pulled everything, rows come as they were, and the next cycle compares them with the server. Elsewhere
   * entities that are not here are created. Pending operations keep their ids, so that the server applies each once, even
   * if the device that exported sends them too. Conflicts and dead letters come along.
   *
   * Rejects with `corrupt` for a file that was cut or changed, `invalidArgument` for what is no export, or has entity types that the
   * config lacks, `clientOutdated` for one of a newer version of the package or a greater `schemaVersion`, `migration` for a smaller one
   * if the app's migrations change its entities (an import does not migrate), `userMismatch` and `otherServer` (see `asNew`), `alreadyExists` (see `existing`), `cancelled`.
   *
   * @example
   * const plan = await datum.importUser(file, { dryRun: true });
   * if (confirm(`Add ${plan.added} entities?`)) await datum.importUser(file);
   */
  importUser(source: ImportSource, options?: ImportOptions): Promise<ImportResult>;

  /**
   * Checks the remote and returns the health, which the status of that user, or of the current one, then shows too. An unreachable
   * remote is a result; it rejects only with `invalidArgument` and `closed`.
   */
  checkHealth(userId?: string): Promise<Health>;
  /**
   * Returns what this instance does, from the start of the loop on: its cycles with their phases and requests, other requests, and commits. It costs
   * nothing while nobody loops. A reader that is too slow loses the oldest: see `dropped`. The loop ends when the instance is closed. Has no values of the app.
   *
   * @example
   * for await (const { kind, name, outcome, durationMs } of datum.watchActivity()) console.log(kind, name, outcome, durationMs);
   */
  watchActivity(filter?: ActivityFilter): AsyncIterable<Activity>;
  /** Counters since this instance was opened. */
  readonly metrics: Metrics;
  /**
   * Returns what somebody who helps needs to know about a user's sync, as JSON: to be shown, stored or sent by the app. It has no
   * entities, no custom metadata, no tokens and no values of headers; of the config, only the package's own settings. A part that
   * cannot be read says why, as all do once the instance is closed. Rejects with `invalidArgument`.
   *
   * @example
   * const file = new Blob([JSON.stringify(await datum.report("ada"), null, 2)], { type: "application/json" });
   */
  report(userId: string): Promise<SupportReport>;

  /** Stops running cycles, closes the storage and ends every feed. Later calls reject with `closed`. */
  close(): Promise<void>;
  /** Calls {@link Datum.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The entities of one type, in the current user's database, or that of `userId` in the options.
 *
 * A write resolves when it is stored on this device; the next cycle sends it. Every call
 * rejects with `noUser` if there is no user, and with `closed` after {@link Datum.close}; every write with
 * `storageFull` if the quota is used up, and with `network` if the package's file that writes could not be loaded: nothing was written then.
 */
export class Manager<T extends Entity = AnyEntity> {
  private constructor();

  /** The entity type, as the config names it. */
  readonly entity: string;

  /**
   * Creates an entity. Rejects with `alreadyExists`, and with `invalidEntity`, naming the field, for values that are
   * not JSON and for more than 1 MiB.
   */
  create(draft: Draft<T>, options?: WriteOptions): Promise<Readonly<T>>;
  /**
   * Replaces the app's fields: those that the argument lacks, or has as undefined, are removed. A write that changes nothing queues
   * nothing, and `modifiedAt` stays. Rejects with `notFound` and `invalidEntity`.
   */
  update(entity: Readonly<T>, options?: WriteOptions): Promise<Readonly<T>>;
  /**
   * Changes some of the app's fields, and removes those that `remove` names. A field that is undefined stays as it is; null is stored.
   * A write that changes nothing queues nothing, and `modifiedAt` stays. Rejects with `notFound` and `invalidEntity`.
   *
   * @example
   * await tasks.patch(id, { title: "Tea", due: undefined }, { remove: ["notes"] }); // `due` stays, `notes` goes
   */
  patch(id: string, changes: Changes<T>, options?: PatchOptions<T>): Promise<Readonly<T>>;
  /**
   * Deletes an entity, and what goes with it by `onDelete` of the relations. Returns false if there was none. Rejects with `restricted` if a relation keeps it;
   * with `readOnly` and the like if the user may not write one of them. Nothing has changed then.
   */
  delete(id: string, options?: DeleteOptions): Promise<boolean>;
  /**
   * Takes an entity to another space of the user, with what is pending on it: one operation, which the server applies as a whole. null is
   * the personal space. Rejects with `notFound`; with `notMember` or `readOnly`, as far as this device knows the roles in both spaces;
   * and with `alreadyExists` if the other space has an entity with this id.
   */
  move(id: string, spaceId: string | null, options?: WriteOptions): Promise<Readonly<T>>;
  /** Creates many in one atomic commit: all or none. */
  createMany(drafts: readonly Draft<T>[], options?: WriteOptions): Promise<Readonly<T>[]>;
  /** Replaces many in one atomic commit. */
  updateMany(entities: readonly Readonly<T>[], options?: WriteOptions): Promise<Readonly<T>[]>;
  /**
   * Patches many in one atomic commit, each as {@link Manager.patch} does.
   *
   * @example
   * await tasks.patchMany(order.map((id, position) => ({ id, changes: { position } })));
   */
  patchMany(patches: readonly EntityPatch<T>[], options?: WriteOptions): Promise<Readonly<T>[]>;
  /** Deletes many in one atomic commit, each once, with what goes with them. Returns the ids that existed. */
  deleteMany(ids: readonly string[], options?: DeleteOptions): Promise<string[]>;
  /** Returns what {@link Manager.delete} would do by the rules of the relations, and does nothing. */
  getDeletePlan(id: string, options?: SpaceOption): Promise<CascadeDeletePreview>;

  /**
   * Deletes each entity that satisfies a condition, in one atomic commit, and returns their ids. The condition is that of a query
   * (`where`), and holds for the state that the commit is made on, whatever other tabs write meanwhile. `beforeWrite` of observers hears
   * of each entity; where another tab was first, perhaps of one that is not changed in the end.
   *
   * @example
   * await tasks.deleteWhere({ and: [{ field: "done", equals: true }, { field: "doneAt", lessThan: lastMonth }] });
   */
  deleteWhere(filter: Filter, options?: DeleteOptions): Promise<string[]>;
  /**
   * Patches each entity that satisfies a condition, as {@link Manager.deleteWhere} deletes them, and returns the entities. Rejects with
   * `unsupported` for a type with middleware, which gets whole entities: use `query` and `updateMany`.
   */
  patchWhere(filter: Filter, changes: Changes<T>, options?: PatchOptions<T>): Promise<Readonly<T>[]>;

  /**
   * Returns one entity; null if there is none.
   *
   * @example
   * const task = await tasks.read(id, { with: ["project.owner"] }) as With<Task, { project: With<Project, { owner: Person | null }> | null }>;
   */
  read<O extends ReadOptions = ReadOptions>(id: string, options?: O): Promise<Found<T, O> | null>;
  /** Returns all of them, ordered by id. */
  readAll<O extends ReadOptions = ReadOptions>(options?: O): Promise<Found<T, O>[]>;
  /** Returns one page of them, ordered by id. */
  readPage<O extends PageReadOptions = PageReadOptions>(page?: PageRequest & { query?: undefined }, options?: O): Promise<Page<Found<T, O>> & { total: number }>;
  /**
   * Returns one page of a query. The pages of one list have the same query, without `limit`, `offset` and `after`; what is written
   * between two pages neither repeats nor skips other entities.
   */
  readPage<O extends QueryOptions = QueryOptions>(page: PageRequest & { query: QuerySource }, options?: O): Promise<Page<Found<T, O>>>;
  /** Returns whether an entity exists. */
  exists(id: string, options?: SpaceOption): Promise<boolean>;
  /** Returns the number of entities, or of those that match a query, whatever its `limit`, `offset` and `after`. */
  count(query?: QuerySource, options?: SpaceOption): Promise<number>;
  /**
   * Returns the entities that a query asks for, in its order: as of one moment, whatever is written meanwhile. What a query means is in
   * `docs/queries.md`. Conditions see what is stored; `afterRead` has its turn afterwards. Rejects with `invalidArgument`, naming the
   * path, for a bad query.
   *
   * @example
   * await tasks.query({ where: { field: "done", equals: false }, orderBy: [{ field: "due" }], limit: 50 });
   */
  query<O extends QueryOptions = QueryOptions>(query: QuerySource, options?: O): Promise<Found<T, O>[]>;
  /**
   * Begins a query of these entities with a condition on a field. All conditions of a query must hold.
   *
   * @example
   * await tasks.where("priority").greaterThan(2).orderBy("createdAt", "desc").limit(50).query();
   */
  where<P extends FieldPath<T>>(field: P): Operators<T, ValueAt<T, P>>;
  /** Begins a query of these entities with their order. */
  orderBy(field: FieldPath<T>, direction?: "asc" | "desc", options?: { nulls?: "first" | "last" }): QueryBuilder<T>;
  /** Begins a query of the first of these entities. */
  limit(limit: number): QueryBuilder<T>;
  /** Returns how a query is read, for people: by which index, or why it looks at every entity. */
  explain(query: QuerySource, options?: SpaceOption): Promise<QueryExplanation>;

  /**
   * Yields all entities, ordered by id: at once, then after every change by this tab, another tab or a cycle. A pulled page is one
   * update; a slow reader gets the latest; an unchanged entity is the same object as before. Each array belongs to the
   * reader. The loop ends when the instance is closed or the user logged out.
   *
   * @example
   * for await (const tasks of datum.manager<Task>("tasks").watchAll()) render(tasks);
   */
  watchAll<O extends ReadOptions = ReadOptions>(options?: O): AsyncIterable<Found<T, O>[]>;
  /** Yields one entity, or null: at once, then after every change of it. */
  watchById<O extends ReadOptions = ReadOptions>(id: string, options?: O): AsyncIterable<Found<T, O> | null>;

  /**
   * Yields the entities that a query asks for: at once, then after every change of this list by this tab, another tab or a cycle. As with
   * {@link Manager.watchAll}, a pulled page is one update, a slow reader gets the latest, and an unchanged entity is the same object
   * as before. A change is evaluated by itself, not the query. The loop rejects with `invalidArgument` for a bad query.
   *
   * @example
   * const open = tasks.watchQuery({ where: { field: "done", equals: false }, orderBy: [{ field: "due" }], limit: 50 });
   * for await (const list of open) render(list);
   */
  watchQuery<O extends QueryOptions = QueryOptions>(query: QuerySource, options?: O): QueryFeed<Found<T, O>>;
  /** Yields how many entities match a query, or how many there are: at once, then whenever the number is another. */
  watchCount(query?: QuerySource, options?: SpaceOption): AsyncIterable<number>;

  /**
   * Returns the entities that a relation of this one leads to, in order of id: at most one for `belongsTo` and `hasOne`. `entity` is one that was read, or its id; its
   * keys are those that are stored.
   */
  related<R extends Entity = AnyEntity>(entity: Readonly<T> | string, relation: string, options?: SpaceOption): Promise<Readonly<R>[]>;

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
   * Resolves once the server has decided the writes of an entity that are pending at the call, in this tab or another, now or after a
   * reload: `applied` if the last of them is stored as it was written; `merged` if it met a conflict and the result is a merge or
   * the server's row; `rejected` if it became a dead letter. Later writes do not extend the wait, unless they were coalesced
   * with one of these before it was sent. If nothing is pending, it returns the outcome of this device's last write,
   * for 30 days; `applied` for every other entity that exists. Rejects with `notFound` if there is no such entity, and
   * with `closed` if the instance or the user's database is closed or removed first.
   */
  whenSynced(id: string, options?: SpaceOption): Promise<"applied" | "merged" | "rejected">;
  /** This device's metadata. */
  readonly localAdapter: {
    /** {@link Datum.getSyncMetadata}. */
    getSyncMetadata(userId: string): Promise<SyncMetadata | null>;
  };
  /** The remote's metadata. */
  readonly remoteAdapter: {
    /** {@link Datum.getRemoteSyncMetadata}. */
    getSyncMetadata(userId: string): Promise<SyncMetadata | null>;
    /** {@link Datum.clearSyncMetadata} on both sides, so that the next cycle pulls everything again. */
    clearSyncMetadata(userId: string): Promise<void>;
  };
}

/** A space that several users share, and what the user may do there. */
export interface SharedSpace {
  spaceId: string;
  /** The user's own role. */
  role: SpaceRole;
  /** Absent until the first pull of the space has brought it. */
  name?: string;
}

/** A member of a shared space. */
export interface SpaceMember {
  userId: string;
  role: SpaceRole;
}

/**
 * The spaces that a user shares with others. Every change works offline and is sent like any other write; what the known role forbids is
 * refused at once (`notMember`, `notOwner`), and the server decides: a dead letter tells of what it has refused, such as `lastOwner`.
 * With a remote that has no spaces, every change rejects with `unsupported`; what was written before the first pull becomes dead letters.
 */
export class SpaceManager {
  private constructor();

  /** Returns the user's spaces, in the order of joining. */
  list(options?: UserOption): Promise<readonly SharedSpace[]>;
  /** Yields the user's spaces: at once, then after every change of them. */
  watch(options?: UserOption): AsyncIterable<readonly SharedSpace[]>;
  /** Makes a space with the user as its owner, and returns its id. `name` has 1 to 512 bytes without control characters. */
  create(name: string, options?: UserOption): Promise<string>;
  /** Gives a space another name. Only owners may. */
  rename(spaceId: string, name: string, options?: UserOption): Promise<void>;
  /**
   * Ends a space with everything in it, for all members and for ever. Only owners may. Returns false if there was none. Its entities go
   * from this device with the next sync; until then, writes in it reject with `notMember`.
   */
  delete(spaceId: string, options?: UserOption): Promise<boolean>;
  /** Returns the members of a space, in order of user. */
  members(spaceId: string, options?: UserOption): Promise<readonly SpaceMember[]>;
  /** Gives a user a role; a user who is no member becomes one, at once and without being asked. Only owners may. */
  setRole(spaceId: string, userId: string, role: SpaceRole, options?: UserOption): Promise<void>;
  /** Removes a member, with the member's copy of the space. Only owners may. Returns false if the user was none. */
  remove(spaceId: string, userId: string, options?: UserOption): Promise<boolean>;
  /**
   * Leaves a space. The last owner cannot (`lastOwner`): end the space, or make another member an owner. Returns false if the user was no
   * member. Its entities go from this device with the next sync, and what was written before is sent first; until then, writes in it reject
   * with `notMember`. Rejects with `notFound` as long as a space that this device has made has not been pulled.
   */
  leave(spaceId: string, options?: UserOption): Promise<boolean>;
}

/** Selects another user's database. */
export interface UserOption {
  userId?: string;
}

/**
 * Selects another user's database, and entities of one space: the id of a shared space, or null for the user's personal one. Without
 * `spaceId`, a read is over all spaces of the user, and a write finds its entity in whichever it is; of two entities with one id, the
 * personal one is meant, then the one in the space that was joined first.
 */
export interface SpaceOption extends UserOption {
  spaceId?: string | null;
}

/** Options of a write. `create` puts the entity into the space of `spaceId`; without one, and without one in the draft, into the personal one. */
export interface WriteOptions extends SpaceOption {
  /**
   * Entities whose pending operations are sent first. If one of those is rejected, this write becomes a dead
   * letter with it (`blocked`); if its conflict is undecided, this write waits too. Parents by `relations`
   * are included. Writes that depend on each other in a cycle are sent in their order.
   */
  dependsOn?: { entity: string; id: string }[];
}

/** Options of a patch. */
export interface PatchOptions<T extends Entity = AnyEntity> extends WriteOptions {
  /** The fields to remove, here and on the server. */
  remove?: readonly OptionalField<T>[];
}

/** One of the patches of {@link Manager.patchMany}. */
export interface EntityPatch<T extends Entity = AnyEntity> {
  id: string;
  changes: Changes<T>;
  /** The fields to remove, here and on the server. */
  remove?: readonly OptionalField<T>[];
}

/** Options of a delete. */
export interface DeleteOptions extends WriteOptions {
  /** Default: `deleteBehavior` of the entity type. */
  behavior?: "softDelete" | "hardDelete";
  /** Whether `onDelete` of the relations is followed. Default true; false deletes what is named and nothing else. */
  cascade?: boolean;
}

/** Options of a read. */
export interface ReadOptions extends QueryOptions {
  /**
   * Relations to read along, by name, such as `["project.owner", "tags"]`: each is a member of that name on a frozen copy of the entity, which no write stores.
   * All is of one state, and read with one pass for each relation. A watch yields when any of it changes, and what has not changed is the same object. At most
   * 8 levels, and 50 relations. See {@link With}.
   */
  with?: readonly string[];
  /** Includes softly deleted entities. Default false. */
  includeDeleted?: boolean;
}

/** Options of a page without a query. */
export interface PageReadOptions extends QueryOptions {
  /** Relations to read along: {@link ReadOptions.with}. With a query, they are its `with`. */
  with?: readonly string[];
}

/** Which page to read. */
export interface PageRequest {
  /** The number of entities, 1 to 10,000. Default 100. */
  size?: number;
  /** `after` of the previous page. */
  after?: string;
  /** The query whose pages are read, without `limit`, `offset` and `after`. */
  query?: QuerySource;
}

/** A page of entities. */
export interface Page<T> {
  items: T[];
  /** The `after` of the next request; absent on the last page. */
  after?: string;
  hasMore: boolean;
  /** How many entities all pages have together; absent with a query: ask {@link Manager.count}, which looks at all of them. */
  total?: number;
}

/** A condition. Exactly one operator is usual; several in one object must all hold. `docs/queries.md` says what each means. */
export type Filter =
  | { and: Filter[] }
  | { or: Filter[] }
  | { not: Filter }
  | ({
      /** The path of a field, such as `"project.name"` or `"tags.0"`. A dot that belongs to a name is written `\\.`. */
      field: string;
    } & FilterOperators);

/** The operators of a condition. */
export interface FilterOperators {
  equals?: Json;
  notEquals?: Json;
  greaterThan?: Json;
  greaterThanOrEqual?: Json;
  lessThan?: Json;
  lessThanOrEqual?: Json;
  between?: [Json, Json];
  isIn?: Json[];
  isNotIn?: Json[];
  isNull?: boolean;
  contains?: string;
  containsIgnoreCase?: string;
  startsWith?: string;
  endsWith?: string;
  /** The source of a regular expression. */
  matches?: string;
  arrayContains?: Json;
  arrayContainsAny?: Json[];
  withinDistance?: Circle;
}

/** A place, and how far from it. */
export interface Circle {
  latitude: number;
  longitude: number;
  metres: number;
}

/** One key of an order. */
export interface OrderBy {
  field: string;
  descending?: boolean;
  /** Where null is; without this, below all other values. */
  nulls?: "first" | "last";
}

/** Which entities an app asks for, and in which order: without `where`, all; without `orderBy`, by id. */
export interface Query {
  where?: Filter;
  orderBy?: OrderBy[];
  limit?: number;
  offset?: number;
  /** `after` of a page of this query: the result begins behind it. */
  after?: string;
  /** Relations to read along: `with` of {@link ReadOptions}. */
  with?: string[];
  /** Includes deleted entities. Default false. */
  includeDeleted?: boolean;
}

/** A query, or a builder of one, such as {@link QueryBuilder}. */
export type QuerySource = Query | { toJSON(): Query };

/** A value that has no parts to name. */
type Leaf = string | number | boolean | null | undefined;

/** How deep paths go that are checked by type. */
type Deeper = { 4: 3; 3: 2; 2: 1; 1: 0; 0: never };
type Depth = keyof Deeper;

/** The paths into a value: `"project.owner.name"`, `"tags.0"`. */
export type FieldPath<T, D extends Depth = 4> = D extends 0
  ? never
  : T extends Leaf
    ? never
    : T extends readonly (infer Item)[]
      ? `${number}` | `${number}.${FieldPath<Item, Deeper[D]>}`
      : string extends keyof T
        ? string
        : { [K in keyof T & string]: K | `${K}.${FieldPath<NonNullable<T[K]>, Deeper[D]>}` }[keyof T & string];

/** The type of the value at a path. */
export type ValueAt<T, P extends string> = T extends readonly (infer Item)[]
  ? P extends `${number}.${infer Rest}`
    ? ValueAt<NonNullable<Item>, Rest>
    : Item
  : P extends keyof T
    ? T[P]
    : P extends `${infer First}.${infer Rest}`
      ? First extends keyof T
        ? ValueAt<NonNullable<T[First]>, Rest>
        : Json
      : Json;

/** A value that has a place among others of its type. */
type Ranged<V> = Exclude<V, null | undefined>;

/** The item of an array; nothing can be asked of anything else. */
type ItemOf<V> = Ranged<V> extends readonly (infer Item)[] ? Item : Json extends V ? Json : never;

/** A string; nothing can be asked of anything else. */
type TextOf<V> = Extract<Ranged<V>, string> extends never ? never : string;

/** The operators of one field. Each returns the query with that condition added. */
export interface Operators<T extends Entity, V> {
  equals(value: V): QueryBuilder<T>;
  notEquals(value: V): QueryBuilder<T>;
  greaterThan(value: Ranged<V>): QueryBuilder<T>;
  greaterThanOrEqual(value: Ranged<V>): QueryBuilder<T>;
  lessThan(value: Ranged<V>): QueryBuilder<T>;
  lessThanOrEqual(value: Ranged<V>): QueryBuilder<T>;
  between(least: Ranged<V>, most: Ranged<V>): QueryBuilder<T>;
  isIn(values: readonly V[]): QueryBuilder<T>;
  isNotIn(values: readonly V[]): QueryBuilder<T>;
  /** Null or missing; with `false`, neither. */
  isNull(is?: boolean): QueryBuilder<T>;
  contains(part: TextOf<V>): QueryBuilder<T>;
  containsIgnoreCase(part: TextOf<V>): QueryBuilder<T>;
  startsWith(part: TextOf<V>): QueryBuilder<T>;
  endsWith(part: TextOf<V>): QueryBuilder<T>;
  /** The source of a regular expression, or one whose only flags are `i` and `u`. */
  matches(pattern: TextOf<V> | (TextOf<V> extends never ? never : RegExp)): QueryBuilder<T>;
  arrayContains(item: ItemOf<V>): QueryBuilder<T>;
  arrayContainsAny(items: readonly ItemOf<V>[]): QueryBuilder<T>;
  withinDistance(circle: Circle): QueryBuilder<T>;
}

/**
 * A query in the making. Every method returns a new one, so that parts can be shared. It can stand wherever a query can. Made by
 * {@link Manager.where}, {@link Manager.orderBy} and {@link Manager.limit}, and by `from` and `query` of `datum-sync/query`.
 *
 * @example
 * const open = tasks.where("done").equals(false).orderBy("due").limit(50);
 * for await (const list of open.watch()) render(list);
 */
export class QueryBuilder<T extends Entity> {
  private constructor();

  /** Begins a condition on a field; all conditions must hold. */
  where<P extends FieldPath<T>>(field: P): Operators<T, ValueAt<T, P>>;
  /** Adds a condition that is written as an object. */
  filter(filter: Filter): QueryBuilder<T>;
  /** Adds a condition that holds if one of these does. */
  any(...choices: ((query: QueryBuilder<T>) => QueryBuilder<T>)[]): QueryBuilder<T>;
  /** Adds a condition that holds if this one does not. */
  not(choice: (query: QueryBuilder<T>) => QueryBuilder<T>): QueryBuilder<T>;
  /** Sorts by a field, after the fields before it. */
  orderBy(field: FieldPath<T>, direction?: "asc" | "desc", options?: { nulls?: "first" | "last" }): QueryBuilder<T>;
  limit(limit: number): QueryBuilder<T>;
  offset(offset: number): QueryBuilder<T>;
  /** Begins behind the page that returned this cursor. */
  after(after: string): QueryBuilder<T>;
  /** Reads relations along. */
  with(...relations: string[]): QueryBuilder<T>;
  includeDeleted(includeDeleted?: boolean): QueryBuilder<T>;

  /** Returns the query as a plain object. */
  build(): Query;
  /** Returns the query as a plain object. */
  toJSON(): Query;

  // These ask a manager, and throw a TypeError if the query has none: if it was begun by `query()`.

  /** Returns the entities. */
  query(): Promise<Readonly<T>[]>;
  /** Returns the first entity; null if there is none. */
  first(): Promise<Readonly<T> | null>;
  /** Returns the number of entities, whatever the limit. */
  count(): Promise<number>;
  /** Returns one page of the entities. */
  page(page?: Omit<PageRequest, "query">): Promise<Page<Readonly<T>>>;
  /** Yields the entities: at once, then after every change of the list. */
  watch(): QueryFeed<Readonly<T>>;
  /** Yields the number of entities: at once, then whenever it is another. */
  watchCount(): AsyncIterable<number>;
}

/** Options of a query, and of reads. */
export interface QueryOptions extends SpaceOption {
  /**
   * Gives each entity `$syncState`, which is never stored: a write leaves it out. It changes live, and is a field in conditions and orders, with this
   * option and without: `{ field: "$syncState", notEquals: "synced" }` is everything that has not reached the server. Default false.
   */
  withSyncState?: boolean;
}

/**
 * How far an entity's writes have come: nothing waits (`synced`), an operation waits in the outbox (`pending`), a conflict waits for the app's decision
 * (`conflict`), an operation has become a dead letter (`rejected`). Of several that hold, a conflict comes first, then a dead letter.
 */
export type EntitySyncState = "synced" | "pending" | "conflict" | "rejected";

/** An entity as a read or a query with these options returns it. */
export type Found<T extends Entity, O extends QueryOptions> = Readonly<T> & (O extends { withSyncState: true } ? { readonly $syncState: EntitySyncState } : unknown);

/** The entities of a live query. */
export interface QueryFeed<T> extends AsyncIterable<T[]> {
  /**
   * Yields the same as edits of the list: first one `insert` for each entity, then the edits of each update, one after another. What has
   * not changed is in none of them.
   */
  changes(): AsyncIterable<readonly QueryChange<T>[]>;
}

/** An edit of a list: an index is that in the list that the edits before have left. */
export interface QueryChange<T> {
  readonly type: "insert" | "update" | "move" | "remove";
  /** The entity as it is now; of `remove`, as it was. */
  readonly entity: T;
  readonly index: number;
  /** Of `move`: where the entity was. It is taken from there first, then put at `index`. */
  readonly from?: number;
}

/** How a query is read. */
export interface QueryExplanation {
  /** The fields of the index; null if every entity is looked at. */
  readonly index: readonly string[] | null;
  /** Why, in a sentence. */
  readonly reason: string;
  /** The entities come in the order of the query, so a `limit` ends the reading. */
  readonly inOrder: boolean;
  /** How many entities the index finds, before other conditions and the limit. */
  readonly rows?: number;
  /** How much memory the indexes of the entity type take, about. */
  readonly indexMemory: number;
}

/** Selects events. */
export interface EventFilter<K extends DatumEvent["type"] = DatumEvent["type"]> {
  userId?: string;
  /** Only events about one entity type. */
  entity?: string;
  /** One type of event, or several. */
  type?: K | readonly K[];
}

/** An event, with its user (empty if it concerns none) and its time. */
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
      /** The shared space of the entities; absent for the user's personal space. */
      readonly spaceId?: string;
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
  /**
   * A user has signed out: `currentUserId` is no longer this one, unless only another tab was left (`"otherTab"`) and nothing was wiped.
   */
  | { readonly type: "signedOut"; readonly source: "local" | "otherTab"; readonly wiped: boolean }
  | { readonly type: "userSwitched"; readonly previousUserId: string | null; readonly hadUnsyncedData: boolean }
  | { readonly type: "leaderChanged"; readonly isLeader: boolean }
  | { readonly type: "connectivityChanged"; readonly online: boolean }
  /**
   * The browser removed the stored data, or it cannot be read. Between two visits, nothing is saved; under an open instance, the
   * operations that this tab knew were saved again. The first listener gets it, even if the loss was found before.
   */
  | { readonly type: "storageLost"; readonly lostOperations: number | "unknown"; readonly savedOperations: number }
  /**
   * The server was restored to an older state, and everything has been pulled again. `offeredAgain` writes of this device, which it
   * had acknowledged in the last 30 days and forgotten, are pending again.
   */
  | { readonly type: "serverRestored"; readonly offeredAgain: number }
  /** Stored data is being migrated: `done` of `total` rows. `total` counts those of the user, with the traces of deleted ones. */
  | { readonly type: "migrationProgress"; readonly from: number; readonly to: number; readonly done: number; readonly total: number }
  /** A page of the remote had rows of a type that the config does not name. They were left out. */
  | { readonly type: "rowsIgnored"; readonly entity: string; readonly count: number }
  /** The user may read one more shared space. In every tab of the user, like the two below. Not told for a space that this device has made. */
  | { readonly type: "spaceJoined"; readonly spaceId: string; readonly role: SpaceRole }
  /**
   * The user may not read a shared space any more, or it has ended. Its rows are gone from this device; operations that were pending in it are dead
   * letters with the code `notMember`. `role` is the one that the user had.
   */
  | { readonly type: "spaceLeft"; readonly spaceId: string; readonly role: SpaceRole }
  /** The user's own role in a shared space is another. */
  | { readonly type: "roleChanged"; readonly spaceId: string; readonly role: SpaceRole }
);

/** What a member may do in a shared space: a `reader` reads, a `writer` writes too, an `owner` also changes the space and its members. */
export type SpaceRole = "reader" | "writer" | "owner";

/** An operation that the remote has rejected, or that the app has discarded. */
export interface DeadLetter {
  id: string;
  opId: string;
  entity: string;
  /** The shared space of the entity; absent for the user's personal space. */
  spaceId?: string;
  entityId: string;
  /** Of a move: the space that the entity was to go to; null for the personal space. */
  to?: string | null;
  kind: OperationKind;
  queuedAt: string;
  attempts: number;
  bytes: number;
  /** The dead letter that this one depends on. */
  blockedBy?: string;
  /** The remote's stable code, and its message for people. `blocked`: an operation that it depends on is a dead letter, see `blockedBy`. `discarded`: see {@link Datum.discardOperation}. */
  code: string;
  message: string;
  diedAt: string;
  /** The entity as it would have been. */
  data: Json;
  /** The state that both sides had agreed on, at that time. */
  base: Json;
  /** Whether the entity still shows it, by `onRejected`. */
  kept: boolean;
  /** The server may have applied it: this tab or another one may have sent it before the user left its space or the app discarded it, and no answer came. Absent if nothing had been sent by then. */
  maybe?: boolean;
}

/** Receives events and writes. */
export interface Observer {
  /** Called after each event. */
  onEvent?(event: DatumEvent): void;
  /** Called before a write is checked and stored. `draft` is the result of middleware; a patch with its id, a delete as its id only. */
  beforeWrite?(entity: string, kind: OperationKind, draft: Json): void;
}

/** From the most detailed to none. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "off";

/** Receives log entries. */
export interface Logger {
  log(entry: LogEntry): void;
}

/** One entry of the log. */
export interface LogEntry {
  readonly level: Exclude<LogLevel, "off">;
  readonly at: string;
  /** What the entry is about: cycles and events, requests of the remote, or the browser's storage. */
  readonly scope: "sync" | "remote" | "storage";
  readonly message: string;
  readonly fields: { readonly [field: string]: Json };
}

/** Selects activities. */
export interface ActivityFilter {
  userId?: string;
}

/**
 * A piece of an instance's work. Cycles, phases and requests come twice, with one `id`: when they begin, with `outcome: "running"`, and when they have ended.
 */
export interface Activity {
  /** Unique in this instance, and growing. */
  readonly id: number;
  readonly kind: "cycle" | "phase" | "request" | "commit";
  /** The `id` of what it is part of: of a phase its cycle, of requests and commits the phase. Absent outside of cycles. */
  readonly parent?: number;
  /** Empty for a health check without a user. */
  readonly userId: string;
  readonly name: ActivityName;
  readonly startedAt: string;
  /** When it began, by the clock of `performance.now()`. */
  readonly startMs: number;
  /** Absent while it runs. */
  readonly durationMs?: number;
  readonly outcome: "running" | "ok" | "failed" | "cancelled";
  /** Of a cycle: it began by itself, not by a call of the app. */
  readonly automatic?: boolean;
  /** Of a request of a cycle: 1 for the first attempt. */
  readonly attempt?: number;
  /** Of a failed request: how long until the next attempt. */
  readonly retryInMs?: number;
  readonly error?: Pick<DatumErrorJson, "code" | "retryable" | "status">;
  /** Of a request that was answered without a result: the cursor is no longer valid, or the request was too large. */
  readonly answer?: "cursorGone" | "tooLarge";
  /** The body of a push. */
  readonly bytesSent?: number;
  /** The body of an answer. */
  readonly bytesReceived?: number;
  /** Of a commit: the size of its record, without long bodies. */
  readonly bytes?: number;
  /** Of a push: how many were sent. Of a cycle or phase: how many were pushed. */
  readonly operations?: number;
  /** Of a cycle or phase: how many rows were pulled. */
  readonly rows?: number;
  /** Of a pull: how many rows were asked for at most. */
  readonly limit?: number;
  /** Of a commit: whose it is. `otherTab`: this tab has read what another one wrote. One that another tab was ahead of is `cancelled`, and made again. */
  readonly source?: "local" | "remote" | "otherTab";
  /** How many activities the loop lost before this one, because it was too slow. */
  readonly dropped?: number;
}

/** What an activity does. */
export type ActivityName =
  /** A cycle, by its direction. */
  | SyncDirection
  /** A phase, or one of its requests. */
  | "push"
  | "pull"
  /** The phase that reports this device to the remote; a request for the metadata of all devices. */
  | "metadata"
  | "putMetadata"
  | "clearMetadata"
  | "health"
  /** A request that finds out whether there is a network although the browser reports none. */
  | "probe"
  /** The stream of the remote's hints, as long as it is open; and a long poll in its place. */
  | "stream"
  | "poll"
  /** A commit: one record is written to the log, or read that another tab wrote. */
  | "append"
  | "read";

/** Counters since the instance was opened. */
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
  /** Requests of cycles and health checks, including retries. */
  readonly requests: number;
  /** Records written to the open databases' logs. */
  readonly commits: number;
  /** Commits that were planned again because another tab appended first. */
  readonly staleCommits: number;
  /** Events that slow readers lost. */
  readonly droppedEvents: number;
}

/** The result of {@link Datum.storageSize}. Sizes are in bytes. */
export interface StorageSize {
  /** The entities and the outbox. */
  readonly bytes: number;
  /** The browser's limit for this origin, if known. */
  readonly quota?: number;
  /** Whether the browser has promised not to evict the data. */
  readonly persisted: boolean;
  /** By entity type, all spaces together; `$space` and `$member` are those of shared spaces themselves. `tombstones` are deleted rows of which a trace is kept. */
  readonly entities: { readonly [entity: string]: { readonly rows: number; readonly tombstones: number; readonly bytes: number; readonly segments: number } };
  /** The log since its last checkpoint, and the segments beside it, in which many entities lie together. */
  readonly log: {
    readonly records: number;
    readonly recordBytes: number;
    readonly segments: number;
    readonly segmentBytes: number;
    /** Those of `segmentBytes` that belong to older versions of entities. The next checkpoint compacts segments that are mostly dead. */
    readonly deadBytes: number;
    /** Whether a checkpoint is due: it is written in an idle moment. */
    readonly isDue: boolean;
    /** When the next checkpoint is written, for people. */
    readonly because: string;
  };
}

/** A tab, see {@link Datum.tabs}. */
export interface TabInfo {
  /** Names it until it closes the user's data. */
  readonly id: string;
  readonly isThis: boolean;
  /** It runs the automatic cycles of all tabs. */
  readonly isLeader: boolean;
  /** It runs a cycle of the user now. */
  readonly isSyncing: boolean;
  readonly isHidden: boolean;
  /** When it opened the user's data, by its clock. */
  readonly openedAt: string;
}

/** The result of {@link Datum.report}. A part that could not be read is an object with its `error`. */
export interface SupportReport {
  /** {@link Datum.version}. */
  readonly version: string;
  readonly at: string;
  /** The browser, the page's origin, whether it is online and visible, and what it offers. */
  readonly environment: { readonly [field: string]: Json };
  /** The config without secrets: functions, classes and the app's own texts are only named, as in `"(function)"`. */
  readonly config: Json;
  readonly userId: string;
  readonly isCurrentUser: boolean;
  readonly status: SyncStatus;
  /** When the next automatic cycle begins; null if none is planned. */
  readonly nextSyncTime: string | null;
  readonly lastResult: SyncResult | null | ReportFailure;
  /** This device's metadata, without the app's own fields; empty if it has never synced. */
  readonly metadata: Partial<SyncMetadata> | ReportFailure;
  readonly outbox: ReportList<PendingOperation> | ReportFailure;
  readonly conflicts: ReportList<Omit<Conflict, "base" | "local" | "remote">> | ReportFailure;
  readonly deadLetters: ReportList<Omit<DeadLetter, "data" | "base">> | ReportFailure;
  /** As {@link Datum.storageSize}, and how many users have a database on this device. */
  readonly storage: { readonly [field: string]: Json };
  readonly metrics: Omit<Metrics, "activeUsers"> & { readonly activeUsers: number };
  /** The last entries of the log, of the level `info` and above, whatever `logLevel` is. */
  readonly log: readonly LogEntry[] | ReportFailure;
}

/** How many there are, and the first hundred. */
export interface ReportList<T> {
  readonly count: number;
  readonly first: readonly T[];
}

/** Why a part of a report could not be read. */
export interface ReportFailure {
  readonly error: DatumErrorJson | string;
}

/** The stable name of a failure. Branch on this, never on the message. */
export type DatumErrorCode =
  /** `Datum.initialize` has not finished. */
  | "notInitialized"
  /** There is no current user, and the call names none. */
  | "noUser"
  /** The config has an unknown key or a wrong value. */
  | "invalidConfig"
  /** An argument is wrong. */
  | "invalidArgument"
  /** The entity is not valid. */
  | "invalidEntity"
  /** There is no such entity on this device. */
  | "notFound"
  /** There is an entity with this id already. */
  | "alreadyExists"
  /** The user is no member of the shared space, as far as this device knows. Invite the user, or write elsewhere. */
  | "notMember"
  /** The user is a `reader` of the shared space, and may not write in it. */
  | "readOnly"
  /** Only an `owner` of the shared space changes it and its members. */
  | "notOwner"
  /**
   * The remote has no shared spaces, so nothing can be written into one. An adapter over a backend that has them returns `spaces` with
   * each page from a null cursor: the user's list, which may be empty.
   */
  | "unsupported"
  /** Other entities refer to the one to delete, and `onDelete` of a relation keeps it for them. Nothing was deleted. */
  | "restricted"
  /** The browser reports no network. */
  | "offline"
  /**
   * The request did not arrive, its response was lost or cut, or something else answered in the remote's place (a captive portal, a
   * proxy, a firewall, a login page): then `status` is set, and the message has its first words.
   */
  | "network"
  /** It took too long. */
  | "timeout"
  /** It was stopped by the caller, a pause or a close. */
  | "cancelled"
  /** The remote accepts neither the token nor a renewed one. Operations stay queued. */
  | "unauthorized"
  /** The remote refuses this user. */
  | "forbidden"
  /** The remote has rejected this for good. */
  | "rejected"
  /** The remote failed. */
  | "serverError"
  /** The remote asks for fewer requests; see `retryAfterMs`. */
  | "rateLimited"
  /** The remote's response does not follow the protocol: a wrong url, a bug. The message names the field and what it is. */
  | "protocol"
  /** The remote, or a file of `importUser`, needs a newer version of the app. */
  | "clientOutdated"
  /** The data, or the token, belongs to another user. */
  | "userMismatch"
  /** Another server answers than the one that the data belongs to; see `acceptServer`. It applied nothing if it keeps the protocol. */
  | "otherServer"
  /** There are unsynced operations. */
  | "unsyncedData"
  /** Both sides changed, and the conflict is undecided. */
  | "conflict"
  /** The browser provides no storage. */
  | "storageUnavailable"
  /** The quota is used up. */
  | "storageFull"
  /** The browser removed the stored data. */
  | "storageLost"
  /** Another tab has an older version of the database open. */
  | "storageBlocked"
  /** Stored bytes do not match their checksum. */
  | "corrupt"
  /** A migration failed, or one is missing. Nothing has changed. */
  | "migration"
  /** This instance has been closed. */
  | "closed"
  /** The engine has crashed. Stored data is safe; reload the page. */
  | "engineDead";

/**
 * Every rejection. `message` is for people and names the fix.
 *
 * An adapter may throw one: `throw new DatumError("unauthorized", "signed out")`.
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
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** When it happened. */
  readonly at: string;
  readonly userId?: string;
  readonly entity?: string;
  readonly entityId?: string;
  /** The HTTP status of the remote's answer. */
  readonly status?: number;
  /** The delay that the remote asked for, in milliseconds. */
  readonly retryAfterMs?: number;
  /** The underlying error. */
  override readonly cause?: unknown;
  toJSON(): DatumErrorJson;
}

/** Details of a failure. */
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
  /** What led to it, in the words of the browser, the server or the app. */
  cause?: string;
}
