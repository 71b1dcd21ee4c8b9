// An instance whose feeds a test holds in its hands: what the hooks for frameworks stand on, without an engine.

/** A feed that tells what a test gives it. A new loop begins with the latest value. */
export class FakeFeed {
  /** How many loops have begun, and how many go on. */
  begun = 0;
  #loops = new Set();
  #last;

  get open() {
    return this.#loops.size;
  }

  give(value) {
    this.#last = { value, done: false };
    for (const loop of this.#loops) loop.put(this.#last);
  }

  fail(error) {
    for (const loop of this.#loops) loop.put({ error });
  }

  end() {
    for (const loop of this.#loops) loop.put({ value: undefined, done: true });
  }

  [Symbol.asyncIterator]() {
    this.begun++;
    const [steps, waiting] = [this.#last === undefined ? [] : [this.#last], []];
    const loop = {
      put: (step) => (waiting.length > 0 ? waiting.shift()(step) : steps.push(step)),
    };
    this.#loops.add(loop);
    return {
      next: async () => {
        const step = steps.shift() ?? (await new Promise((resolve) => waiting.push(resolve)));
        if (step.error !== undefined) throw step.error;
        return step;
      },
      return: async () => {
        this.#loops.delete(loop);
        loop.put({ value: undefined, done: true });
        return { value: undefined, done: true };
      },
    };
  }
}

const statusOf = (userId, more = {}) => ({ userId, status: "idle", pendingOperations: 0, unresolvedConflicts: 0, deadLetters: 0, ...more });

export class FakeDatum {
  currentUserId;
  /** What was asked for: `["watchAll", "tasks", { userId }]`. */
  calls = [];
  users = new FakeFeed();
  lists = { conflicts: [], deadLetters: [] };
  reads = { conflicts: 0, deadLetters: 0 };
  #feeds = new Map();

  constructor(user = "ada") {
    this.currentUserId = user;
    this.users.give(user);
  }

  /** Returns the feed of a call, such as `feed("watchAll", "tasks", { userId: "ada" })`. */
  feed(...call) {
    const key = JSON.stringify(call);
    if (!this.#feeds.has(key)) this.#feeds.set(key, new FakeFeed());
    return this.#feeds.get(key);
  }

  all(entity, userId = "ada", options = {}) {
    return this.feed("watchAll", entity, { ...options, userId });
  }

  switchTo(user) {
    this.currentUserId = user;
    this.users.give(user);
  }

  giveStatus(userId, more) {
    this.feed("status", userId).give(statusOf(userId, more));
  }

  watchCurrentUser() {
    return this.users;
  }

  statusForUser(userId) {
    const feed = this.feed("status", userId);
    if (feed.begun === 0) feed.give(statusOf(userId));
    return Object.assign(Object.create(feed), { current: statusOf(userId), [Symbol.asyncIterator]: () => feed[Symbol.asyncIterator]() });
  }

  events({ userId, type }) {
    return this.feed("events", userId, type);
  }

  async conflicts() {
    this.reads.conflicts++;
    return structuredClone(this.lists.conflicts);
  }

  async deadLetters() {
    this.reads.deadLetters++;
    return structuredClone(this.lists.deadLetters);
  }

  manager(entity) {
    const watch = (name) => (...given) => {
      const call = [name, entity, ...given];
      this.calls.push(call);
      return this.feed(...call);
    };
    return { entity, watchAll: watch("watchAll"), watchById: watch("watchById"), watchQuery: watch("watchQuery") };
  }
}

/** Resolves once everything that is under way has come to rest: no timers but immediate ones, and no network. */
export async function rest() {
  for (let turns = 0; turns < 8; turns++) await new Promise((resolve) => setImmediate(resolve));
}
