/** Lists that forget their oldest entries. */

/** The latest entries, the newest last. */
export class Ring<T> {
  readonly #most: number;
  #items: T[] = [];
  /** How many entries were forgotten. */
  forgotten = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get items(): readonly T[] {
    return this.#items;
  }

  push(item: T): void {
    this.#items.push(item);
    // In larger steps, since each moves all that stay.
    if (this.#items.length >= this.#most * 2) this.#trim();
  }

  /** The latest entries, the newest first, at most as many as this is for. */
  newest(): T[] {
    return this.#items.slice(-this.#most).reverse();
  }

  /** Replaces the newest entry that is meant, if there is one. */
  replace(isMeant: (item: T) => boolean, change: (item: T) => T): boolean {
    for (let index = this.#items.length - 1; index >= 0; index--) {
      const item = this.#items[index] as T;
      if (!isMeant(item)) continue;
      this.#items[index] = change(item);
      return true;
    }
    return false;
  }

  clear(): void {
    this.#items = [];
    this.forgotten = 0;
  }

  #trim(): void {
    const over = this.#items.length - this.#most;
    this.#items = this.#items.slice(over);
    this.forgotten += over;
  }
}

/** What is kept of one thing that has happened to some of a place's ids. */
interface Told<T> {
  readonly place: string;
  readonly ids: readonly string[];
  readonly item: T;
}

/**
 * What has happened to ids, as it was told: of many at once, they are only looked through when somebody asks about one. At most so many ids are kept, the
 * oldest go first.
 */
export class Histories<T> {
  readonly #most: number;
  readonly #each: number;
  #told: Told<T>[] = [];
  #size = 0;

  constructor(most: number, each: number) {
    [this.#most, this.#each] = [most, each];
  }

  push(place: string, ids: readonly string[], item: T): void {
    if (ids.length === 0) return;
    const kept = ids.length > this.#most ? ids.slice(-this.#most) : ids;
    this.#told.push({ place, ids: kept, item });
    this.#size += kept.length;
    while (this.#size > this.#most) this.#size -= this.#told.shift()?.ids.length ?? 0;
  }

  /** The latest of an id, the newest first. */
  newest(place: string, id: string): T[] {
    const found: T[] = [];
    for (let index = this.#told.length - 1; index >= 0 && found.length < this.#each; index--) {
      const told = this.#told[index] as Told<T>;
      if (told.place === place && told.ids.includes(id)) found.push(told.item);
    }
    return found;
  }

  /** How many ids are kept. */
  get size(): number {
    return this.#size;
  }
}
