/** What components share of a result, and how each gets only what it shows. */

import type { Result, Selection } from "./types.js";

export const LOADING: Result<never> = Object.freeze({ data: undefined, error: undefined, isLoading: true });
/** Nobody is signed in, or nothing is asked for. */
export const IDLE: Result<never> = Object.freeze({ data: undefined, error: undefined, isLoading: false });

/** Compares two values, and the elements of arrays and plain objects with `===`. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!isPlain(a) || !isPlain(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && Object.is(a[key], b[key]));
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null;
}

/** Returns whether two values are the same JSON: for small values that are parsed again each time. */
export const isSameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * Returns the function by which one component reads: it returns the same object as before as long as the component would show the same.
 */
export function reader<T, R>(): (state: Result<T>, selection?: Selection<T, R>) => Result<R> {
  let from: Result<T> | undefined;
  let by: Selection<T, R>["select"];
  let last: Result<R> | undefined;
  return (state, selection) => {
    const select = selection?.select;
    if (last !== undefined && state === from && select === by) return last;
    const isSame = selection?.isEqual ?? isEqual;
    let data = state.data as R | undefined;
    if (select !== undefined && state.data !== undefined) {
      data = select(state.data);
      // The first value of all is compared with nothing.
      if (last?.data !== undefined && isSame(last.data, data)) data = last.data;
    }
    const isUnchanged = last !== undefined && last.data === data && last.error === state.error && last.isLoading === state.isLoading;
    [from, by] = [state, select];
    if (isUnchanged && last !== undefined) return last;
    return (last = select === undefined ? (state as unknown as Result<R>) : { data, error: state.error, isLoading: state.isLoading });
  };
}
