// The state of a watch between two updates: unchanged entities stay the same objects, so that a
// user interface can find with `===` what to render again.

import { freeze } from "./support.js";

/** The entities of one watch, in the engine's order. */
export class Live {
  #items = [];
  // The stored values of entities that middleware has replaced.
  #stored = new WeakMap();

  /**
   * Applies a change and returns a new array, which belongs to the caller; its entities are frozen.
   */
  apply(middleware, whole, text, gone) {
    const stored = JSON.parse(text);
    const changed = middleware === undefined ? stored : middleware.readMany(text);
    if (changed !== stored) for (let i = 0; i < changed.length; i++) this.#stored.set(changed[i], stored[i]);
    const old = this.#items;
    // Middleware has frozen its result already, which may be of any class.
    const kept = (index, known) =>
      known !== undefined && isSame(this.#stored.get(known) ?? known, stored[index]) ? known : middleware === undefined ? freeze(changed[index]) : changed[index];
    if (whole) {
      const before = new Map(old.map((entity) => [entity.id, entity]));
      this.#items = changed.map((entity, index) => kept(index, before.get(entity.id)));
      return this.#items.slice();
    }
    const removed = new Set(gone);
    const items = [];
    // Both are in order of id: one pass merges them.
    let at = 0;
    for (const entity of old) {
      while (at < changed.length && order(changed[at].id, entity.id) < 0) items.push(kept(at++));
      if (at < changed.length && changed[at].id === entity.id) items.push(kept(at++, entity));
      else if (!removed.has(entity.id)) items.push(entity);
    }
    while (at < changed.length) items.push(kept(at++));
    this.#items = items;
    return items.slice();
  }
}

/** Returns a frozen copy of an entity with its relations. */
export function withRelations(entity, names, values) {
  const fields = Object.getOwnPropertyDescriptors(entity);
  // An assignment to `__proto__` would set something else.
  names.forEach((name, at) => Object.defineProperty(fields, name, { value: { value: values[at], enumerable: true }, enumerable: true }));
  return Object.freeze(Object.create(Object.getPrototypeOf(entity), fields));
}

/**
 * Compares by code points, as the engine sorts; JavaScript's own order puts surrogates before
 * U+E000.
 */
function order(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      const high = (unit) => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);
      return high(x) - high(y);
    }
  }
  return a.length - b.length;
}

/** Returns whether two JSON values are equal. */
function isSame(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]));
}
