/**
 * datum-sync in Solid: a provider, and functions whose results are read in JSX and effects.
 *
 * @packageDocumentation
 */

import type { AnyEntities, AnyEntity, Conflict, Datum, DeadLetter, Entity, SyncStatus } from "datum-sync";
import { createComponent, createContext, createEffect, createMemo, createSignal, on, onCleanup, onMount, untrack, useContext, type Accessor, type JSX, type Signal } from "solid-js";
import { connectionOf, type Connection } from "./connection.js";
import { withoutProvider } from "./errors.js";
import { LOADING, reader } from "./state.js";
import { CURRENT_USER, conflictsTopic, deadLettersTopic, entityTopic, queryTopic, statusTopic, type Topic } from "./topics.js";
import type { DatumSource, EntityReadOptions, EntitySource, QueryReadOptions, QuerySource, Result, Selection } from "./types.js";

export type { DatumSource, EntityReadOptions, EntitySource, QueryReadOptions, QuerySource, Result, Selection };

/** A value, or an accessor of one that changes. */
export type MaybeAccessor<V> = V | Accessor<V>;

/** Options of {@link useQuery}. */
export interface QueryOptions<T, R> extends QueryReadOptions, Selection<T, R> {}
/** Options of {@link useEntity}. */
export interface EntityOptions<T, R> extends EntityReadOptions, Selection<T, R> {}
/** Options of {@link useSyncStatus}, {@link useConflicts} and {@link useDeadLetters}. */
export interface UserOptions<T, R> extends Selection<T, R> {
  /** Default: the current user, also after a switch. */
  userId?: string | undefined;
}

type User<T, R> = MaybeAccessor<string | UserOptions<T, R> | null | undefined>;

const Context = createContext<Accessor<Connection>>();

const valueOf = <V>(value: MaybeAccessor<V>): V => (typeof value === "function" ? (value as Accessor<V>)() : value);

/** The argument of {@link DatumProvider}. */
export interface DatumProviderProps {
  /** The instance, or the promise that `Datum.initialize` returned. Undefined on a server. */
  datum: DatumSource;
  children?: JSX.Element;
}

/**
 * Gives all components below it an instance.
 *
 * @example
 * const opening = Datum.initialize({ entities: { tasks: {} }, remote, initialUserId: "ada" });
 * render(() => <DatumProvider datum={opening}><Tasks /></DatumProvider>, root);
 */
export function DatumProvider(props: DatumProviderProps): JSX.Element {
  const [connection, setConnection] = createSignal(connectionOf(untrack(() => props.datum)));
  createEffect(
    on(
      () => props.datum,
      (source) => onCleanup(untrack(connection).replaceBy(source, (next) => setConnection(() => next))),
      { defer: true },
    ),
  );
  return createComponent(Context.Provider, {
    value: connection,
    get children() {
      return props.children;
    },
  });
}

/**
 * The changes of each connection. All that is computed from it is computed again after a change: no effect sees the new user beside the rows of
 * another.
 */
const versions = new WeakMap<Connection, Signal<number>>();

function versionOf(connection: Connection): Signal<number> {
  let known = versions.get(connection);
  if (known === undefined) versions.set(connection, (known = createSignal(connection.version)));
  return known;
}

function useConnection(hook: string): Accessor<Connection> {
  const connection = useContext(Context);
  if (connection === undefined) throw withoutProvider(hook, "put <DatumProvider datum={…}> above this component.");
  return connection;
}

function useTopic<T, R>(hook: string, topicOf: () => Topic<T>, selectionOf?: () => Selection<T, R> | undefined): Accessor<Result<R>> {
  const connection = useConnection(hook);
  // A topic of the same key is the same topic, however it was written.
  const topic = createMemo(topicOf, undefined, { equals: (a, b) => a.key === b.key });
  // A server renders what there is before the first value, and the page that takes over renders the same at first.
  const [isMounted, setMounted] = createSignal(false);
  const read = reader<T, R>();
  onMount(() => setMounted(true));
  createEffect(() => {
    const [now, watched] = [connection(), topic()];
    if (!isMounted()) return;
    const [, setVersion] = versionOf(now);
    const tell = () => void setVersion(now.version);
    onCleanup(now.subscribe(watched, tell));
    tell();
  });
  return createMemo<Result<R>>(() => {
    versionOf(connection())[0]();
    return isMounted() ? read(connection().snapshot(topic()), selectionOf?.()) : LOADING;
  });
}

function resultOf<R>(result: Accessor<Result<R>>): Result<R> {
  const data = createMemo(() => result().data);
  return {
    get data() {
      return data();
    },
    get error() {
      return result().error;
    },
    get isLoading() {
      return result().isLoading;
    },
  };
}

function optionsOf<T, R>(user: User<T, R>): UserOptions<T, R> {
  const options = valueOf(user);
  return typeof options === "string" ? { userId: options } : options ?? {};
}

/**
 * Returns the instance: undefined until the promise that the provider was given has resolved.
 *
 * Writes need no hook: `datum()?.manager("tasks").create({ title })`.
 */
export function useDatum<E extends { [N in keyof E]: Entity } = AnyEntities>(): Accessor<Datum<E> | undefined> {
  const connection = useConnection("useDatum");
  // The user is known as soon as the instance is open.
  const user = useTopic("useDatum", () => CURRENT_USER);
  return () => (user().isLoading ? undefined : (connection().datum as Datum<E> | undefined));
}

/** Returns the current user: null for nobody, undefined until it is known. */
export function useCurrentUser(): Accessor<string | null | undefined> {
  const result = useTopic<string | null, string | null>("useCurrentUser", () => CURRENT_USER);
  return () => result().data;
}

/**
 * Returns the entities of a type, ordered by id, or those that a query finds, and follows their changes. Arguments that change are accessors. A query
 * is compared by its content. Components with the same query share one watch.
 *
 * @example
 * const open = useQuery<Task>("tasks", () => ({ where: { field: "done", equals: props.done } })); // <For each={open.data}>
 */
export function useQuery<T extends Entity = AnyEntity, R = readonly Readonly<T>[]>(
  entity: MaybeAccessor<EntitySource<T>>,
  query?: MaybeAccessor<QuerySource | null | undefined>,
  options?: MaybeAccessor<QueryOptions<readonly Readonly<T>[], R> | undefined>,
): Result<R> {
  return resultOf(useTopic("useQuery", () => queryTopic(valueOf(entity), valueOf(query), valueOf(options)), () => valueOf(options)));
}

/** Returns one entity, null if there is none, and follows its changes. Without an id there is nothing to load. */
export function useEntity<T extends Entity = AnyEntity, R = Readonly<T> | null>(
  entity: MaybeAccessor<EntitySource<T>>,
  id: MaybeAccessor<string | null | undefined>,
  options?: MaybeAccessor<EntityOptions<Readonly<T> | null, R> | undefined>,
): Result<R> {
  return resultOf(useTopic("useEntity", () => entityTopic(valueOf(entity), valueOf(id), valueOf(options)), () => valueOf(options)));
}

/** Returns the status of a user's sync; undefined until the instance is open, and while nobody is signed in. */
export function useSyncStatus<R = SyncStatus>(user?: User<SyncStatus, R>): Accessor<R | undefined> {
  const result = useTopic("useSyncStatus", () => statusTopic(optionsOf(user).userId), () => optionsOf(user));
  return () => result().data;
}

/** Returns the undecided conflicts, with their sides as they are now. Decide one with `datum.resolveConflict`. */
export function useConflicts<R = readonly Conflict[]>(user?: User<readonly Conflict[], R>): Result<R> {
  return resultOf(useTopic("useConflicts", () => conflictsTopic(optionsOf(user).userId), () => optionsOf(user)));
}

/** Returns the operations that the remote has rejected. `datum.retryDeadLetter` and `datum.discardDeadLetter` take them away. */
export function useDeadLetters<R = readonly DeadLetter[]>(user?: User<readonly DeadLetter[], R>): Result<R> {
  return resultOf(useTopic("useDeadLetters", () => deadLettersTopic(optionsOf(user).userId), () => optionsOf(user)));
}
