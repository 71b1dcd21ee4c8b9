import type { Op } from "./device.js";
import { Shapes } from "./shapes.js";
import { NoAnswer, type Answer, type Party } from "./target.js";

/** How often a request is sent whose answer does not come. */
const TRIES = 5;
const MOST_WAITS = 30;
/** Nobody is waited for longer, in milliseconds. */
export const LONGEST_WAIT = 5_000;

/** The requests of a run: limits, repetitions, counts, and what was written. */
export class Traffic {
  requests = 0;
  lostAnswers = 0;
  waits = 0;
  readonly shapes = new Shapes();
  /** The operations that may have written something, by party, entity and id. */
  readonly rows = new Map<Party, Map<string, { op: Op; version: number; isWritten: boolean; isGone: boolean }>>();
  #next = 0;

  constructor(
    private prefix: string,
    private timeout: number,
    private end: AbortSignal,
  ) {}

  /** An id of the run's own. */
  newId(): string {
    return this.prefix + (++this.#next).toString(16).padStart(12, "0");
  }

  /** Whether the run must end, and why. */
  get isOver(): boolean {
    return this.end.aborted;
  }

  get overReason(): unknown {
    return this.end.reason;
  }

  get rowsWritten(): number {
    return [...this.rows.values()].flatMap((rows) => [...rows.values()]).filter(({ isWritten }) => isWritten).length;
  }

  /** Remembers that an operation was applied. */
  applied(party: Party, { entity, id, kind }: Op, version: number): void {
    const row = this.rows.get(party)?.get(JSON.stringify([entity, id]));
    if (row === undefined) return;
    // An answer to what was sent again is about the past.
    if (row.version <= version) row.isGone = kind === "delete";
    row.version = Math.max(row.version, version || 1);
    if (kind !== "delete") row.isWritten = true;
  }

  /** Remembers what is to be deleted in the end. */
  remember(party: Party, operations: Op[]): void {
    if (!this.rows.has(party)) this.rows.set(party, new Map());
    const rows = this.rows.get(party)!;
    for (const op of operations) {
      // A space takes its rows along.
      if (typeof op?.id !== "string" || op.kind === "delete" || op["space"] !== undefined) continue;
      const key = JSON.stringify([op.entity, op.id]);
      if (!rows.has(key)) rows.set(key, { op, version: 1, isWritten: false, isGone: false });
    }
  }

  /** Sends until an answer has come. Repeating is safe: operations have ids. */
  async send(work: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    let waits = 0;
    for (let turn = 1; ; ) {
      this.requests++;
      try {
        const answer = await this.within(work);
        const patience = answer.status === 429 ? MOST_WAITS : answer.status === 503 && answer.code !== undefined ? 3 : 0;
        if (waits >= patience) return answer;
        waits++;
        await this.wait(Number(answer.body?.retryAfterMs) || 1_000 * Number(answer.header("retry-after")) || 250);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        // A silent server is not asked five times.
        if (error.isSlow || turn === TRIES) throw error;
        this.lostAnswers++;
        await pause(25 * 2 ** turn++, this.end);
      }
    }
  }

  /** Waits as the backend asks for. */
  async wait(ms: number): Promise<void> {
    this.waits++;
    await pause(Math.min(Math.max(ms, 20), LONGEST_WAIT), this.end);
  }

  /** Does something that must end in time. */
  async within<T>(work: (signal: AbortSignal) => Promise<T>, ms = this.timeout): Promise<T> {
    this.end.throwIfAborted();
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let onEnd: (() => void) | undefined;
    const limits = new Promise<never>((_, reject) => {
      const fail = (error: unknown) => {
        reject(error);
        stop.abort(error);
      };
      timer = setTimeout(() => fail(new NoAnswer(`no answer within ${ms / 1_000} s`, true)), ms);
      onEnd = () => fail(this.end.reason);
      this.end.addEventListener("abort", onEnd, { once: true });
    });
    limits.catch(() => undefined);
    try {
      // An adapter may not look at its signal.
      return await Promise.race([work(stop.signal), limits]);
    } finally {
      clearTimeout(timer);
      if (onEnd !== undefined) this.end.removeEventListener("abort", onEnd);
    }
  }
}

/** Waits, or rejects when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
