// Reads and checks what an app passes to `Datum.initialize`, and says in what two configs differ.

import { Http, headersOf } from "./http.js";
import { Audience, CONFIG, ENTITY, anything, check, choice, flag, makeMiddleware, own, ownValues, refuse, split, within } from "./options.js";
import { Bag, DatumError, blame, encode } from "./support.js";

export { readOptions } from "./options.js";

const CODE = "invalidConfig";
const LONGEST = 3_600_000;

/** Checks `remote.url`, and resolves it against the page's address. */
function baseOf(url) {
  if (typeof url !== "string" || url.trim() === "") refuse('must be a string such as "https://api.example.com".');
  let parsed;
  try {
    // A worker made from a blob has no address to resolve a path against.
    parsed = new URL(url, globalThis.location?.href);
  } catch (cause) {
    refuse("must be an http or https url, or a path on the page's own server.", cause);
  }
  if (!/^https?:$/.test(parsed.protocol)) refuse("must begin with http: or https:.");
  if (parsed.search || parsed.hash) refuse("must not have a query or a fragment; send tokens as `remote.headers`.");
  if (parsed.username || parsed.password) refuse("must not have a user name or a password; send them as `remote.headers`.");
  return parsed.href.replace(/\/+$/, "");
}

const HTTP = {
  url: anything,
  headers: anything,
  fetch: (value) => typeof value === "function" || refuse("must be a function."),
  credentials: choice("omit", "same-origin", "include"),
  compress: flag,
  timeout: (value) => (typeof value === "number" && value >= 1 && value <= LONGEST) || refuse("must be a number of milliseconds from 1 to 3,600,000."),
};

const ADAPTER = ["getSyncMetadata", "putSyncMetadata", "clearSyncMetadata", "subscribe", "health"];

/** The app's values of remotes, for reports. */
const shown = new WeakMap();

/** Reads a remote that speaks the protocol. What it returns reads as itself. */
export function readHttp(config) {
  if (isHttp(config)) return config;
  if (typeof config !== "object" || config === null) {
    throw new DatumError(CODE, "`remote` must be an object: { url, headers } for the sync protocol, or an adapter with `pull` and `push`.");
  }
  const values = ownValues(config, CODE, "`remote`");
  return checked(() => {
    check(values, HTTP);
    const base = within("url", () => baseOf(values.url));
    const headers = typeof values.headers === "function" ? values.headers : within("headers", () => headersOf(values.headers ?? {}, "cannot be sent: "));
    const http = new Http(base, headers, values);
    shown.set(http, values);
    return http;
  });
}

export function isHttp(remote) {
  return remote instanceof Http;
}

/** Returns an adapter of the app, which is called as it is: it may be an instance of a class. */
export function readAdapter(given) {
  checked(() => {
    for (const name of ["pull", "push"]) within(name, () => typeof given?.[name] === "function" || refuse("must be a function; an adapter needs `pull` and `push`."));
    for (const name of ADAPTER) within(name, () => ["function", "undefined"].includes(typeof (given[name] ?? undefined)) || refuse("must be a function, or be left out."));
  });
  return given;
}

/** Reads `remote` of the config. */
export function readRemote(given) {
  return checked(() => typeof given?.pull === "function" || typeof given?.push === "function") ? readAdapter(given) : readHttp(given);
}

function checked(read) {
  try {
    return within("remote", read);
  } catch (fault) {
    throw blame(fault, CODE, "The config");
  }
}

/**
 * A config of which the engine can read every part without meeting a getter or a proxy of the app:
 * an exception there would end the call without an answer.
 */
class Config {
  /** The app's values, for reports. */
  values;
  /** What is data, as the engine reads it. */
  json;
  /** What must be the same to share an instance. */
  data;
  /** `[entity, resolver, middleware]` of each type that has a function. */
  functions = [];

  constructor(given) {
    const values = ownValues(given, CODE, "The config");
    if (!(values instanceof Bag)) throw new DatumError(CODE, "The config must be an object with at least `entities` and `remote`.");
    this.values = values;
    const { data, live } = split(values, CONFIG);
    const types = ownValues(values.entities, CODE, "`entities`");
    if (types instanceof Bag) {
      values.entities = types;
      data.entities = new Bag();
      for (const name of Object.keys(types)) data.entities[name] = this.#entity(name, types);
    }
    this.json = encode(data, CODE, "The config");
    this.data = JSON.parse(this.json);
    try {
      check(Object.assign(new Bag(), this.data, live), CONFIG);
    } catch (fault) {
      throw blame(fault, CODE, "The config");
    }
    for (const [name, , middleware] of this.functions) middleware?.setRelations(this.data.entities[name].relations ?? {});
    this.resolver = live.defaultConflictResolver;
    this.initialUserId = live.initialUserId;
    this.migrations = live.migrations;
    this.onMigrationError = live.onMigrationError;
    this.audience = new Audience(live.observers, live.logger, live.logLevel);
    this.remote = readRemote(live.remote);
    this.data.remote = true;
    if (isHttp(this.remote)) {
      values.remote = shown.get(this.remote);
      this.data.remote = this.remote.data;
      this.remote.fetch = this.audience.fetch(this.remote.fetch);
    }
    this.data.defaultConflictResolver ??= "merge";
  }

  /** Returns the data of a type, and keeps its functions. */
  #entity(name, types) {
    const values = ownValues(types[name], CODE, `\`entities.${name}\``);
    types[name] = values;
    if (!(values instanceof Bag)) return values;
    const { data, live } = split(values, ENTITY);
    const middleware = makeMiddleware(name, live);
    if (live.conflictResolver || middleware) this.functions.push([name, live.conflictResolver, middleware]);
    return data;
  }
}

/** Reads a config. What it returns reads as itself. */
export function readConfig(given) {
  return given instanceof Config ? given : new Config(given);
}

/**
 * Returns the paths of the values that differ between the data of two configs. An absent value
 * equals null and an empty object.
 */
export function differences(old, now, path = "", found = []) {
  const isObject = (value) => typeof value === "object" && !Array.isArray(value);
  if (isObject(old ?? {}) && isObject(now ?? {})) {
    const [a, b] = [old ?? {}, now ?? {}];
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) differences(own(a, key), own(b, key), path ? `${path}.${key}` : key, found);
  } else if (JSON.stringify(old) !== JSON.stringify(now)) {
    found.push(path);
  }
  return found;
}
