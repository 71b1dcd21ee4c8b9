// A store over the rules in WebAssembly.

import type { Rules } from "./module.js";
import { broken, refusal, type SyncFailure, type SyncReply, type SyncRequest, type SyncStore } from "./store.js";

/** Settings of the rules. The defaults are those of PROTOCOL.md. */
export interface RulesOptions {
  /** The entity types that may be written. Any, if absent. */
  entities?: readonly string[];
  /** The oldest schema version of the app that may sync. */
  minSchema?: number;
  /** How long tombstones are kept, in days. 90 if absent. */
  tombstoneDays?: number;
  /** How long applied operations are remembered, in days. 30 if absent. */
  operationDays?: number;
  /** The size after which a page of changes ends, in bytes. 4 MiB if absent. */
  maxPageBytes?: number;
  /** The WebAssembly module, where the runtime cannot read it beside the JavaScript. */
  module?: WebAssembly.Module | BufferSource;
}

const DAY = 86_400_000;
const NUMBERS = ["minSchema", "tombstoneDays", "operationDays", "maxPageBytes"] as const;

/** @internal Returns the rules' settings as JSON, or throws with the name of the option that is wrong. */
export function settings(what: string, options: RulesOptions, others: readonly string[] = []): string {
  if (typeof options !== "object" || options === null) throw new TypeError(`${what}: the options must be an object.`);
  const known = [...NUMBERS, "entities", "module", ...others];
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`${what}: there is no option \`${unknown}\`.`);
  const { entities, minSchema, tombstoneDays, operationDays, maxPageBytes } = options;
  for (const name of NUMBERS) {
    const least = name === "minSchema" ? 0 : 1;
    const value = options[name];
    if (value !== undefined && !(Number.isInteger(value) && value >= least && value < 2 ** 31)) throw new TypeError(`${what}: \`${name}\` must be a whole number from ${least} on.`);
  }
  if (entities !== undefined && !(Array.isArray(entities) && entities.every((name) => typeof name === "string" && name !== ""))) {
    throw new TypeError(`${what}: \`entities\` must be a list of names.`);
  }
  return JSON.stringify({
    entities,
    minSchema,
    maxPageBytes,
    tombstoneRetentionMs: tombstoneDays === undefined ? undefined : tombstoneDays * DAY,
    operationMemoryMs: operationDays === undefined ? undefined : operationDays * DAY,
  });
}

/** @internal Returns random bytes in hexadecimal. Node 18 has no global `crypto`. */
export async function randomHex(bytes: number): Promise<string> {
  // Not by a literal: bundlers for the edge refuse Node's modules.
  const name = "node:crypto" as string;
  const { crypto = ((await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as { webcrypto: Crypto }).webcrypto } = globalThis as { crypto?: Crypto };
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A store whose rules are opened with the first request. */
export class RulesStore implements SyncStore {
  #rules: Promise<Rules> | undefined;

  /** @internal */
  constructor(
    private readonly opening: () => Promise<Rules>,
    /** Throws if nothing can be kept at present. */
    private readonly check: () => void = () => {},
  ) {}

  /** Opens the store, which the first request does otherwise: so that an app fails at once if it cannot be used. */
  async open(): Promise<void> {
    await this.rules();
  }

  /** @internal */
  rules(): Promise<Rules> {
    this.#rules ??= this.opening().catch((error: unknown) => {
      // The next request tries again.
      this.#rules = undefined;
      throw error;
    });
    return this.#rules;
  }

  async answer({ userId, method, target, body, now }: SyncRequest): Promise<SyncReply> {
    return read((await this.rules()).answer(userId, method, target, body, now));
  }

  async health(now: number): Promise<SyncReply> {
    const rules = await this.rules();
    try {
      await this.check();
    } catch (cause) {
      return refusal(503, "storageFailed", "The server cannot store anything at present; try again later.", { retryAfterMs: 5_000, cause });
    }
    return read(rules.health(now));
  }

  async waitMs(body: Uint8Array): Promise<number> {
    return (await this.rules()).waitMs(body);
  }

  async sweep(now: number): Promise<void> {
    const failed = (await this.rules()).sweep(now);
    if (failed !== undefined) throw new Error((JSON.parse(failed) as SyncFailure).message, { cause: failed });
  }

  /** Gives the history a new name, after a backup was restored: each device pulls again from the start. */
  async newEpoch(): Promise<void> {
    (await this.rules()).setEpoch(await randomHex(16));
  }

  /** @internal For tests of the protocol: forgets all tombstones, or all applied operations. */
  async forget(what: "tombstones" | "operations"): Promise<void> {
    (await this.rules()).forget(what === "operations");
  }
}

interface Head extends SyncReply, Partial<SyncFailure> {}

function read([text, body]: [string, Uint8Array<ArrayBuffer>?]): SyncReply {
  const head = JSON.parse(text) as Head;
  if (body !== undefined) return { ...head, body };
  const { status, code, message, retryAfterMs = null, cause } = head;
  return code === undefined || message === undefined ? broken(text) : { status, failure: { code, message, retryAfterMs, cause } };
}
