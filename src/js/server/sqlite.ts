// A store on the app's own connection to SQLite: `node:sqlite` or better-sqlite3. Both are synchronous, so a request is one transaction
// that nothing comes between.

import { loadRules } from "./module.js";
import type { Database } from "./rules.js";
import { RulesStore, randomHex, settings, type RulesOptions } from "./rules-store.js";

/** A statement of either library. */
interface Statement {
  run(values: object): { changes: number | bigint };
  all(values: object): object[];
  iterate?(values: object): Iterable<object>;
  /** better-sqlite3. */
  safeIntegers?(on: boolean): unknown;
  /** `node:sqlite`. */
  setReadBigInts?(on: boolean): unknown;
}

/** What is needed of a connection: a `DatabaseSync` of `node:sqlite`, or a `Database` of better-sqlite3. */
export interface SqliteDatabase {
  exec(statements: string): unknown;
  prepare(statement: string): unknown;
}

/** The low byte of SQLite's result codes, by the names that better-sqlite3 gives. */
const CODES: Record<string, number> = { BUSY: 5, LOCKED: 6, NOMEM: 7, READONLY: 8, IOERR: 10, CORRUPT: 11, FULL: 13, CANTOPEN: 14 };

/**
 * Keeps everything in an SQLite database of its own, in the format of `datum-server`: either can be replaced by the other. Several processes on
 * one machine may share the file. The connection gets write-ahead logging, and syncs each commit to the disk.
 */
export function sqliteStore(database: SqliteDatabase, options: RulesOptions = {}): RulesStore {
  if (typeof database?.exec !== "function" || typeof database.prepare !== "function") {
    throw new TypeError("sqliteStore needs an open database of node:sqlite (`new DatabaseSync(file)`) or better-sqlite3 (`new Database(file)`).");
  }
  const config = settings("sqliteStore", options);
  return new RulesStore(async () => {
    const [{ Rules }, epoch] = await Promise.all([loadRules(options.module), randomHex(16)]);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000");
    try {
      return Rules.sqlite(config, new Connection(database), epoch);
    } catch (cause) {
      throw new Error(`sqliteStore: the database cannot be used: ${cause instanceof Error ? cause.message : String(cause)}.`, { cause });
    }
  });
}

class Connection implements Database {
  #statements = new Map<string, Statement>();
  #isOpen = false;

  constructor(private readonly database: SqliteDatabase) {}

  begin(writes: boolean): void {
    // A request that ended in the middle, by a fault of ours, must not hold up all others.
    if (this.#isOpen) this.rollback();
    // Not deferred: SQLite refuses the first write of a transaction that has read before another one committed.
    this.script(writes ? "BEGIN IMMEDIATE" : "BEGIN");
    this.#isOpen = true;
  }

  commit(): void {
    this.script("COMMIT");
    this.#isOpen = false;
  }

  rollback(): void {
    this.#isOpen = false;
    this.script("ROLLBACK");
  }

  script(statements: string): void {
    attempt(() => this.database.exec(statements));
  }

  run(statement: string, values: unknown[]): number {
    return attempt(() => Number(this.#prepared(statement).run(named(values)).changes));
  }

  each(query: string, values: unknown[], take: (row: unknown[]) => boolean): void {
    attempt(() => {
      const statement = this.#prepared(query);
      const rows = statement.iterate?.(named(values)) ?? statement.all(named(values));
      for (const row of rows) if (!take(Object.values(row))) break;
    });
  }

  #prepared(text: string): Statement {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = this.database.prepare(text) as Statement;
    // Sums of digests have 64 bits.
    statement.safeIntegers?.(true);
    statement.setReadBigInts?.(true);
    this.#statements.set(text, statement);
    return statement;
  }
}

/** Both libraries take `?1` for a parameter of the name 1. */
const named = (values: unknown[]) => Object.fromEntries(values.map((value, place) => [place + 1, value]));

/** Runs something, whose error gets SQLite's result code as `resultCode`. */
function attempt<R>(work: () => R): R {
  try {
    return work();
  } catch (error) {
    const { code, errcode, message } = error as { code?: unknown; errcode?: unknown; message?: unknown };
    const family = typeof code === "string" ? (/^SQLITE_([A-Z]+)/.exec(code)?.[1] ?? "") : "";
    const resultCode = typeof errcode === "number" ? errcode : CODES[family];
    throw Object.assign(new Error(`SQLite: ${String(message ?? error)}`, { cause: error }), { resultCode });
  }
}
