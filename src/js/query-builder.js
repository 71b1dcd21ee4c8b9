// The builder of queries: makes plain objects. Its types are in types.d.ts; nothing here reads or checks data.

import { DatumError } from "./datum_sync.js";

const OPERATORS = [
  "equals", "notEquals", "greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual", "between", "isIn", "isNotIn", "isNull", "contains",
  "containsIgnoreCase", "startsWith", "endsWith", "matches", "arrayContains", "arrayContainsAny", "withinDistance",
];

/** Returns the text of a pattern. `(?i)` is how the engine writes the flag `i`. What is none is left to the engine, which refuses it. */
function textOf(pattern) {
  const flags = pattern?.flags;
  if (typeof flags !== "string") return pattern;
  const foreign = flags.replace(/[iu]/g, "");
  if (foreign !== "") throw refused(`a pattern cannot have the flag \`${foreign[0]}\`; only \`i\` and \`u\` have a meaning here.`);
  return (flags.includes("i") ? "(?i)" : "") + pattern.source;
}

function refused(problem, cause) {
  return new DatumError("invalidArgument", `The query: ${problem}`, { cause });
}

/** Runs what reads a value of the app, whose getters and proxies may throw. */
function reading(what, read) {
  try {
    return read();
  } catch (cause) {
    throw cause instanceof DatumError ? cause : refused(`${what} could not be read.`, cause);
  }
}

function operand(operator, values) {
  if (operator === "between") return values;
  if (operator === "isNull") return values[0] ?? true;
  return operator === "matches" ? reading("the pattern", () => textOf(values[0])) : values[0];
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
    return this.filter({ or: choices.map((choice) => this.#chosen(choice)) });
  }

  not(choice) {
    return this.filter({ not: this.#chosen(choice) });
  }

  orderBy(field, direction, options) {
    const nulls = reading("the options of `orderBy`", () => options?.nulls);
    if (!["asc", "desc"].includes(direction ?? "asc")) throw refused('the direction of `orderBy` must be "asc" or "desc".');
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
    // What is no number of entities is left to the engine, which refuses it.
    const limit = this.#query.limit ?? 1;
    const [first] = await this.limit(Number.isInteger(limit) && limit > 1 ? 1 : limit).query();
    return first ?? null;
  }

  count() {
    return this.#ask("count");
  }

  page(page) {
    const { manager, options } = this.#asked();
    const isObject = (value) => typeof value === "object" && !Array.isArray(value);
    const asked = async () => reading("the page", () => (isObject(page ?? {}) ? { ...page, query: this.build() } : page));
    return asked().then((asked) => manager.readPage(asked, options));
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

  /** Returns the condition that a function makes of an empty query. */
  #chosen(choice) {
    const made = typeof choice === "function" ? choice(new QueryBuilder()) : undefined;
    try {
      return made.#condition();
    } catch {
      throw refused('its parts must be functions such as `(part) => part.where("done").equals(true)`.');
    }
  }

  #with(part) {
    return new QueryBuilder({ ...this.#query, ...part }, this.#filters, this.#source);
  }

  #condition() {
    return this.#filters.length === 1 ? this.#filters[0] : { and: [...this.#filters] };
  }
}
