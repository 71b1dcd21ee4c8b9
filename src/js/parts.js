// The module comes in parts: the first has what a page runs until it shows what it has stored, the
// second what its writes and cycles run besides, the third the rest. A call of something in a later part waits for
// that part. Where the engine itself calls on and cannot wait, the part is loaded while the page stands
// still; that is rare, since the parts follow soon and a profile has found what is needed before. A module that is not split has
// one part, and is whole from the beginning.

import { MAX_DEPTH, dying } from "./support.js";
import { unlessAborted } from "./transfer.js";

/** How long after a failure the next attempt follows, in milliseconds: twice as long each time. */
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** The number of the last part that is there. */
let last = Infinity;
/** What a part imports: the exports of the earlier ones by their numbers, and the page's functions. */
let imports;
/** Where parts come from: given by the entry. */
let source;
/** The attempt to get the next part. */
let attempt;
/** The attempts to get all of them, from the first call of `follow`. */
let following;
/** Resolves when each write that waits for a part has begun; undefined if none waits. */
let queue;
/** One promise for each other call that waits for a part: it resolves when that has begun. */
const unbegun = new Set();
/** Those who wait until a part is there. */
let awaited = [];
/** Resolves when the page goes on, while it stands still for a part. */
let stall;

/** What the first part imports: loads the parts up to one, at once. */
export function loadNow(part) {
  let goOn;
  stall ??= new Promise((resolve) => (goOn = resolve));
  try {
    while (last < part) link(last + 1, source.now(last + 1));
  } catch (cause) {
    // The engine is in the middle of something, and can neither go on nor go back.
    throw dying(source.failure(cause));
  } finally {
    if (goOn) stall = undefined;
    goOn?.();
  }
}

/**
 * What each closure of the engine asks first: resolves when the page goes on, undefined unless it stands still. Firefox
 * hands out events meanwhile, and the engine is in the middle of something.
 */
export const stalled = () => stall;

/**
 * Takes the first part's exports. The other parts come when `follow` is called, or when something needs them.
 *
 * `from` has their `count` with the first one, and functions: `get` hands a part, compiled, to what links it, from
 * elsewhere if that fails; `now` returns a part at once; `failure` makes an error of what it threw.
 */
export function begin(exports, given, from) {
  source = from;
  last = 0;
  imports = { ...given, 0: exports };
}

/** Begins to load all parts that are left, unless it has begun before. */
export function follow() {
  following ??= patiently(source.count - 1);
}

/** Resolves when all parts are there: what a refusal leads to may be in the last one. Rejects if one cannot be had. */
export const whole = () => load(source ? source.count - 1 : 0);

/** Returns whether all parts are there. */
export const isWhole = () => last >= (source ? source.count - 1 : 0);

/** Returns whether a part is there. */
export const isLoaded = (part) => last >= part;

/** Calls a function when a part is there, with what it was given at first. */
export function when(part, call, ...given) {
  if (last >= part) return call(...given);
  const { begun, result } = after(load(part), call, given);
  unbegun.add(begun);
  void begun.then(() => unbegun.delete(begun));
  return result;
}

/** As `when`, for what writes: it begins after those that were called before it, whatever they wait for. */
export function inTurn(part, call, ...given) {
  if (last >= part && !queue) return call(...given);
  return enqueue([load(part), queue], call, given);
}

/** As `inTurn`, for what changes the user: the reads before it are of the user who was signed in then, and begin first as well. */
export function afterAll(part, call, ...given) {
  if (last >= part && !queue && unbegun.size === 0) return call(...given);
  return enqueue([load(part), queue, ...unbegun], call, given);
}

function enqueue(awaited, call, given) {
  const { begun, result } = after(Promise.all(awaited), call, given);
  // One that fails early does not let those behind it overtake those before.
  const turn = Promise.all([begun, queue]);
  queue = turn;
  void turn.then(() => queue === turn && (queue = undefined));
  return result;
}

/** Calls a function after a promise, unless a signal among what it is given aborts before. `begun` resolves in any case. */
function after(ready, call, given) {
  const copies = given.map(snapshot);
  const due = unlessAborted(ready, signalIn(copies));
  const nothing = () => {};
  return { result: due.then(() => call(...copies)), begun: due.then(nothing, nothing) };
}

function signalIn(values) {
  try {
    return values.map((one) => Object.getOwnPropertyDescriptor(Object(one), "signal")?.value).find((one) => typeof one?.addEventListener === "function");
  } catch {
    // A proxy that throws. The call reads the same, and says so.
    return undefined;
  }
}

/** Copies plain data, which an app may change until the part is there. What is more than data, as a signal is, stays as it is. */
function snapshot(value) {
  try {
    return copyOf(value, 0);
  } catch {
    // A getter that throws, or a circle. The call reads the same, and says so.
    return value;
  }
}

function copyOf(value, depth) {
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) throw new RangeError();
  const prototype = Object.getPrototypeOf(value);
  const isList = Array.isArray(value);
  if (prototype !== null && prototype !== (isList ? Array.prototype : Object.prototype)) return value;
  // Only what is read of data: frameworks keep notes of their own beside it.
  const members = Object.keys(value).map((key) => [key, value[key]]);
  // Sources of an import are iterable by a symbol.
  const marks = Object.getOwnPropertySymbols(value).map((mark) => [mark, value[mark]]);
  if ([...members, ...marks].some(([, member]) => typeof member === "function")) return value;
  const copy = isList ? new Array(value.length) : {};
  // Whatever its name is: `__proto__` too.
  for (const [key, member] of members) Object.defineProperty(copy, key, { value: copyOf(member, depth + 1), enumerable: true });
  return copy;
}

/** Resolves when a part is there, without asking for it. */
export const arrival = (part) => new Promise((resolve) => (last >= part ? resolve() : awaited.push({ part, resolve })));

/** Loads the parts up to one, however often that takes. */
async function patiently(part) {
  for (let pause = PAUSE_MS; last < part; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    await load(part).catch(() => new Promise((resolve) => setTimeout(resolve, pause)));
  }
}

/** Loads the parts up to one. */
export async function load(part) {
  while (last < part) {
    const following = last + 1;
    attempt ??= source.get(following, (module) => link(following, module)).finally(() => (attempt = undefined));
    try {
      // It may have been loaded at once meanwhile.
      await Promise.race([attempt, arrival(following)]);
    } catch (cause) {
      if (last < following) throw cause;
    }
  }
}

function link(part, module) {
  // Loaded at once meanwhile. Never twice: a part fills the table, and would undo what a later one has filled.
  if (part !== last + 1) return;
  imports[part] = new WebAssembly.Instance(module, imports).exports;
  last = part;
  for (const one of awaited) if (one.part <= last) one.resolve();
  awaited = awaited.filter((one) => one.part > last);
}
