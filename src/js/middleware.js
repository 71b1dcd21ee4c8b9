// The app's functions around its entities: `validate` and `beforeSave` before a write, `afterRead`
// after a read, and a chain of them that reads run in reverse. Whatever they throw or return must
// not harm the engine: it gets only checked JSON text, and an app's read returns a value for every
// entity.

import { Bag, DatumError, encode, freeze, report, say } from "./support.js";

const CODE = "invalidEntity";
// The engine's own fields: middleware cannot change them.
export const OWN = ["id", "userId", "spaceId", "createdAt", "modifiedAt", "version", "isDeleted"];
const KINDS = ["validate", "beforeSave", "afterRead"];
const OPENED = "What `afterRead` returned";
// The most entities that are remembered as already reported, after they could not be read.
const MOST_TOLD = 1000;

/**
 * Returns the middleware of an entity type, from the live part of its config; undefined if it has
 * none.
 */
export function makeMiddleware(entity, given) {
  const steps = { validate: [], beforeSave: [], afterRead: [] };
  const place = `entities.${entity}`;
  const take = (from, at) => {
    let found = 0;
    for (const kind of KINDS) {
      const run = from[kind];
      if (run === undefined || run === null) continue;
      if (typeof run !== "function") refuse(`${at}.${kind}`, "must be a function.");
      found += 1;
      const step = { run, from, name: `${at}.${kind}` };
      if (kind === "afterRead") steps[kind].unshift(step);
      else steps[kind].push(step);
    }
    return found;
  };
  let found = take(given, place);
  const chain = given.middleware ?? [];
  if (!Array.isArray(chain)) refuse(`${place}.middleware`, "must be an array of objects such as { beforeSave, afterRead }.");
  for (const [index, item] of chain.entries()) {
    const at = `${place}.middleware[${index}]`;
    let own = 0;
    try {
      own = typeof item === "object" && item !== null ? take(item, at) : 0;
    } catch (cause) {
      if (cause instanceof DatumError) throw cause;
      refuse(at, `could not be read: ${say(cause)}`, cause);
    }
    if (own === 0) refuse(at, "must be an object with a function `validate`, `beforeSave` or `afterRead`.");
    found += own;
  }
  return found === 0 ? undefined : new Middleware(entity, steps);
}

class Middleware {
  #entity;
  #steps;
  #told = new Set();
  /** The names of relations: what an app has read along is not given to its functions, nor stored. */
  #relations = [];

  constructor(entity, steps) {
    this.#entity = entity;
    this.#steps = steps;
  }

  setRelations(relations) {
    // The keys of others are not fields of this type.
    const keys = Object.values(relations).map((relation) => relation?.belongsTo && relation.foreignKey);
    this.#relations = Object.keys(relations).filter((name) => !keys.includes(name));
  }

  save(value, what) {
    return this.#saved(this.take(value, what), what);
  }

  saveMany(values, what) {
    const length = this.#guard(undefined, what, () => (Array.isArray(values) ? values.length : undefined));
    if (length === undefined) throw this.#error(`${what} must be an array.`);
    const texts = [];
    for (let i = 0; i < length; i++) {
      const place = `${what}: \`[${i}]\``;
      texts.push(this.save(this.#guard(undefined, place, () => values[i]), place));
    }
    return texts.join("\n");
  }

  merged(value, what) {
    return this.#before(this.take(value, what), what);
  }

  /**
   * Returns a copy that keeps dates and the like, because `beforeSave` may convert them to JSON.
   */
  take(value, what) {
    const taken = this.#guard(undefined, what, () =>
      typeof value === "object" && value !== null ? (isPlain(value) ? copy(value, 0) : JSON.parse(encode(value, CODE, what, true))) : value,
    );
    if (!isObject(taken)) throw this.#error(`${what} must be an object.`);
    for (const name of this.#relations) if (Object.hasOwn(taken, name) && typeof taken[name] === "object") delete taken[name];
    return taken;
  }

  /**
   * Returns the changes to write, and the names of the fields that they remove, for the text of the
   * stored entity.
   */
  patch(stored, changes, removed) {
    const what = "The changes";
    const asGiven = () => ({ text: this.#text(changes, what), removed });
    if (stored === undefined) return asGiven();
    const kept = JSON.parse(stored);
    // The engine rejects this with its own message.
    if (changes.id !== undefined && changes.id !== kept.id) return asGiven();
    const own = pick(kept);
    const entity = this.#guard(kept.id, OPENED, () => {
      const opened = this.#opened(JSON.parse(stored));
      const target = isPlain(opened) || Object.isFrozen(opened) ? { ...opened } : opened;
      assign(target, changes);
      for (const name of removed) if (!OWN.includes(name)) delete target[name];
      return assign(target, own);
    });
    if (this.#steps.beforeSave.length === 0) {
      this.#validate(entity);
      return asGiven();
    }
    const made = JSON.parse(this.#saved(entity, what));
    const fields = pick(changes);
    for (const key of Object.keys(made)) {
      const isSame = Object.hasOwn(kept, key) && JSON.stringify(made[key]) === JSON.stringify(kept[key]);
      if (!OWN.includes(key) && !isSame) fields[key] = made[key];
    }
    return { text: JSON.stringify(fields), removed: Object.keys(kept).filter((key) => !Object.hasOwn(made, key) && !OWN.includes(key)) };
  }

  read(text) {
    const entity = JSON.parse(text);
    if (this.#steps.afterRead.length === 0 || entity === null) return freeze(entity);
    return this.#readAll([entity], () => [JSON.parse(text)])[0];
  }

  readMany(text) {
    return this.#readAll(JSON.parse(text), () => JSON.parse(text));
  }

  conflict(text) {
    const conflict = JSON.parse(text);
    for (const side of ["base", "local", "remote"]) {
      if (conflict[side] !== null) conflict[side] = this.#guard(conflict.entityId, OPENED, () => this.#opened(conflict[side]));
    }
    return freezeAll(conflict);
  }

  /**
   * Reads entities. A bad one must not hide the others: it is returned as it is stored, and
   * reported once.
   */
  #readAll(entities, again) {
    let stored;
    let first;
    let failed = 0;
    for (let i = 0; i < entities.length; i++) {
      const { id } = entities[i];
      try {
        entities[i] = this.#guard(id, OPENED, () => freezeAll(this.#opened(entities[i])));
      } catch (error) {
        // `afterRead` may have changed it before it threw.
        stored ??= again();
        entities[i] = freeze(stored[i]);
        failed += 1;
        if (this.#told.has(id)) continue;
        if (this.#told.size < MOST_TOLD) this.#told.add(id);
        first ??= error;
      }
    }
    if (first !== undefined) {
      first.message += failed === 1 ? " The entity is given as it is stored." : ` ${failed} entities are given as they are stored.`;
      report(first);
    }
    return entities;
  }

  #opened(entity) {
    const own = pick(entity);
    let value = entity;
    for (const step of this.#steps.afterRead) value = this.#ask(step, value, own.id);
    for (const key of Object.keys(own)) {
      if (value[key] !== own[key]) return Object.isFrozen(value) ? { ...value, ...own } : Object.assign(value, own);
    }
    return value;
  }

  /** Returns the text to store for an entity. */
  #saved(entity, what) {
    this.#validate(entity);
    return this.#before(entity, what);
  }

  #validate(entity) {
    const steps = this.#steps.validate;
    if (steps.length === 0) return;
    const seen = freezeAll(copy(entity, 0));
    for (const step of steps) this.#call(step, seen, entity.id, "refused the entity");
  }

  #before(entity, what) {
    const own = pick(entity);
    let value = entity;
    let maker = what;
    for (const step of this.#steps.beforeSave) {
      value = this.#ask(step, value, own.id);
      maker = `What \`${step.name}\` returned`;
    }
    if (maker !== what) {
      value = this.#guard(own.id, maker, () => {
        const saved = isPlain(value) ? { ...value } : JSON.parse(this.#text(value, maker));
        for (const key of OWN) delete saved[key];
        return Object.assign(saved, own);
      });
    }
    return this.#text(value, maker);
  }

  /** Runs what reads an object of the app, whose getters and proxies may throw. */
  #guard(id, what, read) {
    try {
      return read();
    } catch (cause) {
      throw cause instanceof DatumError ? this.#about(cause) : this.#error(`${what} could not be read: ${say(cause)}`, cause, id);
    }
  }

  /** Returns the entity that a function returns. */
  #ask(step, entity, id) {
    const answer = this.#call(step, entity, id, "threw");
    if (isObject(answer)) return answer;
    const got = Array.isArray(answer) ? "an array" : answer === null || answer === undefined ? String(answer) : `a ${typeof answer}`;
    throw this.#error(`\`${step.name}\` returned ${got}; it must return the entity.`, undefined, id);
  }

  #call(step, entity, id, did) {
    let answer;
    try {
      answer = step.run.call(step.from, entity);
      if (typeof answer?.then !== "function") return answer;
      // Nobody waits for the promise, so ignore its rejection.
      answer.then(undefined, () => {});
    } catch (cause) {
      throw this.#error(`\`${step.name}\` ${did}: ${say(cause)}`, cause, id);
    }
    throw this.#error(`\`${step.name}\` returned a promise; it must be synchronous. Do what takes time before the call.`, undefined, id);
  }

  #text(value, what) {
    try {
      return encode(value, CODE, what, true);
    } catch (error) {
      throw this.#about(error);
    }
  }

  #error(message, cause, id) {
    return new DatumError(CODE, message, { cause, entity: this.#entity, entityId: typeof id === "string" ? id : undefined });
  }

  #about(error) {
    error.entity ??= this.#entity;
    return error;
  }
}

function refuse(field, problem, cause) {
  throw new DatumError("invalidConfig", `\`${field}\` ${problem}`, { cause });
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Returns the engine's own fields that an entity has. */
function pick(entity) {
  const own = new Bag();
  for (const key of OWN) if (entity[key] !== undefined) own[key] = entity[key];
  return own;
}

/**
 * Sets fields of an entity and returns it: by setters of its class, but never by what every object
 * inherits, such as `__proto__`.
 */
function assign(entity, fields) {
  for (const key of Object.keys(fields)) {
    if (key in Object.prototype) Object.defineProperty(entity, key, { value: fields[key], configurable: true, enumerable: true, writable: true });
    else entity[key] = fields[key];
  }
  return entity;
}

/**
 * Copies plain objects and arrays, down to the depth at which JSON text is refused; shares the
 * rest.
 */
function copy(value, depth) {
  if (typeof value !== "object" || value === null || depth > 100) return value;
  if (Array.isArray(value)) return value.map((item) => copy(item, depth + 1));
  if (!isPlain(value)) return value;
  const entries = Object.keys(value).map((key) => [key, value[key]]);
  // Absent and undefined mean the same in an entity. `fromEntries` makes `__proto__` an ordinary
  // key.
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined).map(([key, item]) => [key, copy(item, depth + 1)]));
}

/**
 * Freezes the result of an app's function: an entity of any class, with its arrays and plain
 * objects.
 */
function freezeAll(value) {
  const stack = [value];
  for (let object = stack.pop(); object !== undefined; object = stack.pop()) {
    // Frozen values may contain cycles.
    if (Object.isFrozen(object)) continue;
    Object.freeze(object);
    for (const key of Object.keys(object)) {
      const item = object[key];
      if (typeof item === "object" && item !== null && (Array.isArray(item) || isPlain(item))) stack.push(item);
    }
  }
  return value;
}
