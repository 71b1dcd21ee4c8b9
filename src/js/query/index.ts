/**
 * A builder of queries, typed by the fields of an entity type. Managers have its beginnings as methods; here are those with options, and without a
 * manager.
 *
 * @packageDocumentation
 */
import { DatumError, QueryBuilder, type Entity, type Manager, type SpaceOption } from "datum-sync";

export { QueryBuilder };
export type { FieldPath, Operators, ValueAt } from "datum-sync";

/** The constructor, which the types keep from apps. */
const Builder = QueryBuilder as unknown as new (query?: object, filters?: [], source?: object) => QueryBuilder<any>;

/** Begins a query that asks a manager. */
export function from<T extends Entity>(manager: Manager<T>, options: SpaceOption = {}): QueryBuilder<T> {
  if (!isManager(manager)) throw new DatumError("invalidArgument", "`manager` must be a manager of an instance, such as `datum.manager(\"tasks\")`.");
  return new Builder({}, [], { manager, options });
}

/** A manager of another copy of the package, too. */
function isManager(value: unknown): boolean {
  try {
    return typeof (value as Manager<Entity>).readPage === "function";
  } catch {
    return false;
  }
}

/** Begins a query of an entity type. */
export function query<T extends Entity>(): QueryBuilder<T> {
  return new Builder();
}
