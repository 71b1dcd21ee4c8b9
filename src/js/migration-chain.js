// An app's migrations: checked as a chain, and applied to stored entities. Only apps that have migrations load it. It imports
// nothing, so that a bundler may copy it as it is.

const OWN = ["id", "userId", "spaceId", "createdAt", "modifiedAt", "version", "isDeleted"];
const TIMES = ["createdAt", "modifiedAt"];
const LATEST = 4_294_967_295;
const MAX_DEPTH = 100;
/** The most bytes of an entity, whose text has no more characters than bytes. */
const MAX_LENGTH = 1_048_576;
const KINDS = { add: ["value"], rename: ["to"], remove: [], transform: ["with"] };

/** The package's class of errors. */
let DatumError;

/** Returns migrations, checked, and also against the schema version of a config. `errors` is the package's class of errors. */
export function chainOf(list, errors, version) {
  DatumError = errors;
  const chain = new Migrations(list);
  const fault = version === undefined ? undefined : chain.check(version);
  if (fault !== undefined) refuse("The config: `migrations`", fault);
  return chain;
}

class Migrations {
  #steps;

  constructor(list) {
    const all = itemsOf(list, "The migrations", "must be an array with at least one; leave it out if there is none.");
    this.#steps = all.map((given, index) => readStep(given, `migrations[${index}]`));
    this.#steps.reduce((before, step) => inChain(before, step, this.#steps));
    this.from = this.#steps[0].from;
    this.to = this.#steps.at(-1).to;
    Object.freeze(this);
  }

  /** Returns what is wrong with these migrations in a config of this schema version, if anything. */
  check(version) {
    return this.to === version ? undefined : `lead to version ${this.to}, but \`schemaVersion\` is ${version}; let both be the same.`;
  }

  /** Fails if there is no way from a version. */
  begin(from) {
    if (this.#steps.some((step) => step.from === from)) return;
    const first = from < this.from ? `the first migration begins at ${this.from}` : "no migration begins there";
    throw new DatumError("migration", `The stored data has the schema version ${from}, and ${first}; add one from ${from}. Nothing has changed.`);
  }

  /** Returns whether entities of a type change on the way from a version. */
  changes(entity, from) {
    return this.#on(entity, from).length > 0;
  }

  /** Returns the bodies of entities as JSON, one in a line; `text` is their array. */
  migrate(entity, from, text) {
    const steps = this.#on(entity, from);
    return JSON.parse(text)
      .map((row) => bodyOf(row, steps, entity))
      .join("\n");
  }

  #on(entity, from) {
    return this.#steps.filter((step) => step.from >= from && (step.entity === undefined || step.entity === entity));
  }
}

/** Checks that a step follows the one before it. */
function inChain(before, step, all) {
  const isSame = step.from === before.from && step.to === before.to;
  if (isSame) {
    const twin = all.find((other) => other.from === step.from && other.entity === step.entity);
    if (twin !== step) refuse(step.name, `repeats \`${twin.name}\`: both lead from version ${step.from} to ${step.to}${step.entity === undefined ? "" : ` for \`${step.entity}\``}; make one of them.`);
  } else if (step.from > before.to) {
    refuse(step.name, `begins at version ${step.from}, but the one before it ends at ${before.to}; there is a gap.`);
  } else if (step.from < before.to) {
    refuse(step.name, `begins at version ${step.from}, but the one before it leads from ${before.from} to ${before.to}; order them by version, each from where the last one ends.`);
  }
  return step;
}

function readStep(given, name) {
  const values = ownValues(given, name);
  onlyHas(values, ["from", "to", "entity", "migrate", "operations"], name);
  const { from, to, entity, migrate, operations } = values;
  for (const [key, value] of [["from", from], ["to", to]]) {
    if (!Number.isInteger(value) || value < 0 || value > LATEST) refuse(`${name}.${key}`, `must be a whole number from 0 to ${LATEST}.`);
  }
  if (from >= to) refuse(name, `leads from version ${from} to ${to}; a migration leads to a later version.`);
  if (entity !== undefined && (typeof entity !== "string" || entity === "")) refuse(`${name}.entity`, "must be the name of an entity type, or be left out for all.");
  if ((migrate === undefined) === (operations === undefined)) refuse(name, "must have either `migrate` or `operations`.");
  const step = { name, from, to, entity };
  if (migrate === undefined) {
    const all = itemsOf(operations, `${name}.operations`, "must be an array with at least one operation.");
    const run = all.map((operation, index) => readOperation(operation, `${name}.operations[${index}]`));
    return { ...step, run: (row) => run.reduce((value, change) => change(value), row) };
  }
  return { ...step, run: functionOf(migrate, `${name}.migrate`) };
}

/** Returns what an operation does to an entity. */
function readOperation(given, name) {
  const values = ownValues(given, name);
  const kinds = Object.keys(KINDS).filter((kind) => values[kind] !== undefined);
  if (kinds.length !== 1) refuse(name, "must have one of `add`, `rename`, `remove` and `transform`.");
  const kind = kinds[0];
  onlyHas(values, [kind, ...KINDS[kind]], name);
  const field = fieldOf(values[kind], `${name}.${kind}`);
  if (kind === "remove") return (row) => without(row, field);
  if (kind === "rename") {
    const to = fieldOf(values.to, `${name}.to`);
    return (row) => (Object.hasOwn(row, field) ? set(without(row, field), to, row[field]) : row);
  }
  if (kind === "transform") {
    const change = functionOf(values.with, `${name}.with`);
    return (row) => (Object.hasOwn(row, field) ? set(row, field, givenBack(change(row[field]))) : row);
  }
  const text = reading(name, () => {
    const fault = faultOf(values.value, "value", 0);
    if (fault !== undefined) refuse(name, fault);
    return JSON.stringify(values.value);
  });
  if (text === undefined) refuse(name, "needs a `value`.");
  return (row) => (Object.hasOwn(row, field) ? row : set(row, field, JSON.parse(text)));
}

/** Refuses what a `transform` returns if it is undefined. */
function givenBack(value) {
  if (value === undefined) throw new Wrong("returned undefined; to remove a field, use `remove`.");
  return value;
}

function fieldOf(value, name) {
  if (typeof value !== "string" || value === "") refuse(name, "must be the name of a field.");
  if (OWN.includes(value)) refuse(name, `names \`${value}\`, which the engine owns; no migration changes it.`);
  return value;
}

function functionOf(value, name) {
  if (typeof value !== "function") refuse(name, "must be a function.");
  if (reading(name, () => /Async|Generator/.test(Object.prototype.toString.call(value)))) refuse(name, "is async or a generator; a migration must be a plain function, so that all entities change at once.");
  return value;
}

/** Returns own values, each read once. */
function ownValues(value, name) {
  return reading(name, () => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(name, "must be an object.");
    return { ...value };
  });
}

/** Returns the items of an array, each read once. A hole is undefined, as for any reader. */
function itemsOf(value, name, problem) {
  return reading(name, () => {
    if (!Array.isArray(value) || value.length === 0) refuse(name, problem);
    return Array.from(value);
  });
}

/** Runs what reads a value of the app, whose getters and proxies may throw. */
function reading(name, read) {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof DatumError) throw cause;
    refuse(name, `could not be read: ${say(cause)}`, cause);
  }
}

function onlyHas(values, known, name) {
  const odd = Object.keys(values).find((key) => !known.includes(key));
  if (odd !== undefined) refuse(`${name}.${odd}`, `is not known; known are ${known.join(", ")}.`);
}

function refuse(name, problem, cause) {
  throw new DatumError("invalidConfig", `${name.startsWith("The ") ? name : `\`${name}\``} ${problem}`, { cause });
}

function without(row, field) {
  const { [field]: _, ...rest } = row;
  return rest;
}

/** Sets a field, also one that is called `__proto__`. */
function set(row, field, value) {
  Object.defineProperty(row, field, { value, configurable: true, enumerable: true, writable: true });
  return row;
}

/** What is wrong with the result of a migration. */
class Wrong {
  constructor(problem) {
    this.problem = problem;
  }
}

/** Returns the body of a migrated entity as JSON. */
function bodyOf(row, steps, entity) {
  const own = {};
  for (const key of OWN) if (row[key] !== undefined) own[key] = row[key];
  let value = row;
  let at;
  try {
    for (const step of steps) {
      at = step;
      value = checked(step.run(value), own);
    }
    const fault = faultOf(value, "", 0);
    if (fault !== undefined) throw new Wrong(`returned an entity that JSON cannot hold: ${fault}`);
    const body = {};
    for (const key of Object.keys(value)) if (!OWN.includes(key)) set(body, key, value[key]);
    for (const key of TIMES) if (own[key] !== undefined) body[key] = own[key];
    const text = JSON.stringify(body);
    // Here, so that those of a batch never become a text that is too long.
    if (text.length > MAX_LENGTH) throw new Wrong("returned an entity of more than 1 MiB; it must be smaller.");
    return text;
  } catch (cause) {
    const problem = cause instanceof Wrong ? cause.problem : `threw: ${say(cause)}`;
    const message = `The migration of \`${entity}\` from version ${at.from} to ${at.to} (\`${at.name}\`), for the entity "${own.id}", ${problem} Nothing has changed; correct it, and open the app again.`;
    throw new DatumError("migration", message, { entity, entityId: own.id, ...(cause instanceof Wrong ? {} : { cause }) });
  }
}

/** Checks what a migration returns. */
function checked(value, own) {
  if (typeof value?.then === "function") {
    // Nobody waits for it.
    value.then(undefined, () => {});
    throw new Wrong("returned a promise; it must be synchronous.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const got = Array.isArray(value) ? "an array" : value === null || value === undefined ? String(value) : `a ${typeof value}`;
    throw new Wrong(`returned ${got}; it must return the entity.`);
  }
  for (const key of ["id", "userId"]) {
    if (value[key] === own[key]) continue;
    throw new Wrong(value[key] === undefined ? `returned no \`${key}\`; leave it as it is.` : `changed \`${key}\`; leave it as it is.`);
  }
  return value;
}

/** Returns what JSON cannot hold in a value, and its place; undefined if there is nothing. */
function faultOf(value, path, depth) {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : `\`${path}\` is ${value}.`;
  if (typeof value !== "object") return value === undefined ? undefined : `\`${path}\` is a ${typeof value}.`;
  if (depth > MAX_DEPTH) return `\`${path}\` is nested too deeply, or in a circle.`;
  if (typeof value.toJSON === "function") return undefined;
  const prototype = Object.getPrototypeOf(value);
  const isList = Array.isArray(value);
  if (!isList && prototype !== null && Object.getPrototypeOf(prototype) !== null) return `\`${path}\` is a ${value.constructor?.name ?? "class"}.`;
  for (const key of Object.keys(value)) {
    const item = value[key];
    const place = path === "" ? key : `${path}.${key}`;
    if (isList && item === undefined) return `\`${place}\` is undefined.`;
    const fault = faultOf(item, place, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function say(thrown) {
  try {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return /[.!?]$/.test(text) ? text : `${text}.`;
  } catch {
    return "it threw what has no text.";
  }
}
