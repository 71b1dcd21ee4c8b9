/** What live queries ask a collection for that loads on demand: a live query of the engine for each condition, and their rows as one list. */

import type { Entity, Filter, Json } from "datum-sync";

/** An expression of TanStack DB, as far as it is read here. */
interface Expression {
  readonly type: string;
  readonly name?: string;
  readonly args?: readonly Expression[];
  readonly path?: readonly string[];
  readonly value?: unknown;
}

/** The names that comparisons have in a filter, and those with their sides exchanged. */
const RANGES: Record<string, readonly [string, string]> = {
  gt: ["greaterThan", "lessThan"],
  gte: ["greaterThanOrEqual", "lessThanOrEqual"],
  lt: ["lessThan", "greaterThan"],
  lte: ["lessThanOrEqual", "greaterThanOrEqual"],
};

const isPlain = (value: unknown): value is Json => typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);

/**
 * Returns a filter that finds at least what satisfies an expression; undefined if that is everything. TanStack DB makes the choice among
 * what it gets, so only what certainly means the same is taken.
 */
export function filterOf(expression: Expression | undefined): Filter | undefined {
  const { name = "", args = [] } = expression ?? {};
  if (name === "and" || name === "or") {
    const parts = args.map(filterOf);
    const known = parts.filter((part) => part !== undefined);
    if (name === "or") return known.length === parts.length ? { or: known } : undefined;
    return known.length > 1 ? { and: known } : known[0];
  }
  const [left, right] = args;
  const isExchanged = left?.type === "val";
  const [ref, other] = isExchanged ? [right, left] : [left, right];
  if (ref?.type !== "ref" || other?.type !== "val" || ref.path === undefined) return undefined;
  const field = ref.path.map((part) => part.replace(/[.\\]/g, "\\$&")).join(".");
  const { value } = other;
  if (name === "eq" && isPlain(value)) return { field, equals: value };
  if (name === "in" && Array.isArray(value) && value.every(isPlain)) return { field, isIn: value };
  // Texts have another order here and there.
  const range = RANGES[name];
  return range !== undefined && Number.isFinite(value) ? ({ field, [range[isExchanged ? 1 : 0]]: value } as unknown as Filter) : undefined;
}

interface Subset<T> {
  filter: Filter | undefined;
  /** How many requests it serves. */
  uses: number;
  rows: readonly T[];
  loop: AsyncIterator<readonly T[]>;
  loaded: Promise<void>;
}

/** What a collection does for its subsets. */
interface Host<T> {
  watch(filter: Filter | undefined): AsyncIterable<readonly T[]>;
  /** Shows all rows. Resolves once they are visible. */
  show(rows: readonly T[]): true | Promise<void>;
  /** A subset is followed no more. */
  ended(error?: unknown): void;
}

export class Subsets<T extends Entity> {
  readonly #host: Host<Readonly<T>>;
  readonly #open = new Map<string, Subset<Readonly<T>>>();
  /** The subsets of requests. */
  readonly #served = new WeakMap<object, string>();
  #isOver = false;

  constructor(host: Host<Readonly<T>>) {
    this.#host = host;
  }

  /** The conditions of all of them. */
  filters(): (Filter | undefined)[] {
    return [...this.#open.values()].map(({ filter }) => filter);
  }

  /** Serves a request. Resolves once its rows are there. */
  load(request: { readonly where?: unknown }): Promise<void> {
    const filter = filterOf(request.where as Expression | undefined);
    // One that has more serves it as well: everything, or a part of the condition.
    const wider = [undefined, ...(filter !== undefined && "and" in filter ? filter.and : [])].map(keyOf);
    const key = wider.find((one) => this.#open.has(one)) ?? keyOf(filter);
    let subset = this.#open.get(key);
    if (subset === undefined) {
      subset = { filter, uses: 0, rows: [], loop: this.#host.watch(filter)[Symbol.asyncIterator](), loaded: Promise.resolve() };
      this.#open.set(key, subset);
      subset.loaded = this.#follow(subset);
    }
    subset.uses += 1;
    this.#served.set(request, key);
    return subset.loaded;
  }

  /** Ends what a request has begun. */
  unload(request: object): void {
    const key = this.#served.get(request);
    const subset = key === undefined ? undefined : this.#open.get(key);
    if (key === undefined || subset === undefined) return;
    this.#served.delete(request);
    subset.uses -= 1;
    if (subset.uses > 0) return;
    this.#open.delete(key);
    end(subset);
    if (!this.#isOver) void this.#host.show(this.#all());
  }

  end(): void {
    this.#isOver = true;
    for (const subset of this.#open.values()) end(subset);
    this.#open.clear();
  }

  /** Follows a subset. Resolves with its first rows. */
  #follow(subset: Subset<Readonly<T>>): Promise<void> {
    const isOpen = () => !this.#isOver && [...this.#open.values()].includes(subset);
    return new Promise((resolve, reject) => {
      const run = async () => {
        for (let step = await subset.loop.next(); isOpen(); step = await subset.loop.next()) {
          if (step.done) {
            this.#host.ended();
            break;
          }
          subset.rows = step.value;
          await this.#host.show(this.#all());
          resolve();
        }
        resolve();
      };
      run().catch((error: unknown) => {
        if (isOpen()) this.#host.ended(error);
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  /** The rows of all subsets, each once: of two states, the newer one. */
  #all(): Readonly<T>[] {
    const all = new Map<string, Readonly<T>>();
    for (const { rows } of this.#open.values()) {
      for (const row of rows) {
        const known = all.get(row.id);
        if (known === undefined || row.modifiedAt > known.modifiedAt) all.set(row.id, row);
      }
    }
    return [...all.values()];
  }
}

const keyOf = (filter: Filter | undefined): string => JSON.stringify(filter) ?? "";

function end(subset: { loop: AsyncIterator<unknown> }): void {
  void Promise.resolve(subset.loop.return?.()).catch(() => {});
}
