// How many requests a user may send.

import { SyncError } from "./store.js";

/** How many requests a user may send: `perSecond` in the long run, and `burst` at once after a pause. */
export interface RateLimit {
  /** Above 0. */
  perSecond: number;
  /** From 1 on. Four times `perSecond` if absent. */
  burst?: number;
}

/** The number of users whose buckets are looked through once there are more. */
const MANY = 10_000;

/** @internal A token bucket for each user. */
export class Rates {
  #users = new Map<string, { left: number; at: number }>();
  #perMs: number;
  #burst: number;
  #many = MANY;

  constructor({ perSecond, burst = Math.max(1, Math.ceil(perSecond * 4)) }: RateLimit) {
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
  }

  /** Takes a request from the user's bucket. Throws 429 with the time until there is one again. */
  take(userId: string, now: number): void {
    const bucket = this.#users.get(userId) ?? { left: this.#burst, at: now };
    // A clock that was set back gives nothing, and takes nothing.
    bucket.left = Math.min(this.#burst, bucket.left + Math.max(0, now - bucket.at) * this.#perMs);
    bucket.at = now;
    const isAllowed = bucket.left >= 1;
    if (isAllowed) bucket.left -= 1;
    this.#users.set(userId, bucket);
    if (this.#users.size > this.#many) this.#forget(now);
    if (!isAllowed) throw new SyncError(429, "rateLimited", "Too many requests; wait before the next one.", Math.ceil((1 - bucket.left) / this.#perMs));
  }

  /** Forgets users whose buckets are full again. */
  #forget(now: number): void {
    for (const [userId, { left, at }] of this.#users) if (left + (now - at) * this.#perMs >= this.#burst) this.#users.delete(userId);
    // Where all of them are busy, the next look is later, so that a request does not pay for it.
    this.#many = Math.max(MANY, this.#users.size * 2);
  }
}

/** @internal Whether an option is a rate. */
export function isRate(value: unknown): value is RateLimit {
  if (typeof value !== "object" || value === null) return false;
  const { perSecond, burst, ...others } = value as Record<string, unknown>;
  const isNumber = (number: unknown, least: number) => typeof number === "number" && Number.isFinite(number) && number >= least;
  return isNumber(perSecond, Number.MIN_VALUE) && (burst === undefined || isNumber(burst, 1)) && Object.keys(others).length === 0;
}
