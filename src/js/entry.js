// The package's main module: loads the engine, and adds to its classes what only JavaScript can
// express. What it wraps costs a call of JavaScript more. It must work unchanged under
// every bundler.

import { label, show, state, tag } from "./console.js";
import { Datum as Engine, DatumError, Feed, FeedIterator, Manager, SpaceManager, readConfig } from "./datum_sync.js";
import { loadChain, loadEngine, loadOthers, loadTrack, whenWhole } from "./load.js";
import { QueryBuilder } from "./query-builder.js";
import { makeReport, noteConfig } from "./report.js";

export { DatumError, Manager, QueryBuilder };

// Assigned here, not only re-exported: a bundler that assumes no side effects would otherwise take
// the class from the generated module and leave this one out.
export const Datum = extend(Engine);

extendManager(Manager.prototype);

show(Datum, "Datum", (datum) => state(datum, open.has(datum)));
show(Manager, "Manager", ({ entity }) => `of ${entity}`);
show(SpaceManager, "SpaceManager");
show(Feed, "Feed");
show(FeedIterator, "FeedIterator");
show(QueryBuilder, "QueryBuilder");

/** The instances by name, from the beginning of their opening until they are closed. */
const instances = new Map();
/** By name, when the instances that are being closed have closed. */
const closing = new Map();
/** The instances that have opened, the oldest first. */
const open = new Set();
let loading;

function extend(Class) {
  // Creates an instance. Apps use `initialize` instead.
  const openEngine = Class.open.bind(Class);
  delete Class.open;
  const { adopt, close, events, exportUser, manager, report, watchActivity } = Class.prototype;
  delete Class.prototype.adopt;
  const members = {
    initialize: { value: (config) => initialize({ open: openEngine, adopt }, config, places(new Error().stack)) },
    instance: { get: instance },
    version: { value: VERSION },
    isInitialized: { get: () => open.size > 0 },
    instances: { get: () => Object.freeze([...open]) },
  };
  for (const member of Object.values(members)) member.configurable = true;
  Object.defineProperties(Class, members);
  Class.prototype.close = function () {
    const closed = close.call(this);
    forget(this, closed);
    return closed;
  };
  Class.prototype.watchCurrentUser = function () {
    const feed = events.call(this, { type: ["userSwitched", "signedOut"] });
    return { [Symbol.asyncIterator]: () => userIterator(this, feed[Symbol.asyncIterator]()) };
  };
  Class.prototype.manager = function (entity) {
    return Object.defineProperty(manager.call(this, entity), Symbol.toStringTag, tag(`Manager of ${entity}`));
  };
  // The engine's own getter refuses what is no instance, at once.
  const check = Object.getOwnPropertyDescriptor(Class.prototype, "currentUserId").get;
  Class.prototype.watchActivity = function (filter) {
    check.call(this);
    return feedOf(Promise.resolve(whenWhole((copy) => [watchActivity.call(this, copy)], filter)), 0);
  };
  // The engine has only the log.
  Class.prototype.report = async function (userId) {
    check.call(this);
    return makeReport(this, VERSION, userId, () => whenWhole(() => report.call(this)));
  };
  Class.prototype.exportUser = function (...given) {
    check.call(this);
    const stream = whenWhole((...copies) => exportUser.apply(this, copies), ...given);
    return typeof stream.then === "function" ? streamOf(stream) : stream;
  };
  // Safari has no `Symbol.asyncDispose` yet.
  if (Symbol.asyncDispose) Class.prototype[Symbol.asyncDispose] = Class.prototype.close;
  return Class;
}

/**
 * Returns the open instance of the config's name, with the live parts of this config, or opens one.
 * What it resolves with is open: a call that waits for an instance starts over if that is closed
 * meanwhile.
 */
async function initialize(engine, given, calledAt) {
  const config = readConfig(given);
  if (Array.isArray(config.migrations)) config.migrations = (await loadChain()).chainOf(config.migrations, DatumError, config.data.schemaVersion ?? 0);
  const name = config.data.name ?? "datum";
  for (;;) {
    const known = instances.get(name);
    if (known === undefined) return begin(engine, name, given, config, calledAt);
    let datum;
    try {
      datum = await known.opening;
    } catch (error) {
      if (given === known.given) throw error;
      // Another config may be better than one that could not be opened.
      continue;
    }
    // Those who waited before act first: a component that was unmounted closes what it opened.
    for (let turns = 0; turns < 40 && instances.get(name) === known; turns++) await undefined;
    if (instances.get(name) !== known) continue;
    try {
      // In the order of the calls: the newest config wins, however long each takes to name its user.
      const turn = known.turn.then(() => engine.adopt.call(datum, config));
      known.turn = turn.catch(() => {});
      const keys = await turn;
      if (instances.get(name) !== known) continue;
      if (keys.length > 0 && isReplaced(known.calledAt, calledAt)) {
        await datum.close();
        continue;
      }
      if (keys.length > 0) {
        const differ = keys.map((key) => `\`${key}\``).join(", ");
        throw new DatumError("invalidConfig", `"${name}" is initialized already, and this config differs in ${differ}. Close that instance first, or give this one another \`name\`.`);
      }
      known.calledAt = calledAt;
      noteConfig(datum, config.values);
      return datum;
    } catch (error) {
      if (instances.get(name) === known) throw error;
    }
  }
}

async function begin(engine, name, given, config, calledAt) {
  const entry = { given, calledAt, datum: undefined, opening: undefined, turn: Promise.resolve(), before: undefined };
  entry.opening = (async () => {
    try {
      while (closing.has(name)) await closing.get(name);
      loading ??= loadEngine().catch((error) => {
        loading = undefined;
        throw error;
      });
      await loading;
      entry.datum = await engine.open(config);
      label(entry.datum, name, () => open.has(entry.datum));
      loadOthers();
      noteConfig(entry.datum, config.values);
      open.add(entry.datum);
      // Without the file there is no track, and all else works.
      if (config.data.performanceTrack) loadTrack().then(({ draw }) => draw(entry.datum.watchActivity(), name)).catch(() => {});
      return entry.datum;
    } catch (error) {
      // A failed attempt may be repeated.
      instances.delete(name);
      if (entry.before) instances.set(name, entry.before);
      throw error;
    }
  })();
  instances.set(name, entry);
  return entry.opening;
}

function instance() {
  for (const datum of open) return datum;
  throw new DatumError("notInitialized", "`Datum.initialize(config)` has not finished; await it first.");
}

/** Adds to managers the methods that begin a query, and those that need the engine's last part. */
function extendManager(prototype) {
  const { count, countMatches, readPage, readQueryPage, readRelated, readRelatedPage, watchRelated, watchResult } = prototype;
  // The engine's own getter refuses what is no manager, at once.
  const check = Object.getOwnPropertyDescriptor(prototype, "entity").get;
  for (const name of ["countMatches", "readQueryPage", "readRelated", "readRelatedPage", "watchRelated", "watchResult"]) delete prototype[name];
  prototype.count = function (query, options) {
    return (query ?? undefined) === undefined ? count.call(this, query, options) : countMatches.call(this, query, options);
  };
  prototype.readPage = function (page, options) {
    const read = has(page, "query") ? readQueryPage : has(options, "with") ? readRelatedPage : readPage;
    return read.call(this, page, options);
  };
  for (const name of ["where", "orderBy", "limit"]) {
    prototype[name] = function (...given) {
      check.call(this);
      return new QueryBuilder({}, [], { manager: this })[name](...given);
    };
  }
  for (const [name, at] of [["read", 1], ["readAll", 0], ["readPage", 1], ["watchAll", 0], ["watchById", 1]]) {
    const plain = prototype[name];
    const reads = name.startsWith("read");
    prototype[name] = function (...given) {
      const options = given[at];
      if (name !== "readPage" && has(options, "with")) {
        const [one, id] = [at === 1, at === 1 ? given[0] : undefined];
        if (reads) return readRelated.call(this, one, id, options);
        check.call(this);
        return feedOf(watchRelated.call(this, one, id, options), 0);
      }
      const call = (...copies) => plain.apply(this, copies);
      if (!has(options, "withSyncState")) return call(...given);
      if (reads) return whenWhole(call, ...given);
      check.call(this);
      return feedOf(Promise.resolve(whenWhole((...copies) => [call(...copies)], ...given)), 0);
    };
  }
  prototype.watchQuery = function (query, options) {
    check.call(this);
    const feeds = watchResult.call(this, query, options, false);
    return { ...feedOf(feeds, 0), changes: () => feedOf(feeds, 1) };
  };
  prototype.watchCount = function (query, options) {
    check.call(this);
    return feedOf(watchResult.call(this, query, options, true), 0);
  };
}

function has(options, name) {
  try {
    return Object.hasOwn(options ?? {}, name);
  } catch {
    // Reading it says what is wrong.
    return false;
  }
}

/** Returns one of the feeds that are on their way. */
function feedOf(feeds, at) {
  // Loops reject with it.
  feeds.catch(() => {});
  return {
    [Symbol.asyncIterator]() {
      let loop;
      const call = async (name) => {
        loop ??= feeds.then((all) => all[at][Symbol.asyncIterator]());
        return (await loop)[name]();
      };
      // A feed that has never come is left without a word.
      const leave = () => feeds.then(() => call("return"), () => ({ value: undefined, done: true }));
      const iterator = { next: () => call("next"), return: leave, [Symbol.asyncIterator]: () => iterator };
      return iterator;
    },
  };
}

/** Returns a stream that is on its way, as one that is there. */
function streamOf(opening) {
  const reader = opening.then((stream) => stream.getReader());
  // Those who read the stream reject with it.
  reader.catch(() => {});
  const stream = new ReadableStream(
    {
      async pull(controller) {
        const { value, done } = await (await reader).read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => void reader.then((opened) => opened.cancel(reason)).catch(() => {}),
    },
    { highWaterMark: 0 },
  );
  // Safari has no loop over a stream.
  stream[Symbol.asyncIterator] ??= () => chunks(stream);
  return stream;
}

async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    await reader.cancel();
  }
}

/** One loop over the current user: at once, and after each change. */
function userIterator(datum, events) {
  let last;
  const iterator = {
    async next() {
      for (;;) {
        const value = datum.currentUserId;
        if (value !== last) return { value: (last = value), done: false };
        const event = await events.next();
        if (event.done) return event;
      }
    },
    return: () => events.return(),
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}

/** Removes an instance from the registry at once; its name is free when it has closed. One that cannot close stays there. */
function forget(datum, closed) {
  if (!open.delete(datum)) return;
  for (const [name, entry] of instances) {
    if (entry.datum !== datum) continue;
    instances.delete(name);
    const ended = closed
      .catch((error) => {
        // Its part cannot be had: it lives on, and is closed by a later call. Those who wait for the name cannot open yet.
        if (error.code !== "network") return;
        open.add(datum);
        const next = instances.get(name);
        if (next) next.before = entry;
        else instances.set(name, entry);
        throw error;
      })
      .finally(() => {
        if (closing.get(name) === ended) closing.delete(name);
      });
    closing.set(name, ended);
    ended.catch(() => {});
  }
}

/** Returns the addresses of the modules in a stack: their queries by what is before it. */
function places(stack) {
  return new Map(Array.from(String(stack).matchAll(/([a-z-]+:\/\/[^\s?)]+?)(\?[^\s)]*?)?:\d+:\d+\)?$/gm), ([, path, query = ""]) => [path, query]));
}

/**
 * Returns whether a module that called has replaced one that had called before: development servers
 * load an edited module again with another query.
 */
function isReplaced(before, now) {
  return import.meta.webpackHot?.status() === "apply" || Array.from(now).some(([path, query]) => before.has(path) && before.get(path) !== query);
}
