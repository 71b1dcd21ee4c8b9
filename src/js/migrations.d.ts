import type { Json, Migrations } from "datum-sync";

/**
 * One step of the way to the app's schema version: what happens to the entities of one type, or of all, when stored data of the version
 * `from` is brought to the version `to`.
 */
export type Migration = {
  /** The version of the stored data. A whole number from 0 to 4,294,967,295. */
  readonly from: number;
  /** The version after it. Greater than `from`. */
  readonly to: number;
  /** The entity type; all types if it is left out. */
  readonly entity?: string;
} & (
  | {
      /**
       * Returns the entity in its new form. It gets plain JSON, which it may change, with the fields that the engine owns. It must be
       * synchronous and must leave `id` and `userId` as they are; changes of the engine's other fields are ignored.
       */
      readonly migrate: (entity: MigratedFields) => MigratedFields;
      readonly operations?: never;
    }
  | { readonly operations: readonly FieldOperation[]; readonly migrate?: never }
);

/** An entity in a migration: the engine's fields, and whatever the app has stored. */
export type MigratedFields = { [field: string]: any } & { readonly id: string };

/**
 * One change of a top-level field. `add` sets a field that an entity does not have; `rename` replaces what is under the new name;
 * `remove` and `transform` do nothing for entities without the field.
 */
export type FieldOperation =
  | { readonly add: string; readonly value: Json }
  | { readonly rename: string; readonly to: string }
  | { readonly remove: string }
  | { readonly transform: string; readonly with: (value: any) => Json };

/**
 * Returns the `migrations` of a config. They are checked here: each must begin where the one before it ends, and the last must lead to
 * `schemaVersion`. Several may lead from one version to the same next one, for different entity types.
 *
 * @throws DatumError `invalidConfig`, naming the migration and the fix.
 *
 * @example
 * import { Datum } from "datum-sync";
 * import { migrations } from "datum-sync/migrations";
 * await Datum.initialize({
 *   entities: { tasks: {} }, remote, schemaVersion: 2,
 *   migrations: migrations([{ from: 1, to: 2, entity: "tasks", operations: [{ rename: "text", to: "title" }] }]),
 * });
 */
export function migrations(list: readonly Migration[]): Migrations;
