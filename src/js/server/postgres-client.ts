// The app's own client of PostgreSQL: `pg` or `postgres`.

import { after } from "./timers.js";

/** What is needed of a client: a `Pool` or a connected `Client` of `pg`, or what `postgres()` returns. */
export type PostgresClient = PgPool | PgClient | PostgresJs;

/** A `Pool` of `pg`. */
export interface PgPool {
  connect(): Promise<PgPooled>;
  readonly totalCount: number;
  readonly options?: { max?: number | undefined };
}
/** A client of a pool. */
export interface PgPooled extends PgClient {
  release(error?: Error | boolean): unknown;
}
/** A `Client` of `pg`. */
export interface PgClient {
  query(text: string, values?: any[]): Promise<{ rows: any[] }>;
  on?(event: string, listener: (...given: any[]) => void): unknown;
  off?(event: string, listener: (...given: any[]) => void): unknown;
}
/** What `postgres()` returns. */
export interface PostgresJs {
  begin(work: (sql: any) => any): Promise<any>;
  listen(channel: string, hear: (payload: string) => void): PromiseLike<{ unlisten(): Promise<void> }>;
}

/** @internal Runs a statement and returns its rows. */
export type Query = (text: string, values: unknown[]) => Promise<Record<string, unknown>[]>;

/** @internal */
export interface Postgres {
  /** Runs statements in one transaction, which ends without effect if `work` fails. */
  transaction<R>(work: (run: Query) => Promise<R>): Promise<R>;
  /** Hears what is notified on a channel, until the returned function is called. */
  listen(channel: string, hear: (payload: string) => void): () => void;
}

/** @internal */
export function clientOf(client: PostgresClient): Postgres {
  const given = client as Partial<PgPooled & PgPool & PostgresJs> | null | undefined;
  if (typeof given?.begin === "function") return new OfPostgres(client as PostgresJs);
  if (typeof given?.connect === "function" && typeof given.totalCount === "number") return new OfPool(client as PgPool);
  if (typeof given?.query === "function") return new OfClient(client as PgClient);
  throw new TypeError("postgresStore needs a Pool or a connected Client of pg, or what postgres() returns.");
}

/** A connection whose transaction may not have ended. */
class Unusable extends Error {
  constructor(readonly reason: unknown) {
    super("The connection cannot be used any more.");
  }
}

async function transaction<R>(client: PgClient, work: (run: Query) => Promise<R>): Promise<R> {
  try {
    await client.query("begin");
  } catch (error) {
    throw new Unusable(error);
  }
  try {
    const result = await work(async (text, values) => (await client.query(text, values)).rows as Record<string, unknown>[]);
    await client.query("commit");
    return result;
  } catch (error) {
    try {
      await client.query("rollback");
    } catch {
      // What failed first says more than the rollback on a connection that is gone.
      throw new Unusable(error);
    }
    throw error;
  }
}

const ignore = () => {};

class OfPool implements Postgres {
  constructor(private readonly pool: PgPool) {}

  async transaction<R>(work: (run: Query) => Promise<R>): Promise<R> {
    const client = await this.pool.connect();
    let isUnusable = false;
    // A connection that breaks tells its queries, and everybody else by an event that ends the process if nobody listens.
    client.on?.("error", ignore);
    try {
      return await transaction(client, work);
    } catch (error) {
      isUnusable = error instanceof Unusable;
      throw error instanceof Unusable ? error.reason : error;
    } finally {
      if (!isUnusable) client.off?.("error", ignore);
      client.release(isUnusable);
    }
  }

  listen(channel: string, hear: (payload: string) => void): () => void {
    // The only connection is for requests, which would wait for ever.
    if ((this.pool.options?.max ?? 10) < 2) return () => {};
    let stopped = false;
    let release = () => {};
    let cancel = () => {};
    let wait = 1_000;
    const again = () => {
      release();
      release = () => {};
      if (stopped) return;
      cancel = after(wait, () => void connect());
      wait = Math.min(wait * 2, 60_000);
    };
    const connect = async () => {
      try {
        const client = await this.pool.connect();
        release = once(() => client.release(true));
        if (stopped) return release();
        client.on?.("error", again);
        client.on?.("notification", ({ channel: on, payload = "" }: { channel: string; payload?: string }) => {
          if (on === channel && !stopped) hear(payload);
        });
        await client.query(`listen ${channel}`);
        wait = 1_000;
      } catch {
        // The database is away: requests say so, and streams go on with what this process writes.
        again();
      }
    };
    void connect();
    return () => {
      stopped = true;
      cancel();
      release();
    };
  }
}

const once = (call: () => unknown) => {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    call();
  };
};

/** One connection: transactions take turns. */
class OfClient implements Postgres {
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly client: PgClient) {}

  transaction<R>(work: (run: Query) => Promise<R>): Promise<R> {
    const turn = this.#last.then(() => transaction(this.client, work));
    this.#last = turn.catch(() => {});
    return turn.catch((error: unknown) => {
      throw error instanceof Unusable ? error.reason : error;
    });
  }

  listen(): () => void {
    return () => {};
  }
}

class OfPostgres implements Postgres {
  constructor(private readonly sql: PostgresJs) {}

  transaction<R>(work: (run: Query) => Promise<R>): Promise<R> {
    return this.sql.begin((sql: { unsafe(text: string, values: unknown[]): PromiseLike<Iterable<Record<string, unknown>>> }) =>
      work(async (text, values) => [...(await sql.unsafe(text, values))]),
    ) as Promise<R>;
  }

  listen(channel: string, hear: (payload: string) => void): () => void {
    // It connects again by itself.
    const listening = Promise.resolve(this.sql.listen(channel, hear)).catch(() => undefined);
    return () => void listening.then((on) => on?.unlisten()).catch(() => {});
  }
}
