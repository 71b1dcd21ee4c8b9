// Streams and long pulls, which wait for hints, by user.

import { SyncError } from "./store.js";

/** The most subscribers of one user. */
const MOST = 256;

/** @internal */
export class Hub {
  #users = new Map<string, Set<() => void>>();

  /** Calls `hint` after each change that the user can pull. Returns what ends that. */
  subscribe(userId: string, hint: () => void): () => void {
    const all = this.#users.get(userId) ?? new Set();
    if (all.size >= MOST) throw new SyncError(429, "rateLimited", "Too many streams and long pulls at once; close some.", 5_000);
    // A function of its own: the same one may subscribe twice.
    const own = () => hint();
    all.add(own);
    this.#users.set(userId, all);
    return () => {
      all.delete(own);
      if (all.size === 0 && this.#users.get(userId) === all) this.#users.delete(userId);
    };
  }

  hint(userId: string): void {
    for (const hint of [...(this.#users.get(userId) ?? [])]) hint();
  }

  hintAll(): void {
    for (const userId of [...this.#users.keys()]) this.hint(userId);
  }
}
