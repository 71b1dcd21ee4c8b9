import type { Migration, Migrations } from "datum-sync";

export type { FieldOperation, MigratedFields, Migration } from "datum-sync";

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
