/**
 * datum-sync in Svelte 5: a context, and functions whose results are read in markup, `$derived` and `$effect`.
 *
 * @packageDocumentation
 */

import type { AnyEntities, AnyEntity, Conflict, Datum, DeadLetter, Entity, SyncStatus } from "datum-sync";
import { getContext, setContext } from "svelte";
import { createSubscriber } from "svelte/reactivity";
import { connectionOf, type Connection } from "./connection.js";
import { withoutProvider } from "./errors.js";
import { LOADING, reader } from "./state.js";
import { CURRENT_USER, conflictsTopic, deadLettersTopic, entityTopic, queryTopic, statusTopic, type Topic } from "./topics.js";
import type { DatumSource, EntityReadOptions, EntitySource, QueryReadOptions, QuerySource, Result, Selection } from "./types.js";

export type { DatumSource, EntityReadOptions, EntitySource, QueryReadOptions, QuerySource, Result, Selection };

/** A value, or a function that returns it: what is read in the function may change. */
export type Getter<V> = V | (() => V);

/** A value that changes: read `current` where it is shown. */
export interface Current<V> {
  readonly current: V;
}

/** Options of {@link useQuery}. */
export interface QueryOptions<T, R> extends QueryReadOptions, Selection<T, R> {}
/** Options of {@link useEntity}. */
export interface EntityOptions<T, R> extends EntityReadOptions, Selection<T, R> {}
/** Options of {@link useSyncStatus}, {@link useConflicts} and {@link useDeadLetters}. */
export interface UserOptions<T, R> extends Selection<T, R> {
  /** Default: the current user, also after a switch. */
  userId?: string | undefined;
}

type User<T, R> = Getter<string | UserOptions<T, R> | null | undefined>;

const KEY = Symbol("datum-sync");

const valueOf = <V>(getter: Getter<V>): V => (typeof getter === "function" ? (getter as () => V)() : getter);

/**
 * Gives the components below this one an instance, or the promise that `Datum.initialize` returned. Give it nothing on a server.
 *
 * @example
 * <script>
 *   setDatum(Datum.initialize({ entities: { tasks: {} }, remote, initialUserId: "ada" }));
 * </script>
 */
export function setDatum(datum: Getter<DatumSource>): void {
  // An instance is a function's result, and no function itself.
  setContext(KEY, () => connectionOf(valueOf(datum)));
}

function connectionHere(hook: string): () => Connection {
  const connection = getContext<(() => Connection) | undefined>(KEY);
  if (connection === undefined) throw withoutProvider(hook, "call setDatum in a component above.");
  return connection;
}

/** What one component reads. Each read, in markup or an effect, subscribes for as long as that is there. */
class Reading<T, R> {
  readonly #connection: () => Connection;
  readonly #topicOf: () => Topic<T>;
  readonly #selectionOf: () => Selection<T, R> | undefined;
  readonly #read = reader<T, R>();
  #shown: { connection: Connection; key: string; track: () => void; isStarted: boolean } | undefined;

  constructor(hook: string, topicOf: () => Topic<T>, selectionOf: () => Selection<T, R> | undefined = () => undefined) {
    [this.#connection, this.#topicOf, this.#selectionOf] = [connectionHere(hook), topicOf, selectionOf];
  }

  get result(): Result<R> {
    const [connection, topic] = [this.#connection(), this.#topicOf()];
    if (this.#shown?.connection !== connection || this.#shown.key !== topic.key) {
      // A page that takes over what a server has rendered begins as that did. What is shown later goes on at once.
      const shown = { connection, key: topic.key, isStarted: this.#shown?.isStarted ?? false, track: () => {} };
      shown.track = createSubscriber((update) => {
        const stop = connection.subscribe(topic, update);
        queueMicrotask(() => {
          shown.isStarted = true;
          update();
        });
        return stop;
      });
      this.#shown = shown;
    }
    this.#shown.track();
    return this.#shown.isStarted ? this.#read(connection.snapshot(topic), this.#selectionOf()) : LOADING;
  }
}

function resultOf<T, R>(reading: Reading<T, R>): Result<R> {
  return {
    get data() {
      return reading.result.data;
    },
    get error() {
      return reading.result.error;
    },
    get isLoading() {
      return reading.result.isLoading;
    },
  };
}

function currentOf<T, R>(reading: Reading<T, R>): Current<R | undefined> {
  return {
    get current() {
      return reading.result.data;
    },
  };
}

function optionsOf<T, R>(user: User<T, R>): UserOptions<T, R> {
  const options = valueOf(user);
  return typeof options === "string" ? { userId: options } : options ?? {};
}

/**
 * Returns the instance as `current`: undefined until the promise that the context was given has resolved.
 *
 * Writes need no hook: `datum.current?.manager("tasks").create({ title })`.
 */
export function useDatum<E extends { [N in keyof E]: Entity } = AnyEntities>(): Current<Datum<E> | undefined> {
  const connection = connectionHere("useDatum");
  const user = new Reading("useDatum", () => CURRENT_USER);
  return {
    get current() {
      // The user is known as soon as the instance is open. Read outside of an effect, the instance is there without a wait.
      void user.result;
      return connection().datum as Datum<E> | undefined;
    },
  };
}

/** Returns the current user as `current`: null for nobody, undefined until it is known. */
export function useCurrentUser(): Current<string | null | undefined> {
  return currentOf(new Reading<string | null, string | null>("useCurrentUser", () => CURRENT_USER));
}

/**
 * Returns the entities of a type, ordered by id, or those that a query finds, and follows their changes. Arguments that change are functions. A query
 * is compared by its content. Components with the same query share one watch.
 *
 * @example
 * const open = useQuery<Task>("tasks", () => ({ where: { field: "done", equals: done } })); // {#each open.data ?? [] as task (task.id)}
 */
export function useQuery<T extends Entity = AnyEntity, R = readonly Readonly<T>[]>(
  entity: Getter<EntitySource<T>>,
  query?: Getter<QuerySource | null | undefined>,
  options?: Getter<QueryOptions<readonly Readonly<T>[], R> | undefined>,
): Result<R> {
  return resultOf(new Reading("useQuery", () => queryTopic(valueOf(entity), valueOf(query), valueOf(options)), () => valueOf(options)));
}

/** Returns one entity, null if there is none, and follows its changes. Without an id there is nothing to load. */
export function useEntity<T extends Entity = AnyEntity, R = Readonly<T> | null>(
  entity: Getter<EntitySource<T>>,
  id: Getter<string | null | undefined>,
  options?: Getter<EntityOptions<Readonly<T> | null, R> | undefined>,
): Result<R> {
  return resultOf(new Reading("useEntity", () => entityTopic(valueOf(entity), valueOf(id), valueOf(options)), () => valueOf(options)));
}

/** Returns the status of a user's sync as `current`; undefined until the instance is open, and while nobody is signed in. */
export function useSyncStatus<R = SyncStatus>(user?: User<SyncStatus, R>): Current<R | undefined> {
  return currentOf(new Reading<SyncStatus, R>("useSyncStatus", () => statusTopic(optionsOf(user).userId), () => optionsOf(user)));
}

/** Returns the undecided conflicts, with their sides as they are now. Decide one with `datum.resolveConflict`. */
export function useConflicts<R = readonly Conflict[]>(user?: User<readonly Conflict[], R>): Result<R> {
  return resultOf(new Reading<readonly Conflict[], R>("useConflicts", () => conflictsTopic(optionsOf(user).userId), () => optionsOf(user)));
}

/** Returns the operations that the remote has rejected. `datum.retryDeadLetter` and `datum.discardDeadLetter` take them away. */
export function useDeadLetters<R = readonly DeadLetter[]>(user?: User<readonly DeadLetter[], R>): Result<R> {
  return resultOf(new Reading<readonly DeadLetter[], R>("useDeadLetters", () => deadLettersTopic(optionsOf(user).userId), () => optionsOf(user)));
}
