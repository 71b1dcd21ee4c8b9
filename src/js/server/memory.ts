// A store in memory, which may keep a journal.

import { loadRules } from "./module.js";
import { RulesStore, randomHex, settings, type RulesOptions } from "./rules-store.js";

/** The options of {@link memoryStore}. */
export interface MemoryStoreOptions extends RulesOptions {
  /** The server's id, a UUID. A new one if absent. */
  serverId?: string;
  /** The name of the history. A new one if absent: what devices have pulled before, they pull again. */
  epoch?: string;
  /** Where the store is read from and what is written is kept. */
  journal?: SyncJournal;
}

/** Lines of text that survive the process. */
export interface SyncJournal {
  /** The lines that are there when the process starts, in order. */
  lines: Iterable<string>;
  /** Makes a line durable before it returns; throws if it cannot. */
  append(line: string): void;
  /** Throws if nothing could be kept at present: `GET /health` is 503 then. Without it, health says nothing of the journal. */
  check?(): void | Promise<void>;
}

/** A line of a journal that cannot be read. */
export class JournalError extends Error {
  override readonly name = "JournalError";
  constructor(
    /** Its number, from 1. */
    readonly line: number,
    cause: unknown,
  ) {
    super(`Line ${line} of the journal cannot be read.`, { cause });
  }
}

/** A random UUID of 32 digits. */
const uuid = (hex: string) => [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20)].join("-");

/** Keeps everything in memory: for development and tests, in one process. */
export function memoryStore(options: MemoryStoreOptions = {}): RulesStore {
  const config = settings("memoryStore", options, ["serverId", "epoch", "journal"]);
  const { serverId, epoch, journal, module } = options;
  if (![serverId, epoch].every((name) => name === undefined || (typeof name === "string" && name !== ""))) throw new TypeError("memoryStore: `serverId` and `epoch` must be text.");
  if (journal !== undefined && typeof journal.append !== "function") throw new TypeError("memoryStore: `journal` must have `lines` and `append`.");
  const open = async () => {
    const { Rules } = await loadRules(module);
    const rules = Rules.memory(config, serverId ?? uuid(await randomHex(16)), epoch ?? (await randomHex(16)), journal && ((line) => journal.append(line)));
    let number = 0;
    for (const line of journal?.lines ?? []) {
      number++;
      try {
        rules.replay(line);
      } catch (error) {
        throw new JournalError(number, error);
      }
    }
    return rules;
  };
  return new RulesStore(open, () => journal?.check?.());
}
