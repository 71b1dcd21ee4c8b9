// What the engine cannot express in Rust: the error class, and the conversion between JavaScript
// values and JSON text. The engine imports this file, which must never hold state of a database.

const RETRYABLE = new Set(["offline", "network", "timeout", "cancelled", "serverError", "rateLimited", "storageBlocked"]);
const DETAILS = ["userId", "entity", "entityId", "status", "retryAfterMs"];

/** Every rejection of the package. A console shows the name of the class, which a minifier leaves to a property. */
export const { DatumError } = { DatumError: class extends Error {
  constructor(code, message, detail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.retryable = RETRYABLE.has(code);
    this.at = new Date().toISOString();
    for (const key of DETAILS) if (detail[key] !== undefined) this[key] = detail[key];
  }

  toJSON() {
    const json = { code: this.code, message: this.message, retryable: this.retryable, at: this.at };
    for (const key of DETAILS) if (key !== "userId" && this[key] !== undefined) json[key] = this[key];
    if (this.cause !== undefined) json.cause = say(this.cause);
    return json;
  }
} };
// On the prototype, as for Error, so that a minifier cannot rename it and a log does not repeat it.
Object.defineProperty(DatumError.prototype, "name", { value: "DatumError", configurable: true, writable: true });

/** Returns a DatumError from the engine's JSON. */
export function makeError(json) {
  const { code, message, ...detail } = JSON.parse(json);
  return new DatumError(code, message, detail);
}

// serde_json stops at 128 levels; stored values must stay readable for every server.
export const MAX_DEPTH = 100;

/** An object that inherits nothing, not even `__proto__`: every name is an ordinary key. */
export function Bag() {}
Bag.prototype = Object.freeze(Object.create(null));

/** A problem in a value, and its place. Distinguishes our exceptions from the app's. */
class Fault {
  path = [];

  constructor(why, cause) {
    this.why = why;
    this.cause = cause;
  }
}

/**
 * Returns the JSON text of a value. Throws a `Fault` for values that JSON would silently lose or
 * change. `blame` turns it into an error, so that only failures pay for the message. If `isEntity`,
 * the engine judges lone surrogates, since only it knows which of them are new.
 */
export function textOf(value, isEntity) {
  return sound(JSON.stringify(take(value, 0, "")), (text) => text, isEntity);
}

/** As `textOf`, for an array: one line for each item, since JSON text contains no line break. */
export function linesOf(values, isEntity) {
  if (!Array.isArray(values)) throw wrong("must be an array.");
  const lines = [];
  for (let i = 0; i < values.length; i++) {
    try {
      lines.push(JSON.stringify(take(values[i], 1, i)));
    } catch (fault) {
      throw at(fault, i);
    }
  }
  return sound(lines.join("\n"), (text) => `[${text.replaceAll("\n", ",")}]`, isEntity);
}

/** Returns the text if its strings are well-formed; `json` makes JSON of it. */
function sound(text, json, isEntity) {
  // JSON writes a lone surrogate as an escape and never writes a paired one so: one scan of the
  // text costs less than asking each string. A backslash before `ud` in a string is found too.
  if (!isEntity && text.includes("\\ud")) {
    const fault = malformed(JSON.parse(json(text)));
    if (fault !== undefined) throw fault;
  }
  return text;
}

/**
 * Returns the error for an exception of `textOf`. `code` is its code; `what` names the value in its
 * message.
 */
export function blame(fault, code, what) {
  if (!(fault instanceof Fault)) return new DatumError(code, `${what} could not be read: ${say(fault)}`, { cause: fault });
  const place = fault.path.map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`)).join("");
  const where = place ? `${what}: \`${place.replace(/^\./, "")}\`` : what;
  return new DatumError(code, `${where} ${fault.why}`, { cause: fault.cause });
}

/** As `textOf`, but throws a DatumError. */
export function encode(value, code, what, isEntity) {
  try {
    return textOf(value, isEntity);
  } catch (fault) {
    throw blame(fault, code, what);
  }
}

/** Returns whether a string has no lone surrogate. */
export function isWellFormed(text) {
  // The method came with Chrome 111, Firefox 119 and Safari 16.4.
  return typeof text.isWellFormed === "function" ? text.isWellFormed() : !/\p{Surrogate}/u.test(text);
}

/**
 * Returns a copy of a value that `JSON.stringify` writes without calling the app: each getter and
 * `toJSON` is called once, here. Throws the problem and its place; the path is only built on the way
 * out of a failure. `made` is true for what a `toJSON` returned.
 */
function take(value, depth, key, made) {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Number.isFinite(value)) return value;
      throw wrong(`is ${value}, which JSON cannot hold; use null or a finite number.`);
    case "object":
      break;
    case "undefined":
      throw wrong("is undefined, which JSON cannot hold; use null.");
    case "bigint":
      throw wrong("is a BigInt, which JSON cannot hold; convert it to a string.");
    default:
      throw wrong(`is a ${typeof value}, which JSON cannot hold; leave it out.`);
  }
  if (value === null) return null;
  if (depth === MAX_DEPTH) throw wrong(`is nested deeper than ${MAX_DEPTH} levels, or contains itself.`);
  const toJSON = made ? undefined : value.toJSON;
  if (typeof toJSON === "function") {
    const name = replaced(value);
    if (name !== undefined) throw wrong(`would not be stored as it is, because a script of this page has replaced \`${name}\`; delete that method.`);
    if (tagOf(value) === "Date" && Number.isNaN(value.getTime())) throw wrong("is an invalid date.");
    return take(toJSON.call(value, String(key)), depth + 1, key, true);
  }
  let place;
  try {
    if (Array.isArray(value)) {
      const list = [];
      for (place = 0; place < value.length; place++) list.push(take(value[place], depth + 1, place));
      return list;
    }
    const keys = Object.keys(value);
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      const why = loss(value, prototype, keys);
      if (why !== undefined) throw wrong(why);
    }
    const copy = new Bag();
    for (place of keys) {
      const item = value[place];
      // JSON leaves out an undefined property, as an app that writes `{ due: undefined }` expects.
      if (item !== undefined) copy[place] = take(item, depth + 1, place);
    }
    return copy;
  } catch (fault) {
    throw place === undefined ? fault : at(fault, place);
  }
}

/**
 * Returns the name of the built-in `toJSON` of a value that a script has replaced, if one has: old
 * libraries add `Array.prototype.toJSON`, and lists would be stored as strings.
 */
function replaced(value) {
  let holder = value;
  while (holder !== null && !Object.hasOwn(holder, "toJSON")) holder = Object.getPrototypeOf(holder);
  const maker = holder === null || holder === value || !Object.hasOwn(holder, "constructor") ? undefined : holder.constructor;
  return isNative(maker) && !isNative(holder.toJSON) ? `${maker.name}.prototype.toJSON` : undefined;
}

function isNative(value) {
  return typeof value === "function" && /\[native code\]\s*\}$/.test(Function.prototype.toString.call(value));
}

/** Returns what JSON would lose of an instance of a class, if anything. */
function loss(value, prototype, keys) {
  const tag = tagOf(value);
  // A plain object of another realm (an iframe, a test runner's sandbox) has that realm's
  // prototype.
  if (tag === "Object" && Object.getPrototypeOf(prototype) === null) return undefined;
  const name = value.constructor?.name || tag;
  if (tag !== "Object") return `is of type ${name}, whose content JSON would lose; convert it to a plain object, an array or a string.`;
  if (keys.length === 0) return `is an instance of ${name} without fields of its own; give it a \`toJSON\` or convert it to a plain object.`;
  for (let p = prototype; p !== null && p !== Object.prototype; p = Object.getPrototypeOf(p)) {
    for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(p))) {
      // A property with a getter and a setter is data that JSON does not see; one with only a
      // getter is derived.
      if (property.set && key !== "__proto__" && !keys.includes(key)) {
        return `is an instance of ${name}, whose field \`${key}\` JSON would lose; give it a \`toJSON\` or convert it to a plain object.`;
      }
    }
  }
  return undefined;
}

/** Returns the place of a lone surrogate in a value that JSON parsed. */
function malformed(value) {
  if (typeof value === "string") {
    return isWellFormed(value) ? undefined : wrong("has a lone surrogate; strings must be well-formed Unicode (see `String.prototype.toWellFormed`).");
  }
  if (typeof value !== "object" || value === null) return undefined;
  const isArray = Array.isArray(value);
  for (const key of Object.keys(value)) {
    if (!isWellFormed(key)) return wrong("has a key with a lone surrogate; keys must be well-formed Unicode.");
    const fault = malformed(value[key]);
    if (fault !== undefined) return at(fault, isArray ? Number(key) : key);
  }
  return undefined;
}

/** Returns a problem in a value, for `blame`. */
export function wrong(why, cause) {
  return new Fault(why, cause);
}

/** Returns what was thrown as a problem, with the key where it was. */
export function at(thrown, key) {
  // A getter, a proxy or a `toJSON` of the app threw.
  const fault = thrown instanceof Fault ? thrown : new Fault(`could not be read: ${say(thrown)}`, thrown);
  // The path of a cycle has a hundred parts; the first few show where it begins.
  if (fault.path.length === 6) fault.path.pop();
  fault.path.unshift(key);
  return fault;
}

function tagOf(value) {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** Returns an exception as text. */
export function say(cause) {
  try {
    return String(cause?.message ?? cause);
  } catch {
    return "an exception without words";
  }
}

/** Returns the value of a JSON text, deeply frozen. */
export function decode(text) {
  return freeze(JSON.parse(text));
}

/**
 * Returns the entities of a JSON array, each deeply frozen. The array itself is the caller's and
 * may be sorted.
 */
export function decodeMany(text) {
  const values = JSON.parse(text);
  for (let i = 0; i < values.length; i++) freeze(values[i]);
  return values;
}

/** Deeply freezes a value made by JSON or by the engine, and returns it. */
export function freeze(value) {
  if (typeof value !== "object" || value === null) return value;
  // A stack rather than recursion: JSON.parse takes nesting that would overflow the call stack.
  const stack = [value];
  for (let object = stack.pop(); object !== undefined; object = stack.pop()) {
    // `for in` over an array costs four times as much as counting.
    if (Array.isArray(object)) {
      for (let i = 0; i < object.length; i++) {
        const item = object[i];
        if (typeof item === "object" && item !== null) stack.push(item);
      }
    } else {
      // `for in` would follow what a script has added to `Object.prototype`, and never end.
      for (const key of Object.keys(object)) {
        const item = object[key];
        if (typeof item === "object" && item !== null) stack.push(item);
      }
    }
    Object.freeze(object);
  }
  return value;
}

/** Reports to the app's developer a fault that no call can reject with. */
export function report(fault) {
  console.error("datum-sync:", fault);
}

/**
 * Asks the browser to wake the service worker once there is a network. Does nothing without
 * support.
 */
export async function requestBackgroundSync(tag) {
  try {
    // Without a service worker, `ready` never settles.
    const registration = await navigator.serviceWorker?.ready;
    await registration?.sync?.register(tag);
  } catch {
    // The page may have no service worker, or may not sync: the next visit syncs.
  }
}

/** The pending calls, with the functions that settle the promise of each. */
const waiting = new Map();
let death;
let words;

/** How many of them keep a Node process from ending; timers and channels do not. */
let held = 0;
let port;

function hold(more) {
  held += more;
  if (held > 1 || !globalThis.process?.versions?.node || !globalThis.MessageChannel) return;
  port ??= new MessageChannel().port1;
  // jsdom's and happy-dom's, if they have any, keep nothing.
  port[held > 0 ? "ref" : "unref"]?.();
}

/**
 * Returns the promise of a call, which `settle` settles; it also rejects when the engine dies. A
 * panic stops the task that would have settled it, and without this an `await` in the app would
 * never return. A Node process may end while only feeds wait for something new.
 */
export function pledge(isFeed) {
  let how;
  const promise = new Promise((resolve, reject) => {
    how = { resolve, reject, isFeed };
  });
  if (death !== undefined) how.reject(death);
  else {
    waiting.set(promise, how);
    if (!isFeed) hold(1);
  }
  return promise;
}

/**
 * Resolves or rejects a call. A call that was already rejected because the engine died stays
 * rejected.
 */
export function settle(promise, fulfilled, value) {
  const how = waiting.get(promise);
  waiting.delete(promise);
  if (how && !how.isFeed) hold(-1);
  if (fulfilled) how?.resolve(value);
  else how?.reject(value);
}

/**
 * Called by the panic hook: rejects every pending call and every later one. The panic's message may
 * never follow, because it needs memory, and the fault may be the allocator's own.
 */
export function dying(place) {
  death ??= new DatumError("engineDead", "The engine stopped on a fault of its own; what was stored is safe. Reload the page.", { cause: place });
  for (const { reject } of waiting.values()) reject(death);
  waiting.clear();
  hold(-held);
  return death;
}

/**
 * Called by the panic hook afterwards, with the message of the panic; the first one becomes the
 * cause.
 */
export function died(message) {
  console.error("datum-sync:", message);
  death.cause = words ??= message;
}
