/** What somebody types to find entities, as a query. Pure. */

import type { EntitySyncState, Filter, Query } from "datum-sync";
import { parsedObject } from "./format.js";

/** How many fields a text is looked for in. */
const FIELDS = 12;

/** What is looked for. */
export interface Search {
  readonly text: string;
  /** Only entities in this state; all but `synced` of `unsynced`. */
  readonly state: EntitySyncState | "unsynced" | "";
}

export type Found = { readonly query: Query; readonly error?: undefined } | { readonly query?: undefined; readonly error: string };

/**
 * Returns the query for a search. A text that begins with `{` is a condition, or a whole query, as JSON; any other is looked for in `fields`, in any case
 * of letters.
 */
export function queryFor(search: Search, fields: readonly string[]): Found {
  const text = search.text.trim();
  const conditions: Filter[] = [];
  let query: Query = {};
  if (text.startsWith("{")) {
    const result = parsedObject(text);
    if (result.error !== undefined) return { error: result.error };
    const { limit, offset, after, with: _, ...whole } = result.value;
    if (limit !== undefined || offset !== undefined || after !== undefined) return { error: "The panel shows all pages: leave out limit, offset and after." };
    if ("where" in whole || "orderBy" in whole || "includeDeleted" in whole) query = whole as Query;
    else if (Object.keys(whole).length > 0) query = { where: whole as Filter };
    if (query.where !== undefined) conditions.push(query.where);
  } else if (text !== "") {
    conditions.push({ or: ["id", ...fields.slice(0, FIELDS)].map((field) => ({ field: path(field), containsIgnoreCase: text })) });
  }
  if (search.state === "unsynced") conditions.push({ field: "$syncState", notEquals: "synced" });
  else if (search.state !== "") conditions.push({ field: "$syncState", equals: search.state });
  const [first] = conditions;
  if (first === undefined) return { query };
  return { query: { ...query, where: conditions.length === 1 ? first : { and: conditions } } };
}

/** Returns what somebody would type to find the entity with an id, whatever the id begins with. */
export const idSearch = (id: string): string => JSON.stringify({ field: "id", equals: id });

/** A dot that belongs to a name is written `\.`. */
const path = (name: string) => name.replace(/[\\.]/g, "\\$&");

/** Returns the names of the fields that hold text in these entities. No condition can name a field without a name. */
export function textFields(entities: readonly object[], skip: ReadonlySet<string>): string[] {
  const names = new Set<string>();
  for (const entity of entities) {
    for (const [name, value] of Object.entries(entity)) if (typeof value === "string" && name !== "" && !skip.has(name)) names.add(name);
  }
  return [...names];
}
