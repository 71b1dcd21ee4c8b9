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

/** Rings by key. The key that was written to longest ago goes first. */
export class Histories<T> {
  readonly #keys: number;
  readonly #each: number;
  #rings = new Map<string, Ring<T>>();

  constructor(keys: number, each: number) {
    [this.#keys, this.#each] = [keys, each];
  }

  push(key: string, item: T): void {
    const ring = this.#rings.get(key) ?? new Ring<T>(this.#each);
    ring.push(item);
    // A map keeps the order in which its keys were set.
    this.#rings.delete(key);
    this.#rings.set(key, ring);
    if (this.#rings.size > this.#keys) {
      for (const oldest of this.#rings.keys()) {
        this.#rings.delete(oldest);
        break;
      }
    }
  }

  newest(key: string): T[] {
    return this.#rings.get(key)?.newest() ?? [];
  }

  get size(): number {
    return this.#rings.size;
  }
}
