// Loads the engine's module, which comes in parts (see parts.js): from the files beside this one, or from
// the inline fallback where they are unavailable.

import init, { DatumError, beginParts, followParts, getImports, loadParts, whenLoaded } from "./datum_sync.js";

/** How long a file may not answer, in milliseconds, before the inline fallback is loaded. */
const SILENCE_MS = 8_000;
/** How long a file or the fallback may take in all, in milliseconds. */
const LOAD_MS = 120_000;

/** Set by `pack`: how many parts the module has. */
const COUNT = PARTS;

/**
 * Returns the address of a part. Bundlers look for exactly these expressions and copy the files. If a bundler moved
 * this module without them (esbuild, Vite's dependency optimizer), nothing is there, or a server's page for
 * unknown paths.
 */
function address(part) {
  if (COUNT > 1 && part === 1) return new URL("datum_sync_cycle.wasm", import.meta.url);
  if (COUNT > 1 && part === 2) return new URL("datum_sync_rest.wasm", import.meta.url);
  return new URL("datum_sync_bg.wasm", import.meta.url);
}

/** True once a part came from the inline fallback. */
let isInlined = false;

/** How long the other parts wait for what a page does first, in milliseconds. */
const HEAD_START_MS = 2_000;
/** How long they wait once the instance is open: until the page has asked for what it shows. */
const FIRST_READ_MS = 50;
/** The timer after which the other parts follow, if they do not come with the first one. */
let others;

/** Loads the first part. */
export async function loadEngine() {
  const exports = await get(0, (module) => init({ module_or_path: module }));
  if (COUNT === 1) return;
  beginParts(exports, getImports(), { count: COUNT, get, now, failure });
  // The fallback has them all, and in Node no page waits to be shown.
  if (isInlined || !mayStandStill() || files(address(0))) await loadParts(COUNT - 1);
  else others = setTimeout(followParts, HEAD_START_MS);
}

/** Returns whether something can be loaded at once: not in a service worker, nor where the page's policy forbids it. */
const mayStandStill = () => typeof XMLHttpRequest === "function" && globalThis.document?.featurePolicy?.allowsFeature("sync-xhr") !== false;

/**
 * Loads the other parts soon. Sooner, compiling them would take the processor from opening the storage and from the first read:
 * a tenth of what a page waits for.
 */
export function loadOthers() {
  if (others === undefined) return;
  clearTimeout(others);
  others = setTimeout(followParts, FIRST_READ_MS);
}

/** Calls a function when all parts are there, with what it was given at first. */
export const whenWhole = (call, ...given) => whenLoaded(COUNT - 1, call, ...given);

/** Loads what checks migrations. */
export async function loadChain() {
  try {
    // As for the fallback, below.
    return await (import.meta.env?.PROD ? import(new URL("migration-chain.js", import.meta.url).href) : import("./migration-chain.js"));
  } catch (cause) {
    // A service worker cannot import while it runs.
    throw new DatumError("network", "The package's `migration-chain.js` could not be loaded; serve it, or use \"datum-sync/migrations\".", { cause });
  }
}

/** Loads what shows the activity in the performance timeline. */
export const loadTrack = () => (import.meta.env?.PROD ? import(new URL("performance-track.js", import.meta.url).href) : import("./performance-track.js"));

/** Hands a part, compiled, to what links it; from the fallback if it cannot be had or does not fit. */
async function get(part, link) {
  const causes = [];
  let isStrange = false;
  const attempt = async (source) => {
    const aborter = new AbortController();
    const module = await within(LOAD_MS, source(part, aborter), aborter);
    isStrange = true;
    return link(module);
  };
  for (const source of isInlined ? [inlined] : [fetched, renewed, inlined]) {
    // A cache may have kept the file of another build.
    if (source === renewed && !isStrange) continue;
    try {
      return await attempt(source);
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw failure(new AggregateError(causes, causes.map(String).join("; ")));
}

function failure(cause) {
  const message =
    "The engine could not be loaded. Serve the files `datum_sync_*.wasm` beside the package's code, and allow 'wasm-unsafe-eval' if the page has a content security policy.";
  return new DatumError("network", message, { cause });
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

/** Returns what reads files, if the address is one of a file: Node fetches none. */
const files = (url) => url.protocol === "file:" && globalThis.process?.getBuiltinModule?.("node:fs");

const renewed = (part, aborter) => fetched(part, aborter, "reload");

async function fetched(part, aborter, cache = "default") {
  const url = address(part);
  const reader = files(url);
  if (reader) return WebAssembly.compile(reader.readFileSync(url));
  // What the page itself loads comes before the later parts.
  const asked = fetch(url, { signal: aborter.signal, priority: part === 0 ? "auto" : "low", cache });
  const response = await within(SILENCE_MS, asked, aborter);
  if (!response.ok) throw new Error(`HTTP ${response.status} for ${response.url}`);
  // It takes this type without parameters only.
  const isStream = response.headers.get("Content-Type")?.trim().toLowerCase() === "application/wasm" && WebAssembly.compileStreaming;
  return isStream ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

async function inlined(part) {
  // Vite builds a worker as one file unless told otherwise, and refuses `import("./inline.js")`
  // there: what a url names, it copies. It replaces the condition. Others bundle what is imported.
  // `pack` adds what keeps bundlers from warning of it, since a minifier drops comments.
  const { default: texts } = await (import.meta.env?.PROD
    ? import(new URL("inline.js", import.meta.url).href)
    : import("./inline.js"));
  isInlined = true;
  const packed = Uint8Array.from(atob(texts[part]), (character) => character.charCodeAt(0));
  // Not by a Blob: jsdom's has no `stream`.
  const stream = new Response(packed).body.pipeThrough(new DecompressionStream("deflate-raw"));
  return WebAssembly.compile(await new Response(stream).arrayBuffer());
}

/** Returns a part while the page stands still. */
function now(part) {
  const url = address(part);
  const reader = files(url);
  if (reader) return new WebAssembly.Module(reader.readFileSync(url));
  const request = new XMLHttpRequest();
  request.open("GET", url, false);
  // A page gets only text at once: one character for each byte.
  request.overrideMimeType("text/plain; charset=x-user-defined");
  request.send();
  if (request.status !== 200) throw new Error(`HTTP ${request.status} for ${url}`);
  return new WebAssembly.Module(Uint8Array.from(request.responseText, (character) => character.charCodeAt(0)));
}
