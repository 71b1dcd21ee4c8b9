// `datum.report`: what somebody who helps needs to know, and nothing that is secret. It has no
// entity, no value of a header, and of the config only what is data of the package's own.

/** By instance, its config without secrets. */
const configs = new WeakMap();

/** The keys of a config whose strings are names or settings. Other strings may be anything. */
const SHOWN = new Set([
  "name", "url", "credentials", "defaultSyncDirection", "direction", "defaultConflictResolver", "conflictResolver", "defaultUserSwitchStrategy",
  "syncRequestStrategy", "strategy", "jitter", "local", "pulled", "persist", "logLevel", "deleteBehavior", "onRejected", "belongsTo", "foreignKey",
]);
/** The keys whose values are names of fields and policies. */
const NAMES = new Set(["mergeFields", "localOnly"]);
/** How many objects and lists a report has of each key of a config at the most. */
const MOST = 1_000;
/** The keys whose values are the app's own. */
const OWN = new Set(["headers", "query", "initialUserId", "excludedSyncUserIds", "observers", "logger", "customMetadata"]);

/** Notes the config of an instance for its reports. */
export function noteConfig(datum, config) {
  configs.set(datum, describe(config, "", undefined, 0));
}

function describe(value, key, shown, depth, room) {
  if (value === null || value === undefined || typeof value === "boolean" || typeof value === "number") return value;
  if (typeof value === "string") return (shown ?? SHOWN.has(key)) ? value : "(text)";
  if (typeof value !== "object") return `(${typeof value})`;
  // An adapter's own data may be large, and lead back to itself.
  if (room?.left <= 0) return "(more)";
  if (room) room.left -= 1;
  const isOwn = shown === false || OWN.has(key);
  if (Array.isArray(value)) return isOwn || depth > 8 || value.length > MOST ? `(${value.length})` : value.map((item) => describe(item, key, shown ?? NAMES.has(key), depth + 1, room));
  const prototype = Object.getPrototypeOf(value);
  // A class of the app: an adapter, a logger.
  if (depth > 8 || (prototype !== null && Object.getPrototypeOf(prototype) !== null)) return `(${prototype?.constructor?.name || "object"})`;
  const described = {};
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    if (!property.enumerable) continue;
    described[name] = property.get ? "(getter)" : describe(property.value, name, isOwn ? false : NAMES.has(key) || shown, depth + 1, room ?? { left: MOST });
  }
  return described;
}

/** Returns the report. A part that cannot be read says why, so that a broken instance has one too. */
export async function makeReport(datum, version, userId, readLog) {
  // Throws if the user id is wrong.
  const status = datum.statusForUser(userId).current;
  const part = async (read) => {
    try {
      return await read();
    } catch (error) {
      return { error: error?.toJSON?.() ?? String(error) };
    }
  };
  const all = (read, omit) => part(async () => (await read()).map(({ ...item }) => omit.reduce((rest, key) => (delete rest[key], rest), item)));
  const [log, outbox, conflicts, deadLetters, lastResult, metadata, storage, users] = await Promise.all([
    part(readLog),
    all(() => datum.pendingOperations(userId), []),
    all(() => datum.conflicts(userId), ["base", "local", "remote"]),
    all(() => datum.deadLetters(userId), ["data", "base"]),
    part(() => datum.getLastSyncResult(userId)),
    part(async () => {
      const { customMetadata, ...rest } = (await datum.getSyncMetadata(userId)) ?? {};
      return rest;
    }),
    part(() => datum.storageSize(userId)),
    part(async () => (await datum.userIds()).length),
  ]);
  const { activeUsers, ...metrics } = datum.metrics;
  const { navigator, document, location } = globalThis;
  const report = {
    version,
    at: new Date().toISOString(),
    environment: {
      userAgent: navigator?.userAgent ?? null,
      origin: location?.origin ?? null,
      online: navigator?.onLine ?? null,
      visibility: document?.visibilityState ?? null,
      has: ["indexedDB", "BroadcastChannel", "DecompressionStream"].filter((name) => name in globalThis).concat(navigator?.locks ? ["locks"] : []),
    },
    config: configs.get(datum) ?? null,
    userId,
    isCurrentUser: datum.currentUserId === userId,
    status,
    nextSyncTime: datum.nextSyncTime(userId),
    lastResult,
    metadata,
    outbox: firstOf(outbox),
    conflicts: firstOf(conflicts),
    deadLetters: firstOf(deadLetters),
    storage: { ...storage, users },
    metrics: { ...metrics, activeUsers: activeUsers.length },
    log,
  };
  // Messages and causes are the words of the app, the browser and the server.
  return JSON.parse(JSON.stringify(report).replace(/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, "$1 …").replace(/\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, "…"));
}

/** How many of all there are, and the first of them. */
const firstOf = (items) => (Array.isArray(items) ? { count: items.length, first: items.slice(0, 100) } : items);
