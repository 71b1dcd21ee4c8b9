/** What the entries for all frameworks take and return. */

import type { Datum, DatumError, Entity, Manager, ReadOptions } from "datum-sync";

/** What a provider is given: an instance, a promise of one, or nothing yet, as on a server. */
export type DatumSource = Datum<any> | PromiseLike<Datum<any>> | null | undefined;

/** An entity type: its name, or a manager, which stands for its type. The data is that of the provider's instance. */
export type EntitySource<T extends Entity> = string | Manager<T>;

/** A query, as `watchQuery` takes it, or a builder of one. */
export type QuerySource = (Manager extends { watchQuery: (query: infer Q, ...more: any[]) => unknown } ? Q : { readonly [part: string]: unknown }) | { toJSON(): unknown };

/** Which entities `useQuery` reads, besides its query. */
export interface QueryReadOptions extends ReadOptions {}

/** How `useEntity` reads its entity. */
export interface EntityReadOptions extends Omit<ReadOptions, "includeDeleted"> {}

/** What is known of a query, an entity or a list. */
export interface Result<T> {
  /** The latest value. Undefined before the first one, on a server, after a failure of the first read, and while nobody is signed in. */
  readonly data: T | undefined;
  /** Why there is no newer value; undefined while all is well. */
  readonly error: DatumError | undefined;
  /** True until there is a first value or an error. False while nobody is signed in: then there is nothing to wait for. */
  readonly isLoading: boolean;
}

/** Returns whether two values are the same to a component. */
export type Equality<R> = (a: R, b: R) => boolean;

/** A part of the data, for a component that shows no more. */
export interface Selection<T, R> {
  /**
   * Returns what the component shows. It is updated only if this changes: arrays and plain objects are compared by their elements, which are
   * the same objects as long as their entities are unchanged.
   */
  select?: (data: T) => R;
  /** Replaces that comparison. */
  isEqual?: Equality<R>;
}
