/**
 * A builder of queries, typed by the fields of an entity type.
 *
 * @packageDocumentation
 */
export { QueryBuilder, from, query, type FieldPath, type Operators, type ValueAt } from "./builder.js";
