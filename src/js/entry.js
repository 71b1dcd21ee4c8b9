// The package's main module: loads the engine, and adds to its classes what only JavaScript can
// express. It wraps only `close`, so other calls cost nothing more. It must work unchanged under
// every bundler.

import init, { Datum as Engine, DatumError, Manager } from "./datum_sync.js";

export { DatumError, Manager };

// Assigned here, not only re-exported: a bundler that assumes no side effects would otherwise take
// the class from the generated module and leave this one out.
export const Datum = extend(Engine);

/** The open and opening instances by name: `{ config, promise }`. */
const instances = new Map();
/** The instances that have opened, the oldest first. */
const open = new Set();
let loading;

function extend(Class) {
  // Creates an instance. Apps use `initialize` instead.
  const openEngine = Class.open.bind(Class);
  delete Class.open;
  const close = Class.prototype.close;
  const members = {
    initialize: { value: (config) => initialize(openEngine, config) },
    instance: { get: instance },
    isInitialized: { get: () => open.size > 0 },
  };
  for (const member of Object.values(members)) member.configurable = true;
  Object.defineProperties(Class, members);
  Class.prototype.close = function () {
    forget(this);
    return close.call(this);
  };
  // Safari has no `Symbol.asyncDispose` yet.
  if (Symbol.asyncDispose) Class.prototype[Symbol.asyncDispose] = Class.prototype.close;
  for (const exported of [Class, Manager]) {
    // Only the garbage collector frees objects: a freed object would throw from inside the engine.
    delete exported.prototype.free;
    if (Symbol.dispose) delete exported.prototype[Symbol.dispose];
  }
  return Class;
}

async function initialize(openEngine, config) {
  const name = config?.name ?? "datum";
  const known = instances.get(name);
  if (known !== undefined) {
    if (isSame(known.config, config, 0)) return known.promise;
    throw new DatumError("invalidConfig", `"${name}" is initialized already, with another config. Close that instance first, or give this one another \`name\`.`);
  }
  const promise = start(openEngine, config);
  instances.set(name, { config, promise });
  try {
    const datum = await promise;
    open.add(datum);
    return datum;
  } catch (error) {
    // A failed attempt may be repeated.
    if (instances.get(name)?.promise === promise) instances.delete(name);
    throw error;
  }
}

async function start(openEngine, config) {
  loading ??= load().catch((error) => {
    loading = undefined;
    throw error;
  });
  await loading;
  return openEngine(config);
}

function instance() {
  for (const datum of open) return datum;
  throw new DatumError("notInitialized", "`Datum.initialize(config)` has not finished; await it first.");
}

function forget(datum) {
  open.delete(datum);
  for (const [name, { promise }] of instances) {
    promise.then((opened) => {
      if (opened === datum && instances.get(name)?.promise === promise) instances.delete(name);
    }, () => {});
  }
}

/** How long the file may not answer, in milliseconds, before the inline fallback is loaded. */
const SILENCE_MS = 8_000;
/** How long the file or the fallback may take in all, in milliseconds. */
const LOAD_MS = 120_000;

/**
 * Loads the engine from the file beside this one, or from the inline fallback if that file is
 * unavailable.
 */
async function load() {
  const causes = [];
  for (const source of [fetched, inlined]) {
    const aborter = new AbortController();
    try {
      await init({ module_or_path: await within(LOAD_MS, source(aborter), aborter) });
      return;
    } catch (cause) {
      causes.push(cause);
    }
  }
  const message =
    "The engine could not be loaded. Serve `datum_sync_bg.wasm` beside the package's code, and allow 'wasm-unsafe-eval' if the page has a content security policy.";
  throw new DatumError("network", message, { cause: new AggregateError(causes, causes.map(String).join("; ")) });
}

/** Fails, and aborts what it waits for, if that takes longer. */
async function within(ms, work, aborter) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`nothing for ${ms / 1000} seconds`));
      aborter.abort();
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function fetched(aborter) {
  // Bundlers look for exactly this expression and copy the file. If a bundler moved this module
  // without the file (esbuild, Vite's dependency optimizer), nothing is there, or a server's page
  // for unknown paths.
  const request = fetch(new URL("datum_sync_bg.wasm", import.meta.url), { signal: aborter.signal });
  const response = await within(SILENCE_MS, request, aborter);
  if (!response.ok) throw new Error(`HTTP ${response.status} for ${response.url}`);
  const isStream = response.headers.get("Content-Type")?.startsWith("application/wasm") && WebAssembly.compileStreaming;
  return isStream ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

async function inlined() {
  const { default: text } = await import("./inline.js");
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return WebAssembly.compile(await new Response(stream).arrayBuffer());
}

/**
 * Returns whether two configs are equivalent. A page that reloads a module passes new functions
 * with the old text.
 */
function isSame(a, b, depth) {
  if (Object.is(a, b)) return true;
  if (typeof a === "function" && typeof b === "function") return String(a) === String(b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const prototype = Object.getPrototypeOf(a);
  if (prototype !== Object.getPrototypeOf(b)) return false;
  // An adapter may contain a client: compare only its class, since its members may contain cycles.
  if (depth > 8 || (prototype !== Object.prototype && prototype !== Array.prototype && prototype !== null)) return true;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) if (!isSame(a[key], b[key], depth + 1)) return false;
  return true;
}
