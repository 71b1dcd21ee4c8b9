// The package's entry in Node, where tests of apps run. There, IndexedDB is fake-indexeddb, which
// works through its tasks by `setImmediate`. A test runner that fakes the timers fakes that as
// well, and every call of the engine would wait for ever. Browsers do not load this file.

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

/** The methods that were wrapped. */
const wrapped = new WeakSet();

/** Lets the methods of one of fake-indexeddb's classes run with the real `setImmediate`. */
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

/** Calls a function, and what it schedules by `setImmediate`, with the real one. */
function really(call) {
  const faked = globalThis.setImmediate;
  if (faked === setImmediate) return call();
  globalThis.setImmediate = (task, ...given) => setImmediate(() => really(() => task(...given)));
  try {
    return call();
  } finally {
    globalThis.setImmediate = faked;
  }
}
