/** Follows the engine's feeds, and lists that it only answers when asked. */

import type { Datum, DatumEvent, SyncStatus } from "datum-sync";

/** Gets what is followed. */
export interface Sink<T> {
  next(value: T): void;
  fail(thrown: unknown): void;
  end(): void;
}

/** Ends what was started. */
export type Stop = () => void;

/** Follows a feed. The loop is left at once, also while its first value is under way. */
export function follow<T>(feed: AsyncIterable<T>, sink: Sink<T>): Stop {
  const loop = feed[Symbol.asyncIterator]();
  let isOver = false;
  const run = async () => {
    for (;;) {
      const step = await loop.next();
      if (isOver) return;
      if (step.done) return sink.end();
      sink.next(step.value);
    }
  };
  run().catch((thrown) => {
    if (!isOver) sink.fail(thrown);
  });
  const leave = async () => loop.return?.();
  return () => {
    isOver = true;
    leave().catch(() => {});
  };
}

/** A list without a feed: what reads it, and what says that it may be another. */
export interface ListSource<T> {
  read(datum: Datum<any>, userId: string): Promise<readonly T[]>;
  /** How many there are, by the status. It is the same in every tab. */
  count(status: SyncStatus): number;
  events: DatumEvent["type"][];
  /** Whether an element shows entities, which change by themselves. */
  hasEntities: boolean;
}

/** Reads a list, and again whenever it may have changed. */
export function followList<T>(source: ListSource<T>, datum: Datum<any>, userId: string, sink: Sink<readonly T[]>): Stop {
  let [isOver, isReading, isStale] = [false, false, false];
  let seen: string | undefined;
  let entities: Stop | undefined;
  const read = async () => {
    isStale = true;
    if (isReading) return;
    isReading = true;
    while (isStale && !isOver) {
      isStale = false;
      const list = await source.read(datum, userId);
      if (isOver) return;
      sink.next(list);
      if (source.hasEntities) followEntities(list.length > 0);
    }
    isReading = false;
  };
  const again = () => void read().catch(fail);
  const fail = (thrown: unknown) => {
    if (!isOver) sink.fail(thrown);
  };
  // The changes of entities cost an event each, so they are only asked for while the list shows some.
  const followEntities = (are: boolean) => {
    if (are) {
      entities ??= follow(datum.events({ userId, type: "dataChanged" }), { next: again, fail, end: () => {} });
    } else {
      entities?.();
      entities = undefined;
    }
  };
  const stops = [
    follow(datum.events({ userId, type: source.events }), { next: again, fail, end: () => {} }),
    follow(datum.statusForUser(userId), {
      next(status) {
        const now = `${source.count(status)} ${status.lastCompletedAt ?? ""}`;
        if (now !== seen) again();
        seen = now;
      },
      fail,
      end: () => sink.end(),
    }),
  ];
  return () => {
    isOver = true;
    for (const stop of stops) stop();
    entities?.();
  };
}
