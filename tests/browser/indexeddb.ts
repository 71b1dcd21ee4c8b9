// IndexedDB without the code under test: raw databases, and methods that fail.

const STORES = ["log", "bodies"];

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export async function deleteDatabase(name: string): Promise<void> {
  await resultOf(indexedDB.deleteDatabase(name));
}

/** Opens a connection that does not listen to `versionchange`. */
export function openDatabase(name: string, version: number): Promise<IDBDatabase> {
  return resultOf(indexedDB.open(name, version));
}

/** Puts a value into a store of an existing database. */
export async function overwrite(name: string, store: string, key: number, value: unknown): Promise<void> {
  const db = await resultOf(indexedDB.open(name));
  const tx = db.transaction(STORES, "readwrite");
  tx.objectStore(store).put(value, key);
  await new Promise<void>((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error);
  });
  db.close();
}

/** Two connections append the same keys at once. Returns in how many rounds one won, with all of its transaction. */
export async function roundsWithOneWinner(name: string, rounds: number): Promise<number> {
  const open = () => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => STORES.forEach((store) => request.result.createObjectStore(store));
    return resultOf(request);
  };
  const append = (db: IDBDatabase, seq: number, who: string) =>
    new Promise<string>((resolve) => {
      const tx = db.transaction(STORES, "readwrite");
      tx.objectStore("bodies").put(who, seq);
      const add = tx.objectStore("log").add(who, seq);
      let verdict = "unknown";
      add.onerror = () => {
        verdict = add.error!.name;
      };
      tx.oncomplete = () => resolve("complete");
      tx.onabort = () => resolve(verdict);
      tx.commit();
    });
  const [a, b] = [await open(), await open()];
  const get = (store: string, key: number) => resultOf(a.transaction(store).objectStore(store).get(key));
  let right = 0;
  for (let seq = 1; seq <= rounds; seq++) {
    const first = { db: a, who: "a" };
    const second = { db: b, who: "b" };
    const both = seq % 2 ? [first, second] : [second, first];
    const ends = await Promise.all(both.map(({ db, who }) => append(db, seq, who)));
    if (ends.toSorted().join() !== "ConstraintError,complete") continue;
    const winner = both[ends.indexOf("complete")].who;
    if ((await get("log", seq)) === winner && (await get("bodies", seq)) === winner) right++;
  }
  a.close();
  b.close();
  return right;
}

type Method = (this: any, ...args: any[]) => any;

/** A method of the browser that is replaced until `undo`. */
export class Patch {
  /** How often the replacement was called, where it counts. */
  count = 0;
  readonly undo: () => void;

  constructor(prototype: any, method: string, replace: (patch: Patch, original: Method) => Method) {
    const original: Method = prototype[method];
    prototype[method] = replace(this, original);
    this.undo = () => {
      prototype[method] = original;
    };
  }

  /** A method that always throws. */
  static throwing(prototype: object, method: string, message: string, name: string): Patch {
    return new Patch(prototype, method, (patch) => () => {
      patch.count++;
      throw new DOMException(message, name);
    });
  }
}

/** The first transaction finds its connection closed. */
export function connectionDiesOnce(): Patch {
  return new Patch(
    IDBDatabase.prototype,
    "transaction",
    (patch, original) =>
      function (...args) {
        if (patch.count++ === 0) {
          throw new DOMException("The database connection is closing.", "InvalidStateError");
        }
        return original.apply(this, args);
      },
  );
}

export function connectionStaysDead(): Patch {
  return Patch.throwing(IDBDatabase.prototype, "transaction", "Connection lost", "UnknownError");
}

export function addThrows(): Patch {
  return Patch.throwing(IDBObjectStore.prototype, "add", "no", "DataCloneError");
}

/**
 * The next transaction gives no answer, and its connection is closed by force: what some transactions in flight meet in
 * Chromium when it evicts an origin.
 */
export function connectionIsClosedByForce(): Patch {
  return new Patch(
    IDBDatabase.prototype,
    "transaction",
    (patch, original) =>
      function (this: IDBDatabase, ...args) {
        const transaction: IDBTransaction = original.apply(this, args);
        if (patch.count++ === 0) {
          const silence = (event: Event) => event.stopImmediatePropagation();
          for (const type of ["complete", "abort", "error", "success"]) transaction.addEventListener(type, silence, true);
          setTimeout(() => this.dispatchEvent(new Event("close")), 50);
        }
        return transaction;
      },
  );
}

export function openIsDenied(): Patch {
  return Patch.throwing(IDBFactory.prototype, "open", "denied", "SecurityError");
}

/** The first commit goes through, and its answer is lost: Safari's network process died in between. */
export function commitLosesItsAnswer(): Patch {
  return new Patch(
    IDBTransaction.prototype,
    "commit",
    (patch, original) =>
      function (this: IDBTransaction, ...args) {
        original.apply(this, args);
        if (patch.count++ === 0) {
          this.oncomplete = null;
          this.dispatchEvent(new Event("abort"));
          this.onabort = null;
        }
      },
  );
}

export function diskIsFull(): Patch {
  return new Patch(
    IDBTransaction.prototype,
    "commit",
    (patch) =>
      function (this: IDBTransaction) {
        patch.count++;
        const error = new DOMException("full", "QuotaExceededError");
        Object.defineProperty(this, "error", { value: error });
        this.abort();
      },
  );
}

let durability = "";

/** Notes the durability that each transaction asks for. */
export function noteDurability(): Patch {
  return new Patch(
    IDBDatabase.prototype,
    "transaction",
    (_, original) =>
      function (...args) {
        durability = args[2].durability;
        return original.apply(this, args);
      },
  );
}

export function lastDurability(): string {
  return durability;
}

/** The third `get` aborts its transaction, so that each of three requests fails. */
export function thirdGetAborts(): Patch {
  return new Patch(
    IDBObjectStore.prototype,
    "get",
    (patch, original) =>
      function (this: IDBObjectStore, ...args) {
        const request = original.apply(this, args);
        if (++patch.count === 3) this.transaction.abort();
        return request;
      },
  );
}

const thrown: string[] = [];

/** Notes errors that reach the page from now on. */
export function watchThrown(): void {
  addEventListener("error", (event) => thrown.push(event.message));
}

/** Returns the errors that have reached the page. */
export function thrownSoFar(): string {
  return thrown.join();
}
