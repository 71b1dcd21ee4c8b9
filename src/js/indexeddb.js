// IndexedDB, with one call for each transaction: the engine says which requests to make, and judges what fails. What
// the browser throws reaches it as it is.

/** The version of every database. Migrations are records of the log: another version would need all tabs to close. */
const VERSION = 1;

const fault = (name, message) => ({ name, message });

/** A request to open or to delete a database. It runs to its end, whether anything waits for it or not. */
class DatabaseRequest {
  /** Whether another tab holds the database. */
  blocked = false;

  constructor(issue) {
    this.done = new Promise((resolve, reject) => {
      const request = issue();
      request.onblocked = () => {
        this.blocked = true;
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? fault("UnknownError", "The browser gave no reason."));
    });
  }
}

/** Returns what the browser has as `indexedDB`. Reading it throws where a page may not use it. */
function factory() {
  const { indexedDB } = globalThis;
  if (!indexedDB) throw fault("NotSupportedError", "There is no indexedDB.");
  return indexedDB;
}

/**
 * Opens a database, and makes it if there is none: `stores` with out-of-line keys. The store `identified` gets a random
 * number under the key `identity`.
 */
export function openDatabase(name, stores, identified, identity) {
  return new DatabaseRequest(() => {
    const request = issueOpen(factory(), name);
    request.onupgradeneeded = () => {
      try {
        for (const store of stores.split(" ")) {
          const made = request.result.createObjectStore(store);
          if (store === identified) made.put(Math.random(), identity);
        }
      } catch {
        // The open then fails, and the next one creates everything again.
        attempt(() => request.transaction.abort());
      }
    };
    return request;
  });
}

function issueOpen(browser, name) {
  try {
    return browser.open(name, VERSION);
  } catch {
    // Refused, whatever its name: another attempt does not help.
    throw fault("SecurityError", "indexedDB.open() threw.");
  }
}

export function deleteDatabase(name) {
  return new DatabaseRequest(() => factory().deleteDatabase(name));
}

/** Does what may fail, because it was done already. */
function attempt(work) {
  try {
    work();
  } catch {}
}

/**
 * Makes requests in one readonly transaction, which ends by itself once it has no request left. `ask` makes them, and
 * says which one is the last and what the results are then: requests end in order, so that one handler is enough.
 */
function read(database, stores, ask) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(stores);
    // A request that fails aborts the others, and every error rises to the transaction: the first one counts.
    transaction.onerror = transaction.onabort = ({ target }) => reject(target.error ?? aborted());
    const last = (request, results) => {
      request.onsuccess = () => {
        try {
          resolve(results(request.result));
        } catch (thrown) {
          reject(thrown);
        }
      };
    };
    ask((name) => transaction.objectStore(name), last);
  });
}

const aborted = () => fault("AbortError", "The transaction was aborted.");

/** Resolves with the values under some keys, undefined for each that is missing. */
export function valuesOf(database, store, keys) {
  if (keys.length === 0) return Promise.resolve([]);
  return read(database, store, (of, last) => {
    const requests = keys.map((key) => of(store).get(key));
    last(requests.at(-1), () => requests.map((request) => request.result));
  });
}

const from = (key, isAfter) => (key === undefined ? undefined : IDBKeyRange.lowerBound(key, isAfter));

/** Asks for the keys and the values in a range of a store. They come in turns. */
function ask(store, range, last) {
  const keys = store.getAllKeys(range);
  last(store.getAll(range), (values) => {
    const entries = [];
    keys.result.forEach((key, index) => entries.push(key, values[index]));
    return entries;
  });
}

/** Resolves with the keys and the values of a store in turns: all, or those from a key on, or after it. */
export function entriesOf(database, store, first, isAfter) {
  return read(database, store, (of, last) => ask(of(store), from(first, isAfter), last));
}

/** Resolves with the keys of a store from one on. */
export function keysOf(database, store, first) {
  return read(database, store, (of, last) => last(of(store).getAllKeys(from(first, false)), (keys) => keys));
}

/** As `entriesOf`, from the key on that is a value in another store; from that value's key if it is no number. */
export function entriesFrom(database, store, other, key) {
  return read(database, [store, other], (of, last) => {
    const found = of(other).get(key);
    found.onsuccess = () => {
      const first = typeof found.result === "number" ? found.result : key;
      ask(of(store), from(first, false), last);
    };
  });
}

/**
 * Writes in one transaction, which is issued and committed in this turn: nothing is awaited between its first request
 * and `commit()`, so it holds in `pagehide` too, and no browser can close it early. `complete` is the only sign of
 * success.
 *
 * Each of the `changes` is a method, a store, a key and a value. The `added` one is written only if its key is free.
 * Resolves with true; with false if the key is taken, and then nothing was written.
 */
export function writeAll(database, stores, durability, changes, added) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(stores.split(" "), "readwrite", { durability });
    let failed;
    const isTaken = () => failed?.name === "ConstraintError";
    transaction.oncomplete = () => resolve(!isTaken());
    // Of any request: an error rises from it. The first counts: later ones say that the transaction is being aborted.
    transaction.onerror = ({ target }) => (failed ??= target.error);
    transaction.onabort = () => {
      // Only the `add` can meet a key that is taken.
      if (isTaken()) resolve(false);
      // Safari's engine aborts with a null `error`, so the request's is used. A transaction that is committed is
      // never aborted here: with neither, the connection was lost.
      else reject(transaction.error ?? failed ?? aborted());
    };
    try {
      // What is added comes always last. In Firefox 153 a failing request that others follow, in a transaction with an
      // explicit commit(), does not abort: the others are stored.
      for (const [method, store, key, value] of added ? [...changes, added] : changes) {
        request(transaction.objectStore(store), method, key, value);
      }
      transaction.commit();
    } catch (thrown) {
      // A request that throws does not abort its transaction: the others would be stored.
      attempt(() => transaction.abort());
      throw thrown;
    }
  });
}

function request(store, method, key, value) {
  if (method === "deleteBelow") store.delete(IDBKeyRange.upperBound(key, true));
  else if (method === "delete") store.delete(key);
  else store[method](value, key);
}

/**
 * Returns a value if it is a `Uint8Array`, of this realm or another: test runners give each file globals of its own,
 * and what is cloned by the host has the host's.
 */
export function bytesOf(value) {
  return ArrayBuffer.isView(value) && value[Symbol.toStringTag] === "Uint8Array" ? value : undefined;
}
