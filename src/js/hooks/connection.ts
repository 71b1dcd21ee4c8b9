/**
 * What the components of one provider share: its instance, which may still be opening, the current user, and each watch once, however many
 * components show it.
 */

import type { Datum, DatumError } from "datum-sync";
import { errorOf } from "./errors.js";
import type { Stop } from "./feed.js";
import { CURRENT_USER, type Topic } from "./topics.js";
import type { DatumSource, Result } from "./types.js";
import { SharedWatch, preview, type Owner } from "./watch.js";

const connections = new WeakMap<object, Connection>();
let nothing: Connection | undefined;

/** Returns the connection of a source: the same one for the same source, so that a component that is made again finds its watches. */
export function connectionOf(source: DatumSource): Connection {
  if (source === null || source === undefined) return (nothing ??= new Connection(undefined));
  let known = connections.get(source);
  if (known === undefined) connections.set(source, (known = new Connection(source)));
  return known;
}

const isPromise = (source: object): source is PromiseLike<Datum<any>> => typeof (source as { then?: unknown }).then === "function";

export class Connection implements Owner {
  /** The instance, once it is open. */
  datum: Datum<any> | undefined;
  /** Why there is none. */
  error: DatumError | undefined;
  /** Settles with the instance; undefined without a source. */
  readonly opening: Promise<Datum<any>> | undefined;
  /** Counts the batches of changes. */
  version = 0;
  readonly #watches = new Map<string, SharedWatch<any>>();
  readonly #previews = new Map<string, Result<any>>();
  readonly #changed = new Set<SharedWatch<any>>();
  #depth = 0;

  constructor(source: Datum<any> | PromiseLike<Datum<any>> | undefined) {
    if (source === undefined) return;
    if (!isPromise(source)) {
      this.datum = source;
      this.opening = Promise.resolve(source);
      return;
    }
    this.opening = Promise.resolve(source).then((datum) => {
      this.#become(() => (this.datum = datum));
      return datum;
    });
    // Each component reports it.
    this.opening.catch((thrown) => this.#become(() => (this.error = errorOf("notInitialized", thrown))));
  }

  /** Calls `listener` whenever what {@link snapshot} returns has changed, until the returned function is called. */
  subscribe(topic: Topic<any>, listener: () => void): Stop {
    return this.#watch(topic).subscribe(listener);
  }

  followUser(dependent: () => void): Stop {
    return this.#watch(CURRENT_USER).depend(dependent);
  }

  /** Returns what is known of a topic now. It starts nothing. */
  snapshot<T>(topic: Topic<T>): Result<T> {
    return this.#watches.get(topic.key)?.state ?? this.#preview(topic);
  }

  /** A value that can be had without a watch is the same object until it differs: React compares it several times before it mounts. */
  #preview<T>(topic: Topic<T>): Result<T> {
    const [known, now] = [this.#previews.get(topic.key) as Result<T> | undefined, preview(this, topic)];
    if (now.data === undefined) return now;
    if (known?.data !== undefined && topic.isSame?.(known.data, now.data)) return known;
    this.#previews.set(topic.key, now);
    return now;
  }

  /** Starts to watch a topic for a component that is not mounted yet, and resolves once there is a value or an error. */
  load(topic: Topic<any>): Promise<void> {
    return this.#watch(topic).load();
  }

  /** Keeps what a component has read that is not mounted yet. */
  touch(topic: Topic<any>): void {
    this.#watches.get(topic.key)?.touch();
  }

  get user(): string | null | undefined {
    return this.snapshot(CURRENT_USER).data;
  }

  /**
   * Calls `become` with the connection of another source, once that is another instance. A promise of the same one, as of a module that a
   * development server has replaced, changes nothing: what is shown stays. Returns a function that forgets it.
   */
  replaceBy(source: DatumSource, become: (connection: Connection) => void): () => void {
    const next = connectionOf(source);
    let isOver = false;
    const decide = () => {
      if (!isOver && (next.datum === undefined || next.datum !== this.datum)) become(next);
    };
    if (next === this) return () => {};
    if (this.datum === undefined || next.opening === undefined || next.datum !== undefined) decide();
    else next.opening.then(decide, decide);
    return () => void (isOver = true);
  }

  /** Runs `work`, and only then tells the components of all that it has changed: they never see the new user beside the rows of another. */
  changeAll(work: () => void): void {
    this.#depth++;
    try {
      work();
    } finally {
      this.#depth--;
      if (this.#depth === 0) {
        const changed = [...this.#changed];
        this.#changed.clear();
        if (changed.length > 0) this.version++;
        for (const watch of changed) watch.tell();
      }
    }
  }

  noteChange(watch: SharedWatch<any>): void {
    this.changeAll(() => this.#changed.add(watch));
  }

  #become(take: () => void): void {
    this.changeAll(() => {
      take();
      for (const watch of [...this.#watches.values()]) watch.follow();
    });
  }

  #watch<T>(topic: Topic<T>): SharedWatch<T> {
    let known = this.#watches.get(topic.key) as SharedWatch<T> | undefined;
    if (known === undefined) {
      this.#previews.delete(topic.key);
      known = new SharedWatch(this, topic, () => void this.#watches.delete(topic.key));
      this.#watches.set(topic.key, known);
    }
    return known;
  }
}
