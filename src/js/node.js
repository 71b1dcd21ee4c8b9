// The package's entry in Node, where tests of apps run. There, IndexedDB is fake-indexeddb, which
// works through its tasks by `setImmediate`. A test runner that fakes the timers fakes that as
// well, and every call of the engine would wait for ever. Browsers do not load this file.

import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate } from "node:timers";
import { Datum } from "./index.js";

export * from "./index.js";

const { initialize } = Datum;
Object.defineProperty(Datum, "initialize", {
  configurable: true,
  value(config) {
    for (const name of ["IDBFactory", "IDBDatabase", "IDBTransaction"]) pass(globalThis[name]);
    pass(globalThis.indexedDB?.constructor);
    return initialize.call(this, config);
  },
});

/** The functions of this file that stand for others. */
const wrapped = new WeakSet();
/** True in what follows from a call of the storage. */
const storage = new AsyncLocalStorage();

/** Lets the methods of one of fake-indexeddb's classes have the real `setImmediate`. */
function pass(Class) {
  if (typeof Class !== "function" || !Class.name.startsWith("FDB")) return;
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(Class.prototype))) {
    const method = property.value;
    if (name === "constructor" || typeof method !== "function" || wrapped.has(method)) continue;
    const value = function (...given) {
      return really(() => method.apply(this, given));
    };
    wrapped.add(value);
    Object.defineProperty(Class.prototype, name, { ...property, value });
  }
}

/** Calls a function. It and what follows from it have the real `setImmediate`, and everything else the runner's. */
function really(call) {
  const faked = globalThis.setImmediate;
  if (faked === setImmediate) return call();
  if (!wrapped.has(faked)) {
    const either = Object.assign((...given) => (storage.getStore() ? setImmediate : faked)(...given), faked);
    wrapped.add(either);
    globalThis.setImmediate = either;
  }
  return storage.run(true, call);
}
