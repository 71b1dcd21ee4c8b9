// The module comes in parts: the first has what a page runs until it shows what it has stored, the
// second what its writes and cycles run besides, the third the rest. A call of something in a later part waits for
// that part. Where the engine itself calls on and cannot wait, the part is loaded while the page stands
// still; that is rare, since the parts follow soon and a profile has found what is needed before. A module that is not split has
// one part, and is whole from the beginning.

import { dying } from "./support.js";

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
/** What ends when the last of the calls that wait for a part begins. */
let line;
/** Those who wait until a part is there. */
let awaited = [];
/** Resolves when the page goes on, while it stands still for a part. */
let stillness;

/** What the first part imports: loads the parts up to one, at once. */
export function loadNow(part) {
  let goOn;
  stillness ??= new Promise((resolve) => (goOn = resolve));
  try {
    while (last < part) link(last + 1, source.now(last + 1));
  } catch (cause) {
    // The engine is in the middle of something, and can neither go on nor go back.
    dying(source.failure(cause));
    throw cause;
  } finally {
    if (goOn) stillness = undefined;
    goOn?.();
  }
}

/**
 * What each closure of the engine asks first: resolves when the page goes on, undefined unless it stands still. Firefox
 * hands out events meanwhile, and the engine is in the middle of something.
 */
export const standstill = () => stillness;

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

/**
 * Calls a function when a part is there, with what it was given at first. Calls that wait begin in their order, whatever
 * they wait for: a write must not overtake one of the same entity.
 */
export function when(part, call, ...given) {
  if (last >= part && !line) return call(...given);
  const kept = given.map(taken);
  const turn = Promise.all([load(part), line]);
  const over = turn.catch(() => {});
  line = over;
  void over.then(() => line === over && (line = undefined));
  return turn.then(() => call(...kept));
}

/** Copies plain data, which an app may change until the part is there. What is more than data, as a signal is, stays as it is. */
function taken(value) {
  if (typeof value !== "object" || value === null) return value;
  try {
    if (Array.isArray(value)) return Array.from(value, taken);
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== null && prototype !== Object.prototype) return value;
    const copy = {};
    for (const key of Reflect.ownKeys(value)) {
      const member = value[key];
      if (typeof member === "function") return value;
      // Whatever its name is: `__proto__` too.
      Object.defineProperty(copy, key, { value: taken(member), enumerable: true });
    }
    return copy;
  } catch {
    // A getter that throws, or a circle: the call says so.
    return value;
  }
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
    await attempt;
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
