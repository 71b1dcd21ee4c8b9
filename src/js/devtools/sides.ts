/** The three sides of a conflict, field by field, and what becomes of them. Pure. */

import type { Conflict } from "datum-sync";
import { ENGINE_FIELDS } from "./format.js";

export type Side = "local" | "remote";

/** A field as the sides have it; undefined where a side lacks it. */
export interface FieldSides {
  readonly field: string;
  readonly base: unknown;
  readonly local: unknown;
  readonly remote: unknown;
  /** Which sides have changed it. */
  readonly changed: "local" | "remote" | "both" | "none";
  /** Both sides have changed it, to different values. */
  readonly isClash: boolean;
}

type Fields = { readonly [field: string]: unknown };

/** Returns whether two JSON values are the same, whatever the order of their members. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const [names, others] = [Object.keys(a), Object.keys(b)];
  return names.length === others.length && names.every((name) => Object.hasOwn(b, name) && isSame((a as Fields)[name], (b as Fields)[name]));
}

/** Returns the app's own fields of a conflict: those that differ first. */
export function fieldsOf(conflict: Conflict): FieldSides[] {
  const sides = [conflict.base, conflict.local, conflict.remote] as (Fields | null)[];
  const names = new Set(sides.flatMap((side) => Object.keys(side ?? {}).filter((name) => !ENGINE_FIELDS.has(name))));
  const rows = [...names].map((field): FieldSides => {
    const [base, local, remote] = sides.map((side) => (side !== null && Object.hasOwn(side, field) ? side[field] : undefined));
    const [here, there] = [conflict.local !== null && !isSame(base, local), conflict.remote !== null && !isSame(base, remote)];
    const changed = here && there ? "both" : here ? "local" : there ? "remote" : "none";
    return { field, base, local, remote, changed, isClash: changed === "both" && !isSame(local, remote) };
  });
  const rank = ({ isClash, changed }: FieldSides) => (isClash ? 0 : changed === "none" ? 2 : 1);
  return rows.sort((a, b) => rank(a) - rank(b) || (a.field < b.field ? -1 : 1));
}

/** Returns the side that a field is taken from if nobody says another: the one that changed it; of two, this device's. */
export const usualSide = ({ changed }: FieldSides): Side => (changed === "remote" ? "remote" : "local");

/** Returns the entity that the choices make of both sides: of a deletion, of the side that has one. */
export function merged(conflict: Conflict, choices: ReadonlyMap<string, Side>): Record<string, unknown> {
  const from = (conflict.local ?? conflict.remote ?? {}) as Fields;
  // A map, since a field may be called `__proto__`.
  const data = new Map(Object.entries(from));
  if (conflict.local === null || conflict.remote === null) return Object.fromEntries(data);
  for (const row of fieldsOf(conflict)) {
    const value = (choices.get(row.field) ?? usualSide(row)) === "local" ? row.local : row.remote;
    if (value === undefined) data.delete(row.field);
    else data.set(row.field, value);
  }
  return Object.fromEntries(data);
}

/** Returns what has happened on both sides, in a sentence. */
export function story({ kind, fields }: Conflict): string {
  if (kind === "deletedRemotely") return "It was changed here, and deleted on the server.";
  if (kind === "deletedLocally") return "It was deleted here, and changed on the server.";
  if (fields.length === 0) return "It was changed here and on the server.";
  return `It was changed here and on the server: ${fields.slice(0, 6).join(", ")}${fields.length > 6 ? " and more" : ""} ${fields.length === 1 ? "has" : "have"} two values.`;
}
