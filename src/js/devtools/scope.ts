/** What ends together: the feeds and listeners of a panel, of a user, of the element. */

/** Ends what was started. */
export type Stop = () => void;

export class Scope {
  #stops: Stop[] = [];
  #isOver = false;

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Calls `stop` when this ends; at once, if it has. */
  add(stop: Stop): void {
    if (this.#isOver) stop();
    else this.#stops.push(stop);
  }

  /** Returns a scope that ends with this one, or before. */
  child(): Scope {
    const child = new Scope();
    const end = () => child.end();
    this.add(end);
    child.add(() => (this.#stops = this.#stops.filter((stop) => stop !== end)));
    return child;
  }

  /**
   * Follows the feed that `open` returns until its end or that of this. Nothing comes once this has ended. With `restMs`, so long passes before the next
   * value is asked for. What `open` throws is a failure of the feed: there may be none for a type that this instance does not know, or once it is closed.
   */
  follow<T>(open: () => AsyncIterable<T>, each: (value: T) => void, failed: (thrown: unknown) => void, ended: () => void = () => {}, restMs = 0): void {
    if (this.#isOver) return;
    const run = async () => {
      const loop = open()[Symbol.asyncIterator]();
      this.add(() => void Promise.resolve(loop.return?.()).catch(() => {}));
      for (;;) {
        const step = await loop.next();
        if (this.#isOver) return;
        if (step.done) return ended();
        each(step.value);
        if (restMs > 0) await this.#rest(restMs);
      }
    };
    run().catch((thrown: unknown) => {
      if (!this.#isOver) failed(thrown);
    });
  }

  /** Resolves after a time, or once this has ended. */
  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const rest = this.child();
      const timer = setTimeout(() => rest.end(), ms);
      rest.add(() => (clearTimeout(timer), resolve()));
    });
  }

  /** Returns a function that calls `work`: at once, then at most once in `ms` milliseconds for all calls meanwhile, and never after the end. */
  paced(ms: number, work: () => void): () => void {
    let isResting = false;
    let isAsked = false;
    const run = async () => {
      isResting = true;
      do {
        isAsked = false;
        work();
        await this.#rest(ms);
      } while (isAsked && !this.#isOver);
      isResting = false;
    };
    return () => {
      if (this.#isOver) return;
      isAsked = true;
      if (!isResting) void run();
    };
  }

  /** Listens until the end. */
  listen(target: EventTarget, type: string, listener: (event: any) => void): void {
    target.addEventListener(type, listener);
    this.add(() => target.removeEventListener(type, listener));
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const stops = this.#stops;
    this.#stops = [];
    for (const stop of stops) stop();
  }
}

/** How long passes between two readings at least, in milliseconds. */
const REST_MS = 250;
/** How much longer than a reading the rest after it is, so that reading never takes more than a tenth of the time. */
const REST_FACTOR = 10;

/**
 * Reads what has no feed of its own, whenever it may have changed: one reading at a time, with a rest after each. Without changes it does
 * nothing.
 */
export class Reading {
  readonly #scope: Scope;
  readonly #read: () => Promise<void>;
  #isStale = false;
  #isBusy = false;
  #wake: Stop = () => {};

  constructor(scope: Scope, read: () => Promise<void>) {
    [this.#scope, this.#read] = [scope, read];
    scope.add(() => this.#wake());
  }

  /** Says that it may have changed. */
  ask(): void {
    this.#isStale = true;
    if (!this.#isBusy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    // What ends the scope, such as a sign-out, comes in the same turn: a question would open the user's database again.
    await new Promise((resolve) => setTimeout(resolve));
    while (this.#isStale && !this.#scope.isOver) {
      this.#isStale = false;
      const began = performance.now();
      await this.#read();
      const rest = Math.max(REST_MS, (performance.now() - began) * REST_FACTOR);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, rest);
        this.#wake = () => (clearTimeout(timer), resolve());
      });
    }
    this.#isBusy = false;
  }
}

/** Who shows what is read. */
interface Reader {
  readonly recorder: { hear(listener: () => void): Stop };
  fail(thrown: unknown): void;
  invalidate(): void;
}

/** Reads now, and again whenever the recorder has heard something, until the scope ends. What was read is drawn. */
export function keepReading(scope: Scope, reader: Reader, read: () => Promise<unknown>): Reading {
  const reading = new Reading(scope, async () => {
    try {
      await read();
    } catch (thrown) {
      reader.fail(thrown);
    }
    reader.invalidate();
  });
  scope.add(reader.recorder.hear(() => reading.ask()));
  reading.ask();
  return reading;
}
