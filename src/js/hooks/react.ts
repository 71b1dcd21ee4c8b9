/**
 * datum-sync in React 18 and 19: a provider, and hooks that show what is on this device.
 *
 * @packageDocumentation
 */
"use client";

import type { AnyEntities, AnyEntity, Conflict, Datum, DeadLetter, Entity, SyncStatus } from "datum-sync";
import { createContext, createElement, useCallback, useContext, useEffect, useState, useSyncExternalStore, type ReactElement, type ReactNode } from "react";
import { connectionOf, type Connection } from "./connection.js";
import { noUser, notOpen, withoutProvider } from "./errors.js";
import { LOADING, reader } from "./state.js";
import { CURRENT_USER, conflictsTopic, deadLettersTopic, entityTopic, queryTopic, statusTopic, type Topic } from "./topics.js";
import type { DatumSource, EntityReadOptions, EntitySource, QueryReadOptions, QuerySource, Result, Selection } from "./types.js";

export type { DatumSource, EntityReadOptions, EntitySource, QueryReadOptions, QuerySource, Result, Selection };

/** Whose. */
export interface UserHookOptions {
  /** Default: the current user, also after a switch. */
  userId?: string | undefined;
}

/** Where failures go. */
export interface ErrorOptions {
  /** Throws an error to the next error boundary instead of returning it. Default false. */
  throwOnError?: boolean;
}

/** Options of {@link useQuery}. */
export interface QueryHookOptions<T, R> extends QueryReadOptions, Selection<T, R>, ErrorOptions {}
/** Options of {@link useEntity}. */
export interface EntityHookOptions<T, R> extends EntityReadOptions, Selection<T, R>, ErrorOptions {}
/** Options of {@link useSyncStatus}. */
export interface StatusHookOptions<R> extends UserHookOptions, Selection<SyncStatus, R> {}
/** Options of {@link useConflicts} and {@link useDeadLetters}. */
export interface ListHookOptions<T, R> extends UserHookOptions, Selection<readonly T[], R>, ErrorOptions {}

const Context = createContext<Connection | undefined>(undefined);

/** The argument of {@link DatumProvider}. */
export interface DatumProviderProps {
  /**
   * The instance, or the promise that `Datum.initialize` returned: make it once, outside of the component. Undefined on a server: the components
   * render as they do before the first value.
   */
  datum: DatumSource;
  children?: ReactNode;
}

/**
 * Gives all components below it an instance.
 *
 * @example
 * const opening = Datum.initialize({ entities: { tasks: {} }, remote, initialUserId: "ada" });
 * const App = () => <DatumProvider datum={opening}><Tasks /></DatumProvider>;
 */
export function DatumProvider({ datum, children }: DatumProviderProps): ReactElement {
  const [connection, setConnection] = useState(() => connectionOf(datum));
  useEffect(() => connection.replaceBy(datum, setConnection), [connection, datum]);
  return createElement(Context.Provider, { value: connection }, children);
}

function useConnection(hook: string): Connection {
  const connection = useContext(Context);
  if (connection === undefined) throw withoutProvider(hook, "put <DatumProvider datum={…}> above this component.");
  return connection;
}

const onServer = (): Result<never> => LOADING;

/** `server` is what a server renders, and a page as it takes over what a server has rendered. */
function useTopic<T, R>(connection: Connection, topic: Topic<T>, selection?: Selection<T, R>, server: () => Result<never> = onServer): Result<R> {
  const [read] = useState(() => reader<T, R>());
  // A topic of the same key is the same topic, however it was written.
  const subscribe = useCallback((listener: () => void) => connection.subscribe(topic, listener), [connection, topic.key]);
  return useSyncExternalStore<Result<R>>(subscribe, () => read(connection.snapshot(topic), selection), server);
}

function useResult<T, R>(hook: string, topic: Topic<T>, options?: Selection<T, R> & ErrorOptions): Result<R> {
  const connection = useConnection(hook);
  const result = useTopic(connection, topic, options);
  if (options?.throwOnError && result.error !== undefined) {
    connection.touch(topic);
    throw result.error;
  }
  return result;
}

/**
 * Returns the instance. While the provider's promise is pending, the component is suspended; if it is rejected, the error goes to the next
 * error boundary.
 *
 * Writes need no hook: `useDatum().manager("tasks").create({ title })`.
 */
export function useDatum<E extends { [N in keyof E]: Entity } = AnyEntities>(): Datum<E> {
  const { datum, error, opening } = useConnection("useDatum");
  if (datum !== undefined) return datum as Datum<E>;
  if (error !== undefined) throw error;
  throw opening ?? notOpen();
}

/** Returns the current user: null for nobody, undefined until it is known. */
export function useCurrentUser(): string | null | undefined {
  return useTopic<string | null, string | null>(useConnection("useCurrentUser"), CURRENT_USER).data;
}

/**
 * Returns the entities of a type, ordered by id, or those that a query finds, and follows their changes. A query may be written in the call: it
 * is compared by its content. Components with the same query share one watch.
 *
 * @example
 * const { data: open = [], error, isLoading } = useQuery<Task>("tasks", { where: { field: "done", equals: false } });
 */
export function useQuery<T extends Entity = AnyEntity, R = readonly Readonly<T>[]>(
  entity: EntitySource<T>,
  query?: QuerySource | null,
  options?: QueryHookOptions<readonly Readonly<T>[], R>,
): Result<R> {
  return useResult("useQuery", queryTopic(entity, query, options), options);
}

/**
 * As {@link useQuery}, with the entities alone: the component is suspended until there are some, and an error goes to the next error boundary. On a
 * server it leaves its boundary's fallback to be rendered.
 *
 * @example
 * const tasks = useSuspenseQuery<Task>("tasks");
 */
export function useSuspenseQuery<T extends Entity = AnyEntity, R = readonly Readonly<T>[]>(
  entity: EntitySource<T>,
  query?: QuerySource | null,
  options?: Omit<QueryHookOptions<readonly Readonly<T>[], R>, "throwOnError">,
): R {
  const connection = useConnection("useSuspenseQuery");
  const topic = queryTopic(entity, query, options);
  const result = useTopic(connection, topic, options, ofServer);
  if (result === SERVER) throw notOpen();
  // Until it has mounted, nothing else keeps what it has read.
  connection.touch(topic);
  if (result.error !== undefined) throw result.error;
  if (result.isLoading) throw connection.load(topic);
  if (result.data === undefined) throw noUser("useSuspenseQuery");
  return result.data;
}

const SERVER: Result<never> = { ...LOADING };
const ofServer = (): Result<never> => SERVER;

/** Returns one entity, null if there is none, and follows its changes. Without an id there is nothing to load. */
export function useEntity<T extends Entity = AnyEntity, R = Readonly<T> | null>(
  entity: EntitySource<T>,
  id: string | null | undefined,
  options?: EntityHookOptions<Readonly<T> | null, R>,
): Result<R> {
  return useResult("useEntity", entityTopic(entity, id, options), options);
}

/**
 * Returns the status of a user's sync; undefined until the instance is open, and while nobody is signed in.
 *
 * @example
 * const waiting = useSyncStatus({ select: (status) => status.pendingOperations });
 */
export function useSyncStatus<R = SyncStatus>(user?: string | StatusHookOptions<R>): R | undefined {
  const options: StatusHookOptions<R> | undefined = typeof user === "string" ? { userId: user } : user;
  return useTopic(useConnection("useSyncStatus"), statusTopic(options?.userId), options).data;
}

/** Returns the undecided conflicts, with their sides as they are now. Decide one with `datum.resolveConflict`. */
export function useConflicts<R = readonly Conflict[]>(user?: string | ListHookOptions<Conflict, R>): Result<R> {
  const options: ListHookOptions<Conflict, R> | undefined = typeof user === "string" ? { userId: user } : user;
  return useResult("useConflicts", conflictsTopic(options?.userId), options);
}

/** Returns the operations that the remote has rejected. `datum.retryDeadLetter` and `datum.discardDeadLetter` take them away. */
export function useDeadLetters<R = readonly DeadLetter[]>(user?: string | ListHookOptions<DeadLetter, R>): Result<R> {
  const options: ListHookOptions<DeadLetter, R> | undefined = typeof user === "string" ? { userId: user } : user;
  return useResult("useDeadLetters", deadLettersTopic(options?.userId), options);
}
