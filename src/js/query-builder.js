// The builder of queries: makes plain objects. Its types are in types.d.ts; nothing here reads or checks data.

const OPERATORS = [
  "equals", "notEquals", "greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual", "between", "isIn", "isNotIn", "isNull", "contains",
  "containsIgnoreCase", "startsWith", "endsWith", "matches", "arrayContains", "arrayContainsAny", "withinDistance",
];

/** Returns the text of a pattern. `(?i)` is how the engine writes the flag `i`. */
function textOf(pattern) {
  if (typeof pattern === "string") return pattern;
  const foreign = pattern.flags.replace(/[iu]/g, "");
  if (foreign !== "") throw new TypeError(`The query: a pattern cannot have the flag \`${foreign[0]}\`; only \`i\` and \`u\` have a meaning here.`);
  return (pattern.flags.includes("i") ? "(?i)" : "") + pattern.source;
}

function operand(operator, values) {
  if (operator === "between") return values;
  if (operator === "isNull") return values[0] ?? true;
  return operator === "matches" ? textOf(values[0]) : values[0];
}

/** A query in the making. Every method returns a new one, so that parts can be shared. */
export class QueryBuilder {
  #query;
  #filters;
  #source;

  /** `source` has the manager that is asked, and the options of its calls. */
  constructor(query = {}, filters = [], source) {
    this.#query = query;
    this.#filters = filters;
    this.#source = source;
  }

  where(field) {
    const add = (operator) => (...values) => this.filter({ field, [operator]: operand(operator, values) });
    return Object.fromEntries(OPERATORS.map((operator) => [operator, add(operator)]));
  }

  filter(filter) {
    return new QueryBuilder(this.#query, [...this.#filters, filter], this.#source);
  }

  any(...choices) {
    return this.filter({ or: choices.map((choice) => choice(new QueryBuilder()).#condition()) });
  }

  not(choice) {
    return this.filter({ not: choice(new QueryBuilder()).#condition() });
  }

  orderBy(field, direction, { nulls } = {}) {
    return this.#with({ orderBy: [...(this.#query.orderBy ?? []), { field, ...(direction === "desc" && { descending: true }), ...(nulls && { nulls }) }] });
  }

  limit(limit) {
    return this.#with({ limit });
  }

  offset(offset) {
    return this.#with({ offset });
  }

  after(after) {
    return this.#with({ after });
  }

  with(...relations) {
    return this.#with({ with: [...(this.#query.with ?? []), ...relations] });
  }

  includeDeleted(includeDeleted = true) {
    return this.#with({ includeDeleted });
  }

  build() {
    return this.#filters.length === 0 ? { ...this.#query } : { where: this.#condition(), ...this.#query };
  }

  toJSON() {
    return this.build();
  }

  query() {
    return this.#ask("query");
  }

  async first() {
    const [first] = await this.limit(1).query();
    return first ?? null;
  }

  count() {
    return this.#ask("count");
  }

  page(page) {
    const { manager, options } = this.#asked();
    return manager.readPage({ ...page, query: this.build() }, options);
  }

  watch() {
    return this.#ask("watchQuery");
  }

  watchCount() {
    return this.#ask("watchCount");
  }

  #ask(method) {
    const { manager, options } = this.#asked();
    return manager[method](this.build(), options);
  }

  #asked() {
    if (this.#source === undefined) throw new TypeError("The query has no manager to ask: begin it with a manager's `where`, `orderBy` or `limit`, or with `from(manager)`, or pass it to a method such as `manager.query`.");
    return this.#source;
  }

  #with(part) {
    return new QueryBuilder({ ...this.#query, ...part }, this.#filters, this.#source);
  }

  #condition() {
    return this.#filters.length === 1 ? this.#filters[0] : { and: [...this.#filters] };
  }
}
