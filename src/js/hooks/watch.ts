/** One watch of the engine, shared by all components that show it. It follows the current user and ends with its last component. */

import type { Datum, DatumError } from "datum-sync";
import { errorOf } from "./errors.js";
import type { Sink, Stop } from "./feed.js";
import { IDLE, LOADING } from "./state.js";
import type { Topic } from "./topics.js";
import type { Result } from "./types.js";

/**
 * How long a watch goes on without a component, in milliseconds: React's strict mode unmounts and mounts each component, the next page of an
 * app may show the same list, and a suspended component is not mounted yet.
 */
export const LINGER_MS = 5_000;

/** What a watch needs to know of its connection. */
export interface Owner {
  readonly datum: Datum<any> | undefined;
  readonly error: DatumError | undefined;
  /** Undefined until it is known. */
  readonly user: string | null | undefined;
  /** Calls `dependent` as soon as the user has changed, before any component hears of it. */
  followUser(dependent: () => void): Stop;
  changeAll(work: () => void): void;
  noteChange(watch: SharedWatch<any>): void;
}

/** Where a topic is read: an instance and a user; or what is known without one. */
type Place = { readonly datum: Datum<any>; readonly userId: string } | { readonly datum?: undefined; readonly state: Result<never> };

function placeOf(owner: Owner, topic: Topic<unknown>): Place {
  if (topic.isIdle) return { state: IDLE };
  if (owner.error !== undefined) return { state: { data: undefined, error: owner.error, isLoading: false } };
  if (owner.datum === undefined) return { state: LOADING };
  const userId = topic.isOfNobody ? "" : topic.userId ?? owner.user;
  if (userId === undefined || userId === null) return { state: userId === null ? IDLE : LOADING };
  return { datum: owner.datum, userId };
}

const isSamePlace = (a: Place, b: Place) => (a.datum === undefined ? a.state === (b as { state?: unknown }).state : a.datum === b.datum && a.userId === b.userId);

const found = <T>(data: T): Result<T> => ({ data, error: undefined, isLoading: false });

function first<T>(place: Place, topic: Topic<T>): Result<T> {
  if (place.datum === undefined) return place.state;
  try {
    const data = topic.peek?.(place.datum, place.userId);
    return data === undefined ? LOADING : found(data);
  } catch {
    // The watch itself will report it.
    return LOADING;
  }
}

/** Returns what is known of a topic that nobody watches. */
export const preview = <T>(owner: Owner, topic: Topic<T>): Result<T> => first(placeOf(owner, topic), topic);

export class SharedWatch<T> {
  state: Result<T> = LOADING;
  /** Called when this has changed, before any component hears of it. */
  readonly dependents = new Set<() => void>();
  readonly #owner: Owner;
  readonly #topic: Topic<T>;
  readonly #forget: () => void;
  readonly #listeners = new Set<() => void>();
  #place: Place | undefined;
  #hasEnded = false;
  #stop: Stop | undefined;
  #unfollow: Stop | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #loading: { promise: Promise<void>; settle: () => void } | undefined;

  /** Starts it. `forget` is called when it has ended. */
  constructor(owner: Owner, topic: Topic<T>, forget: () => void) {
    [this.#owner, this.#topic, this.#forget] = [owner, topic, forget];
    if (!topic.isOfNobody) this.#unfollow = owner.followUser(() => this.follow());
    this.#begin(placeOf(owner, topic));
  }

  subscribe(listener: () => void): Stop {
    // The same function may be given twice.
    const own = () => listener();
    this.#listeners.add(own);
    this.#keep();
    return () => {
      if (this.#listeners.delete(own)) this.#release();
    };
  }

  /** Calls `dependent` at each change, before any component, until the returned function is called. It keeps the watch as a component does. */
  depend(dependent: () => void): Stop {
    this.dependents.add(dependent);
    this.#keep();
    return () => {
      if (this.dependents.delete(dependent)) this.#release();
    };
  }

  /** Resolves once there is a value or an error; until then, the watch does not end. */
  load(): Promise<void> {
    if (!this.state.isLoading) return Promise.resolve();
    if (this.#loading === undefined) {
      let settle = () => {};
      const promise = new Promise<void>((resolve) => (settle = resolve));
      this.#loading = { promise, settle };
    }
    this.#keep();
    return this.#loading.promise;
  }

  /** Keeps the watch for a while for a component that has read it and is not mounted yet. A watch that has failed is dropped, so that a later component tries again. */
  touch(): void {
    this.#release();
  }

  /** Begins again if the user or the instance has changed. */
  follow(): void {
    const place = placeOf(this.#owner, this.#topic);
    const isSame = this.#place !== undefined && isSamePlace(this.#place, place);
    // A user who had signed out is back.
    const isBack = this.#hasEnded && this.#topic.userId !== undefined && this.#owner.user === this.#topic.userId;
    if (!isSame || isBack) this.#begin(place);
  }

  /** Tells every component that this has changed. */
  tell(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (thrown) {
        // A fault of one component keeps nothing from the others.
        queueMicrotask(() => {
          throw thrown;
        });
      }
    }
  }

  #begin(place: Place): void {
    this.#leave();
    this.#place = place;
    this.#hasEnded = false;
    this.#set(first(place, this.#topic));
    if (place.datum === undefined) return;
    const fail = (thrown: unknown) => {
      this.#leave();
      this.#set({ data: this.state.data, error: errorOf("invalidArgument", thrown), isLoading: false });
    };
    // Nothing comes any more once it has been stopped.
    const sink: Sink<T> = { next: (value) => this.#show(value), fail, end: () => this.#end() };
    try {
      this.#stop = this.#topic.start(place.datum, place.userId, sink);
    } catch (thrown) {
      fail(thrown);
    }
  }

  #show(value: T): void {
    const { data, isLoading, error } = this.state;
    const isKnown = data !== undefined && !isLoading && error === undefined && (Object.is(data, value) || (this.#topic.isSame?.(data, value) ?? false));
    if (!isKnown) this.#set(found(value));
  }

  /** The instance was closed, or the user has signed out: the rows of the current user stay until another is there, others go. */
  #end(): void {
    this.#leave();
    this.#hasEnded = true;
    if (this.#topic.userId !== undefined || this.state.isLoading) this.#set(IDLE);
  }

  #leave(): void {
    const stop = this.#stop;
    this.#stop = undefined;
    stop?.();
  }

  #set(state: Result<T>): void {
    if (state === this.state) return;
    this.#owner.changeAll(() => {
      this.state = state;
      this.#owner.noteChange(this);
      for (const dependent of [...this.dependents]) dependent();
    });
    if (!state.isLoading && this.#loading !== undefined) {
      const { settle } = this.#loading;
      this.#loading = undefined;
      // The component reads it when React comes back to it.
      this.#release(LINGER_MS);
      settle();
    }
  }

  #keep(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #release(delay = this.state.error === undefined ? LINGER_MS : 0): void {
    if (this.#listeners.size > 0 || this.dependents.size > 0 || this.#loading !== undefined) return;
    this.#keep();
    this.#timer = setTimeout(() => this.#dispose(), delay);
    // In Node, a watch that lingers does not keep the process.
    (this.#timer as { unref?: () => void }).unref?.();
  }

  #dispose(): void {
    this.#leave();
    this.#unfollow?.();
    this.#forget();
  }
}
