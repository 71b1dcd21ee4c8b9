/** The rows that a collection has been given, and who waits for some. */

import type { ChangeMessageOrDeleteKeyMessage } from "@tanstack/db";
import type { Entity } from "datum-sync";

type Write<T extends Entity> = (message: ChangeMessageOrDeleteKeyMessage<T, string>) => void;

export class Rows<T extends Entity> {
  #known = new Map<string, Readonly<T>>();
  #waiting = new Set<{ isThere: () => boolean; settle: () => void }>();
  #isFollowed = false;
  /** How many lists have come. */
  #lists = 0;

  begin(): void {
    this.#isFollowed = true;
    this.#known.clear();
  }

  /** Writes what differs from the rows before. */
  apply(list: readonly Readonly<T>[], write: Write<T>): void {
    this.#lists++;
    const before = this.#known;
    this.#known = new Map(list.map((entity) => [entity.id, entity]));
    for (const entity of list) {
      const old = before.get(entity.id);
      if (old !== entity) write({ type: old === undefined ? "insert" : "update", value: entity as T });
    }
    for (const id of before.keys()) if (!this.#known.has(id)) write({ type: "delete", key: id });
  }

  /** Lets those go on whose rows are there. */
  tell(): void {
    for (const entry of this.#waiting) {
      if (!entry.isThere()) continue;
      this.#waiting.delete(entry);
      entry.settle();
    }
  }

  /** Nothing comes any more: nobody waits for it. */
  end(): void {
    this.#isFollowed = false;
    this.tell();
  }

  /**
   * Resolves once these have arrived, or newer ones: until then, the collection shows what the app has written. One that `comes` denies may
   * never arrive: it is not among those that the collection has, or somebody else has deleted it meanwhile.
   */
  async seen(entities: readonly Readonly<T>[], comes: (id: string) => Promise<boolean>): Promise<void> {
    const isThere = ({ id, modifiedAt }: Readonly<T>) => {
      const known = this.#known.get(id);
      return known !== undefined && known.modifiedAt >= modifiedAt;
    };
    let missing = [...entities];
    for (;;) {
      missing = missing.filter((entity) => !isThere(entity));
      const [first] = missing;
      if (first === undefined || !this.#isFollowed) return;
      const lists = this.#lists;
      if (!(await comes(first.id).catch(() => false))) missing.shift();
      else await this.#until(() => this.#lists > lists || missing.every(isThere));
    }
  }

  /** Resolves once these have gone. */
  gone(ids: readonly string[]): Promise<void> {
    return this.#until(() => ids.every((id) => !this.#known.has(id)));
  }

  #until(isThere: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const entry = { isThere: () => !this.#isFollowed || isThere(), settle: resolve };
      this.#waiting.add(entry);
      this.tell();
    });
  }
}
