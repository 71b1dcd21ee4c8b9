// Reads and checks what an app passes as options. The engine gets values that are in range, and
// does not check them again.

import { OWN } from "./middleware.js";
import { ENTRIES } from "./observe.js";
import { Bag, DatumError, at, blame, encode, isWellFormed, say, wrong } from "./support.js";

// For `config.js`, which asks for few files at once: the server of the browser suites may hang on a
// page that asks it for more than four.
export { makeMiddleware } from "./middleware.js";
export { Audience } from "./observe.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

// A rule takes a value and the object that has it, and throws what is wrong. What is null or
// undefined is absent, and meets only a rule that is `required`. Values that are `live` stay as
// they are; all others cross as JSON.

export function refuse(why, cause) {
  throw wrong(why, cause);
}

const text = (value) => typeof value === "string" || refuse("must be a string.");
export const flag = (value) => typeof value === "boolean" || refuse("must be true or false.");
const number = (value) => typeof value === "number" || refuse("must be a number.");
const whole = (least, most) => (value) => (Number.isInteger(value) && value >= least && value <= most) || refuse(`must be a whole number from ${least} to ${most}.`);
export const anything = () => {};

export function choice(...names) {
  return (value) => names.includes(value) || refuse(`must be one of ${quoted(names)}.`);
}

function quoted(names) {
  return names.map((name) => `"${name}"`).join(", ");
}

function list(rule) {
  return (value) => {
    if (!Array.isArray(value)) refuse("must be an array.");
    value.forEach((item, index) => within(index, () => rule(item)));
  };
}

function object(rules) {
  return (value) => check(value, rules);
}

function live(rule, isLive = () => true) {
  return Object.assign((value, of) => rule(value, of), { isLive });
}

function required(rule) {
  return Object.assign(rule, { isRequired: true });
}

/** Names the place of what a rule throws. */
export function within(key, run) {
  try {
    return run();
  } catch (fault) {
    throw at(fault, key);
  }
}

/** Returns the value of an own key; undefined for null. */
export function own(object, key) {
  return (Object.hasOwn(object, key) ? object[key] : undefined) ?? undefined;
}

/** Calls `each` with every key of an object and its value; what it throws gets the key. */
export function eachOf(value, each) {
  if (typeof value !== "object" || Array.isArray(value)) refuse("must be an object.");
  for (const key of Object.keys(value)) within(key, () => each(key, own(value, key)));
}

/** Checks an object against a rule for each of its keys, in their order. */
export function check(value, rules) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse("must be an object.");
  const names = Object.keys(rules);
  for (const name of names) {
    const item = own(value, name);
    if (item !== undefined || rules[name].isRequired) within(name, () => rules[name](item, value));
  }
  eachOf(value, (name) => names.includes(name) || refuse(`is not known; known are ${names.join(", ")}.`));
}

/** Returns what is wrong with an id, if anything; as `check_id` of the engine. */
function faultOfId(id) {
  if (id === "") return "An id must not be empty.";
  if (bytesOf(id) > 512) return "An id must not be longer than 512 bytes.";
  return /\p{Cc}/u.test(id) ? "An id must not have control characters." : undefined;
}

/** As `faultOfId`, for the name of an entity type. */
function faultOfName(name) {
  return faultOfId(name) ?? (bytesOf(name) > 128 ? "The name of an entity type must not be longer than 128 bytes." : undefined);
}

function bytesOf(name) {
  return new TextEncoder().encode(name).length;
}

const RESOLVERS = ["merge", "lastWriteWins", "localPriority", "remotePriority", "ask"];
const SWITCHES = ["syncThenSwitch", "clearAndFetch", "promptIfUnsyncedData", "keepLocal", "adopt"];
const DIRECTIONS = ["pushThenPull", "pullThenPush", "pushOnly", "pullOnly"];
const BEHAVIORS = ["softDelete", "hardDelete"];
const REQUESTS = ["sequential", "skipConcurrent", "joinInFlight"];
const COLD_STARTS = ["disabled", "fullSync", "adaptive", "incremental"];
const POLICIES = ["local", "remote", "lastWrite", "min", "max", "sum", "union", "text"];

const resolver = () =>
  live(
    (value) => typeof value === "function" || RESOLVERS.includes(value) || refuse(`must be ${quoted(RESOLVERS)} or a function.`),
    (value) => typeof value === "function",
  );

const SCOPE = {
  entities: (value) => {
    list(text)(value);
    if (value.length === 0) refuse("must name at least one entity type; leave it out for all.");
    for (const name of value) {
      const fault = faultOfName(name);
      if (fault) refuse(`has no name of an entity type: ${fault}`);
    }
  },
  query: anything,
  name: (value) => text(value) && (value !== "" || refuse("must not be empty.")),
};

const SYNC = {
  timeout: (value) => number(value) && (value > 0 || refuse("must be a number of milliseconds greater than 0.")),
  direction: choice(...DIRECTIONS),
  forceFullSync: flag,
  overrideBatchSize: whole(1, 10_000),
  includeDeletes: flag,
  resolveConflicts: flag,
  conflictResolver: choice(...RESOLVERS),
  scope: object(SCOPE),
  force: flag,
};

const ownField = (value) => text(value) && ((value !== "" && value !== "$syncState" && !OWN.includes(value)) || refuse("must name a field of the app's own."));

const RELATIONS = {
  belongsTo: { foreignKey: ownField },
  hasOne: { foreignKey: ownField, onDelete: choice("none", "cascade", "restrict", "setNull") },
};
RELATIONS.hasMany = RELATIONS.hasOne;
RELATIONS.manyToMany = { through: text, thisKey: ownField, otherKey: ownField, onDelete: RELATIONS.hasOne.onDelete };

function relations(value) {
  eachOf(value, (name, relation) => {
    if (!/^[^$.\\"\p{Cc}][^.\\"\p{Cc}]*$/u.test(name) || OWN.includes(name)) refuse("is no name for a relation: it must be no field of the engine, begin with no `$` and have no dots, quotes and backslashes.");
    if (relation === undefined) return;
    if (typeof relation !== "object" || Array.isArray(relation)) refuse("must be an object.");
    const kinds = Object.keys(RELATIONS).filter((kind) => own(relation, kind) !== undefined);
    const rules = RELATIONS[kinds[0]];
    if (kinds.length !== 1) refuse('must be like { belongsTo: "projects", foreignKey: "projectId" }, with one of belongsTo, hasOne, hasMany and manyToMany.');
    const missing = Object.keys(rules).find((key) => key !== "onDelete" && own(relation, key) === undefined);
    if (missing) refuse(`needs \`${missing}\`${missing === "foreignKey" ? ', such as foreignKey: "projectId"' : ""}.`);
    check(relation, { [kinds[0]]: text, ...rules });
  });
}

/** The path of a field: names with dots between them; a dot or a backslash in a name has a backslash before it. */
const PATH = /^(?!\$syncState(\.|$))(([^.\\]|\\[.\\])+(\.(?!$)|$)){1,32}$/;

function indexes(value) {
  list((index) => {
    const paths = Array.isArray(index) ? index : [index];
    if (paths.length === 0 || paths.length > 16 || !paths.every((path) => typeof path === "string" && PATH.test(path))) refuse('must be a field, such as "createdAt" or "project.name", or an array of 1 to 16 fields.');
  })(value);
  if (value.length > 16) refuse("must not have more than 16 indexes.");
  const texts = value.map((index) => JSON.stringify([index].flat()));
  const twice = texts.findIndex((text, at) => texts.indexOf(text) < at);
  if (twice >= 0) within(twice, () => refuse("is there already; leave it out."));
}

function mergeFields(value, entity) {
  eachOf(value, (path, policy) => {
    const parts = path.split(".");
    if (parts.includes("")) refuse("is no field; give a field's name, or names with dots between them, such as `address.city`.");
    if (OWN.includes(parts[0])) refuse("is a field that the engine owns and merges itself; leave it out.");
    if (own(entity, "localOnly")?.includes(parts[0])) refuse("never leaves the device, by `localOnly`, so that there is nothing to merge; leave it out of one.");
    if (policy !== undefined) choice(...POLICIES)(policy);
  });
}

/** The config of an entity type; its middleware is read by `makeMiddleware`. */
export const ENTITY = {
  conflictResolver: resolver(),
  deleteBehavior: choice(...BEHAVIORS),
  localOnly: (value) => {
    list(text)(value);
    if (value.includes("")) refuse("has an empty name; give the names of top-level fields.");
    const name = value.find((field) => OWN.includes(field));
    if (name) refuse(`names \`${name}\`, which the engine owns and the server needs; leave it out.`);
  },
  mergeFields,
  indexes,
  relations,
  onRejected: choice("revert", "keepLocal"),
  validate: live(anything),
  beforeSave: live(anything),
  afterRead: live(anything),
  middleware: live(anything),
};

function entities(types) {
  let count = 0;
  eachOf(types ?? {}, (name, entity) => {
    const fault = faultOfName(name);
    if (fault) refuse(`is no name for an entity type: ${fault}`);
    if (name.startsWith("$")) refuse("is no name for an entity type: it begins with `$`, as spaces and their members do, which need no entry.");
    if (entity !== undefined) check(entity, ENTITY);
    count += 1;
  });
  if (count === 0) refuse("must name at least one entity type, such as { tasks: {} }.");
  for (const name of Object.keys(types)) {
    for (const relation of Object.values(types[name]?.relations ?? {})) {
      for (const key of [...Object.keys(RELATIONS), "through"]) {
        const other = own(relation ?? {}, key);
        if (other !== undefined && !Object.hasOwn(types, other)) refuse(`of \`${name}\` has a relation to \`${other}\`, which is no entity type of this config.`);
      }
    }
  }
}

const durability = choice("strict", "relaxed");

/** The config of an instance. */
export const CONFIG = {
  name: (name) => {
    text(name);
    const fault = faultOfName(name);
    if (fault) refuse(`is no name: ${fault}`);
    if (name.includes("/")) refuse("must not contain `/`, which separates the name from the user in the databases' names.");
  },
  entities: required(entities),
  remote: live(anything),
  initialUserId: live((value) => typeof value === "function" || (text(value) && (isWellFormed(value) || refuse("has a lone surrogate; strings must be well-formed Unicode.")))),
  defaultSyncOptions: object(SYNC),
  defaultSyncDirection: SYNC.direction,
  durability: object({ local: durability, pulled: durability }),
  syncTimeout: whole(1, DAY),
  defaultConflictResolver: resolver(),
  resolverTimeout: whole(1, DAY),
  retry: object({
    maxAttempts: whole(1, 100),
    factor: (value) => number(value) && ((value >= 1 && value <= 100) || refuse("must be a number from 1 to 100.")),
    initial: whole(0, HOUR),
    max: whole(0, DAY),
    jitter: choice("full", "none"),
  }),
  syncRequestStrategy: choice(...REQUESTS),
  defaultUserSwitchStrategy: choice(...SWITCHES),
  memoryBudget: whole(0, Number.MAX_SAFE_INTEGER),
  persist: (value) => typeof value === "boolean" || value === "ask" || refuse('must be true, false or "ask".'),
  trace: (value) => typeof value === "boolean" || object({ maxBytes: whole(65_536, 1_073_741_824) })(value),
  schemaVersion: whole(0, 4_294_967_295),
  migrations: live((value, config) => {
    // A bare array becomes a chain first.
    if (Array.isArray(value)) return;
    const fault = typeof value?.check === "function" ? value.check(config.schemaVersion ?? 0) : 'must be an array of migrations, or what `migrations` of "datum-sync/migrations" returns.';
    if (fault) refuse(fault);
  }),
  schemaField: (value, config) => {
    ownField(value);
    const type = Object.keys(config.entities).find((name) => config.entities[name]?.localOnly?.includes(value));
    if (type) refuse(`never leaves the device, by \`localOnly\` of \`${type}\`; leave it out of one.`);
  },
  onMigrationError: live((value) => typeof value === "function" || refuse("must be a function.")),
  excludedSyncUserIds: list(text),
  realtime: flag,
  performanceTrack: flag,
  flushOnLeave: flag,
  backgroundSync: flag,
  autoStartSync: flag,
  syncAfterWrite: (value) => value === false || (Number.isInteger(value) && value >= 0 && value <= HOUR) || refuse(`must be a whole number of milliseconds from 0 to ${HOUR}, or false.`),
  autoSyncInterval: whole(1_000, DAY),
  syncOnReconnect: flag,
  syncOnVisible: flag,
  coldStart: object({
    strategy: choice(...COLD_STARTS),
    threshold: whole(0, 365 * DAY),
    delay: whole(0, HOUR),
    maxDuration: whole(1, DAY),
  }),
  observers: live((value) => Array.isArray(value) || refuse("must be an array of objects with `onEvent` or `beforeWrite`.")),
  logger: live((value) => typeof value?.log === "function" || refuse("must be an object with a function `log(entry)`.")),
  logLevel: live(choice("trace", "debug", "info", "warn", "error", "off")),
};

const USER = { userId: text };
const SPACE = {
  ...USER,
  spaceId: (value) => {
    text(value);
    if (!/^[\da-f]{8}-([\da-f]{4}-){3}[\da-f]{12}$/.test(value)) refuse("must be the id of a shared space, a UUID in lower case, or null for the user's own.");
  },
};
const WRITE = {
  ...SPACE,
  dependsOn: (value) => {
    const isKey = (key) => typeof key?.entity === "string" && typeof key.id === "string" && !faultOfName(key.entity) && !faultOfId(key.id);
    if (!Array.isArray(value) || !value.every(isKey)) refuse('must be a list of entities, such as [{ entity: "projects", id }].');
  },
};

/** Of calls that take long. */
const WATCHED = {
  // Of this realm or another.
  signal: live((value) => (typeof value.aborted === "boolean" && typeof value.addEventListener === "function") || refuse("must be an AbortSignal.")),
  onProgress: live((value) => typeof value === "function" || refuse("must be a function.")),
};

/** What is read by each name: how messages call it, and its rules. */
const OPTIONS = {
  user: ["The options", USER],
  space: ["The options", SPACE],
  read: ["The options", { ...SPACE, includeDeleted: flag, withSyncState: flag, with: list(text) }],
  query: ["The options", { ...SPACE, withSyncState: flag }],
  related: ["The options", { ...SPACE, withSyncState: flag, with: list(text) }],
  write: ["The options", WRITE],
  patch: [
    "The options",
    {
      ...WRITE,
      remove: (value) => {
        list(text)(value);
        const name = value.find((field) => OWN.includes(field));
        if (name) refuse(`names \`${name}\`, which every entity has; leave it out.`);
      },
    },
  ],
  delete: ["The options of `delete`", { ...WRITE, behavior: choice(...BEHAVIORS), cascade: flag }],
  page: ["The page", { size: whole(1, 10_000), after: text, query: anything }],
  sync: [
    "The sync options",
    {
      ...SYNC,
      conflictResolver: resolver(),
      signal: WATCHED.signal,
    },
  ],
  switch: [
    "The argument of `switchUser`",
    {
      oldUserId: text,
      newUserId: required((value) => typeof value === "string" || refuse("must be a string; to sign out, call `logout`.")),
      strategy: choice(...SWITCHES),
    },
  ],
  logout: ["The options of `logout`", { flush: whole(0, Number.MAX_SAFE_INTEGER), wipe: flag, force: flag }],
  export: ["The options of `exportUser`", { localOnly: flag, ...WATCHED }],
  import: ["The options of `importUser`", { ...USER, existing: choice("keep", "overwrite", "fail"), asNew: flag, dryRun: flag, ...WATCHED }],
  clear: ["The options of `clearSyncMetadata`", { local: flag, remote: flag }],
  start: ["The options of `startAutoSync`", { interval: whole(1_000, DAY) }],
  filter: [
    "The filter of `events`",
    {
      userId: text,
      entity: text,
      type: (value) => {
        const types = Array.isArray(value) ? value : [value];
        if (types.length === 0 || !types.every((type) => typeof type === "string" && Object.hasOwn(ENTRIES, type))) refuse('must be a type of event, such as "dataChanged", or several.');
      },
    },
  ],
};

/**
 * Returns an object's own values. Each is read only once, so that a getter cannot return two, and
 * what reading throws is an error that names the key. Anything else is returned as it is.
 */
export function ownValues(value, code, what) {
  if (typeof value !== "object" || value === null) return value;
  const values = new Bag();
  let place = what;
  try {
    if (Array.isArray(value)) return value;
    for (const key of Object.keys(value)) {
      place = `${what}: \`${key}\``;
      values[key] = value[key];
    }
  } catch (cause) {
    throw new DatumError(code, `${place} could not be read: ${say(cause)}`, { cause });
  }
  return values;
}

/** Splits own values into data and live ones. */
export function split(values, rules) {
  const parts = { data: new Bag(), live: new Bag() };
  for (const key of Object.keys(values)) (own(rules, key)?.isLive?.(values[key]) ? parts.live : parts.data)[key] = values[key];
  return parts;
}

/** Returns the JSON of options, and their live members as they are. `kind` is a key of `OPTIONS`. */
export function readOptions(value, kind) {
  const code = "invalidArgument";
  const [what, rules] = OPTIONS[kind];
  const values = ownValues(value, code, what);
  if (!(values instanceof Bag)) throw new DatumError(code, `${what} must be an object.`);
  const { data, live } = split(values, rules);
  const json = encode(data, code, what);
  try {
    check(Object.assign(new Bag(), JSON.parse(json), live), rules);
  } catch (fault) {
    throw blame(fault, code, what);
  }
  live.json = json;
  return live;
}
