/**
 * datum-sync in Vue 3: a plugin, and composables that show what is on this device.
 *
 * @packageDocumentation
 */

import type { AnyEntities, AnyEntity, Conflict, Datum, DeadLetter, Entity, SyncStatus } from "datum-sync";
import { computed, getCurrentInstance, inject, onMounted, provide, ref, shallowRef, toValue, watch, type App, type ComputedRef, type InjectionKey, type MaybeRefOrGetter, type ShallowRef } from "vue";
import { connectionOf, type Connection } from "./connection.js";
import { withoutProvider } from "./errors.js";
import { LOADING, reader } from "./state.js";
import { CURRENT_USER, conflictsTopic, deadLettersTopic, entityTopic, queryTopic, statusTopic, type Topic } from "./topics.js";
import type { DatumSource, EntityReadOptions, EntitySource, QueryReadOptions, QuerySource, Result, Selection } from "./types.js";

export type { DatumSource, EntityReadOptions, EntitySource, QueryReadOptions, QuerySource, Result, Selection };

/** What a composable returns: a {@link Result} as refs. */
export interface ResultRefs<T> {
  readonly data: ComputedRef<Result<T>["data"]>;
  readonly error: ComputedRef<Result<T>["error"]>;
  readonly isLoading: ComputedRef<boolean>;
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

type User<T, R> = MaybeRefOrGetter<string | UserOptions<T, R> | null | undefined>;

const KEY: InjectionKey<ShallowRef<Connection>> = Symbol("datum-sync");

function connect(source: MaybeRefOrGetter<DatumSource>): ShallowRef<Connection> {
  const connection = shallowRef(connectionOf(toValue(source)));
  watch(
    // Vue would report the rejection of a promise that a getter returns.
    () => ({ next: toValue(source) }),
    ({ next }, _, onCleanup) => onCleanup(connection.value.replaceBy(next, (other) => (connection.value = other))),
  );
  return connection;
}

/**
 * Gives all components of an app an instance, or the promise that `Datum.initialize` returned. Give it nothing on a server.
 *
 * @example
 * createApp(App).use(DatumPlugin, Datum.initialize({ entities: { tasks: {} }, remote, initialUserId: "ada" })).mount("#app");
 */
export const DatumPlugin = {
  install(app: App, datum?: MaybeRefOrGetter<DatumSource>): void {
    app.provide(KEY, connect(datum));
  },
};

/** Gives the components below this one an instance: as {@link DatumPlugin}, for a part of an app. */
export function provideDatum(datum: MaybeRefOrGetter<DatumSource>): void {
  provide(KEY, connect(datum));
}

/**
 * The changes of each connection. All that is computed from it is computed again after a change: what runs at once, before anything is rendered,
 * does not see the new user beside the rows of another.
 */
const versions = new WeakMap<Connection, ShallowRef<number>>();

function versionOf(connection: Connection): ShallowRef<number> {
  let known = versions.get(connection);
  if (known === undefined) versions.set(connection, (known = shallowRef(connection.version)));
  return known;
}

function useConnection(hook: string): ShallowRef<Connection> {
  const connection = inject(KEY, undefined);
  if (connection === undefined) throw withoutProvider(hook, "call app.use(DatumPlugin, datum), or provideDatum in a component above.");
  return connection;
}

function useTopic<T, R>(hook: string, topicOf: () => Topic<T>, selectionOf?: () => Selection<T, R> | undefined): ComputedRef<Result<R>> {
  const connection = useConnection(hook);
  const topic = shallowRef(topicOf());
  // A server renders what there is before the first value, and the page that takes over renders the same at first.
  const isMounted = ref(false);
  const read = reader<T, R>();
  const start = () => {
    isMounted.value = true;
    watch(
      [connection, () => topicOf().key] as const,
      ([connection], _, onCleanup) => {
        topic.value = topicOf();
        const version = versionOf(connection);
        onCleanup(connection.subscribe(topic.value, () => void (version.value = connection.version)));
        version.value = connection.version;
      },
      { immediate: true, flush: "sync" },
    );
  };
  if (getCurrentInstance() !== null) onMounted(start);
  else if (typeof document !== "undefined") start();
  return computed(() => {
    void versionOf(connection.value).value;
    return isMounted.value ? read(connection.value.snapshot(topic.value), selectionOf?.()) : LOADING;
  });
}

function refsOf<R>(result: ComputedRef<Result<R>>): ResultRefs<R> {
  return { data: computed(() => result.value.data), error: computed(() => result.value.error), isLoading: computed(() => result.value.isLoading) };
}

function optionsOf<T, R>(user: User<T, R>): UserOptions<T, R> {
  const options = toValue(user);
  return typeof options === "string" ? { userId: options } : options ?? {};
}

/**
 * Returns the instance: undefined until the promise that the plugin was given has resolved.
 *
 * Writes need no composable: `datum.value?.manager("tasks").create({ title })`.
 */
export function useDatum<E extends { [N in keyof E]: Entity } = AnyEntities>(): ComputedRef<Datum<E> | undefined> {
  const connection = useConnection("useDatum");
  const user = useTopic("useDatum", () => CURRENT_USER);
  return computed(() => {
    // The user is known as soon as the instance is open.
    return user.value.isLoading ? undefined : (connection.value.datum as Datum<E> | undefined);
  });
}

/** Returns the current user: null for nobody, undefined until it is known. */
export function useCurrentUser(): ComputedRef<string | null | undefined> {
  const result = useTopic<string | null, string | null>("useCurrentUser", () => CURRENT_USER);
  return computed(() => result.value.data);
}

/**
 * Returns the entities of a type, ordered by id, or those that a query finds, and follows their changes. Everything may be a ref or a getter. A
 * query is compared by its content. Components with the same query share one watch.
 *
 * @example
 * const { data: open, error, isLoading } = useQuery<Task>("tasks", () => ({ where: { field: "done", equals: props.done } }));
 */
export function useQuery<T extends Entity = AnyEntity, R = readonly Readonly<T>[]>(
  entity: MaybeRefOrGetter<EntitySource<T>>,
  query?: MaybeRefOrGetter<QuerySource | null | undefined>,
  options?: MaybeRefOrGetter<QueryOptions<readonly Readonly<T>[], R> | undefined>,
): ResultRefs<R> {
  return refsOf(useTopic("useQuery", () => queryTopic(toValue(entity), toValue(query), toValue(options)), () => toValue(options)));
}

/** Returns one entity, null if there is none, and follows its changes. Without an id there is nothing to load. */
export function useEntity<T extends Entity = AnyEntity, R = Readonly<T> | null>(
  entity: MaybeRefOrGetter<EntitySource<T>>,
  id: MaybeRefOrGetter<string | null | undefined>,
  options?: MaybeRefOrGetter<EntityOptions<Readonly<T> | null, R> | undefined>,
): ResultRefs<R> {
  return refsOf(useTopic("useEntity", () => entityTopic(toValue(entity), toValue(id), toValue(options)), () => toValue(options)));
}

/** Returns the status of a user's sync; undefined until the instance is open, and while nobody is signed in. */
export function useSyncStatus<R = SyncStatus>(user?: User<SyncStatus, R>): ComputedRef<R | undefined> {
  const result = useTopic("useSyncStatus", () => statusTopic(optionsOf(user).userId), () => optionsOf(user));
  return computed(() => result.value.data);
}

/** Returns the undecided conflicts, with their sides as they are now. Decide one with `datum.resolveConflict`. */
export function useConflicts<R = readonly Conflict[]>(user?: User<readonly Conflict[], R>): ResultRefs<R> {
  return refsOf(useTopic("useConflicts", () => conflictsTopic(optionsOf(user).userId), () => optionsOf(user)));
}

/** Returns the operations that the remote has rejected. `datum.retryDeadLetter` and `datum.discardDeadLetter` take them away. */
export function useDeadLetters<R = readonly DeadLetter[]>(user?: User<readonly DeadLetter[], R>): ResultRefs<R> {
  return refsOf(useTopic("useDeadLetters", () => deadLettersTopic(optionsOf(user).userId), () => optionsOf(user)));
}
