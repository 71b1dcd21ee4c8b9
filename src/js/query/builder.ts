/** Builds queries as plain objects, with the fields and values of an entity type. Nothing here reads or checks data. */

import type { Circle, Entity, Filter, Json, Manager, OrderBy, Page, PageRequest, Query, QueryFeed, SpaceOption } from "datum-sync";

/** A value that has no parts to name. */
type Leaf = string | number | boolean | null | undefined;

/** How deep paths go that are checked by type. */
type Deeper = { 4: 3; 3: 2; 2: 1; 1: 0; 0: never };
type Depth = keyof Deeper;

/** The paths into a value: `"project.owner.name"`, `"tags.0"`. */
export type FieldPath<T, D extends Depth = 4> = D extends 0
  ? never
  : T extends Leaf
    ? never
    : T extends readonly (infer Item)[]
      ? `${number}` | `${number}.${FieldPath<Item, Deeper[D]>}`
      : string extends keyof T
        ? string
        : { [K in keyof T & string]: K | `${K}.${FieldPath<NonNullable<T[K]>, Deeper[D]>}` }[keyof T & string];

/** The type of the value at a path. */
export type ValueAt<T, P extends string> = T extends readonly (infer Item)[]
  ? P extends `${number}.${infer Rest}`
    ? ValueAt<NonNullable<Item>, Rest>
    : Item
  : P extends keyof T
    ? T[P]
    : P extends `${infer First}.${infer Rest}`
      ? First extends keyof T
        ? ValueAt<NonNullable<T[First]>, Rest>
        : Json
      : Json;

/** A value that has a place among others of its type. */
type Ranged<V> = Exclude<V, null | undefined>;

/** The item of an array; nothing can be asked of anything else. */
type ItemOf<V> = Ranged<V> extends readonly (infer Item)[] ? Item : Json extends V ? Json : never;

/** A string; nothing can be asked of anything else. */
type TextOf<V> = Extract<Ranged<V>, string> extends never ? never : string;

/** The operators of one field. Each returns the query with that condition added. */
export interface Operators<T extends Entity, V> {
  equals(value: V): QueryBuilder<T>;
  notEquals(value: V): QueryBuilder<T>;
  greaterThan(value: Ranged<V>): QueryBuilder<T>;
  greaterThanOrEqual(value: Ranged<V>): QueryBuilder<T>;
  lessThan(value: Ranged<V>): QueryBuilder<T>;
  lessThanOrEqual(value: Ranged<V>): QueryBuilder<T>;
  between(least: Ranged<V>, most: Ranged<V>): QueryBuilder<T>;
  isIn(values: readonly V[]): QueryBuilder<T>;
  isNotIn(values: readonly V[]): QueryBuilder<T>;
  /** Null or missing; with `false`, neither. */
  isNull(is?: boolean): QueryBuilder<T>;
  contains(part: TextOf<V>): QueryBuilder<T>;
  containsIgnoreCase(part: TextOf<V>): QueryBuilder<T>;
  startsWith(part: TextOf<V>): QueryBuilder<T>;
  endsWith(part: TextOf<V>): QueryBuilder<T>;
  /** The source of a regular expression, or one whose only flags are `i` and `u`. */
  matches(pattern: TextOf<V> | (TextOf<V> extends never ? never : RegExp)): QueryBuilder<T>;
  arrayContains(item: ItemOf<V>): QueryBuilder<T>;
  arrayContainsAny(items: readonly ItemOf<V>[]): QueryBuilder<T>;
  withinDistance(circle: Circle): QueryBuilder<T>;
}

const OPERATORS = [
  "equals", "notEquals", "greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual", "between", "isIn", "isNotIn", "isNull", "contains",
  "containsIgnoreCase", "startsWith", "endsWith", "matches", "arrayContains", "arrayContainsAny", "withinDistance",
] as const satisfies readonly (keyof Operators<Entity, Json>)[];

/** The text of a pattern. `(?i)` is how the engine writes the flag `i`. */
function source(pattern: string | RegExp): string {
  if (typeof pattern === "string") return pattern;
  const foreign = pattern.flags.replace(/[iu]/g, "");
  if (foreign !== "") throw new TypeError(`The query: a pattern cannot have the flag \`${foreign[0]}\`; only \`i\` and \`u\` have a meaning here.`);
  return (pattern.flags.includes("i") ? "(?i)" : "") + pattern.source;
}

function operand(operator: string, values: unknown[]): unknown {
  switch (operator) {
    case "between": return values;
    case "isNull": return values[0] ?? true;
    case "matches": return source(values[0] as string | RegExp);
    default: return values[0];
  }
}

/** Whom a query asks. */
interface Source<T extends Entity> {
  manager: Manager<T>;
  options: SpaceOption;
}

/** A query in the making. Every method returns a new one, so that parts can be shared. */
export class QueryBuilder<T extends Entity> {
  readonly #query: Query;
  readonly #filters: readonly Filter[];
  readonly #source: Source<T> | undefined;

  /** Use `query()` or `from(manager)`. */
  constructor(query: Query = {}, filters: readonly Filter[] = [], source?: Source<T>) {
    this.#query = query;
    this.#filters = filters;
    this.#source = source;
  }

  /** Begins a condition on a field; all conditions must hold. */
  where<P extends FieldPath<T>>(field: P): Operators<T, ValueAt<T, P>> {
    const add = (operator: string) => (...values: unknown[]) => this.filter({ field, [operator]: operand(operator, values) } as Filter);
    return Object.fromEntries(OPERATORS.map((operator) => [operator, add(operator)])) as unknown as Operators<T, ValueAt<T, P>>;
  }

  /** Adds a condition that is written as an object. */
  filter(filter: Filter): QueryBuilder<T> {
    return new QueryBuilder<T>(this.#query, [...this.#filters, filter], this.#source);
  }

  /** Adds a condition that holds if one of these does. */
  any(...choices: ((query: QueryBuilder<T>) => QueryBuilder<T>)[]): QueryBuilder<T> {
    return this.filter({ or: choices.map((choice) => choice(new QueryBuilder<T>()).#condition()) });
  }

  /** Adds a condition that holds if this one does not. */
  not(choice: (query: QueryBuilder<T>) => QueryBuilder<T>): QueryBuilder<T> {
    return this.filter({ not: choice(new QueryBuilder<T>()).#condition() });
  }

  /** Sorts by a field, after the fields before it. */
  orderBy(field: FieldPath<T>, direction: "asc" | "desc" = "asc", options: { nulls?: "first" | "last" } = {}): QueryBuilder<T> {
    const key: OrderBy = { field, ...(direction === "desc" && { descending: true }), ...(options.nulls && { nulls: options.nulls }) };
    return this.#with({ orderBy: [...(this.#query.orderBy ?? []), key] });
  }

  limit(limit: number): QueryBuilder<T> {
    return this.#with({ limit });
  }

  offset(offset: number): QueryBuilder<T> {
    return this.#with({ offset });
  }

  /** Begins behind the page that returned this cursor. */
  after(after: string): QueryBuilder<T> {
    return this.#with({ after });
  }

  /** Reads relations along. */
  with(...relations: string[]): QueryBuilder<T> {
    return this.#with({ with: [...(this.#query.with ?? []), ...relations] });
  }

  includeDeleted(includeDeleted = true): QueryBuilder<T> {
    return this.#with({ includeDeleted });
  }

  /** Returns the query as a plain object. */
  build(): Query {
    return this.#filters.length === 0 ? { ...this.#query } : { where: this.#condition(), ...this.#query };
  }

  /** A builder can stand where its query can. */
  toJSON(): Query {
    return this.build();
  }

  /** Returns the entities. */
  query(): Promise<Readonly<T>[]> {
    const { manager, options } = this.#asked();
    return manager.query(this.build(), options);
  }

  /** Returns the first entity; null if there is none. */
  async first(): Promise<Readonly<T> | null> {
    const [first] = await this.limit(1).query();
    return first ?? null;
  }

  /** Returns the number of entities, whatever the limit. */
  count(): Promise<number> {
    const { manager, options } = this.#asked();
    return manager.count(this.build(), options);
  }

  /** Returns one page of the entities. */
  page(page: Omit<PageRequest, "query"> = {}): Promise<Page<Readonly<T>>> {
    const { manager, options } = this.#asked();
    return manager.readPage({ ...page, query: this.build() }, options);
  }

  /** Yields the entities: at once, then after every change of the list. */
  watch(): QueryFeed<Readonly<T>> {
    const { manager, options } = this.#asked();
    return manager.watchQuery(this.build(), options);
  }

  /** Yields the number of entities: at once, then whenever it is another. */
  watchCount(): AsyncIterable<number> {
    const { manager, options } = this.#asked();
    return manager.watchCount(this.build(), options);
  }

  #asked(): Source<T> {
    if (this.#source === undefined) throw new TypeError("The query has no manager to ask: begin it with `from(manager)`, or pass it to a method such as `manager.query`.");
    return this.#source;
  }

  #with(part: Query): QueryBuilder<T> {
    return new QueryBuilder<T>({ ...this.#query, ...part }, this.#filters, this.#source);
  }

  #condition(): Filter {
    const [only] = this.#filters;
    return this.#filters.length === 1 && only !== undefined ? only : { and: [...this.#filters] };
  }
}

/** Begins a query that asks a manager. */
export function from<T extends Entity>(manager: Manager<T>, options: SpaceOption = {}): QueryBuilder<T> {
  return new QueryBuilder<T>({}, [], { manager, options });
}

/** Begins a query of an entity type. */
export function query<T extends Entity>(): QueryBuilder<T> {
  return new QueryBuilder<T>();
}
