// A store on the app's own PostgreSQL, under the SQL kit: each request is one transaction, in which the kit's function decides as the user.

import { clientOf, type Postgres, type PostgresClient, type Query } from "./postgres-client.js";
import { failure, SetupError } from "./postgres-failure.js";
import { broken, refusal, SyncError, type SyncReply, type SyncRequest, type SyncStore } from "./store.js";

export type { PostgresClient } from "./postgres-client.js";

/** The options of {@link postgresStore}. */
export interface PostgresStoreOptions {
  /** The role that requests run as, which your policies are about. `authenticated` if absent, as on Supabase. */
  role?: string;
  /** Whether to hear of writes of other processes by LISTEN. True if absent; false behind a pooler in transaction mode, which cannot. */
  listen?: boolean;
}

/** The kit that this store knows. */
const KIT = 1;
const DEFAULT_WAIT = 25_000;
const CANNOT_STORE = "The server cannot store anything at present; try again later.";
const LIMITS = { maxOperations: 10_000, maxPageRows: 10_000, maxPageBytes: 4 << 20, maxEntityBytes: 1 << 20, maxBodyBytes: 16 << 20, maxWaitMs: DEFAULT_WAIT };

/**
 * Keeps rows where the SQL kit (`datum-sync/supabase/datum.sql`) puts them: in your tables that you attach to sync, and in documents. `client` is a
 * `Pool` or a connected `Client` of `pg`, or what `postgres()` returns.
 */
export function postgresStore(client: PostgresClient, options: PostgresStoreOptions = {}): SyncStore {
  const { role = "authenticated", listen = true, ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new TypeError(`postgresStore: there is no option \`${unknown}\`.`);
  if (typeof role !== "string" || role === "") throw new TypeError("postgresStore: `role` must be the name of a role.");
  return new PostgresStore(clientOf(client), role, listen);
}

class PostgresStore implements SyncStore {
  #checked: Promise<void> | undefined;

  constructor(
    private readonly postgres: Postgres,
    private readonly role: string,
    private readonly mayListen: boolean,
  ) {}

  answer(request: SyncRequest): Promise<SyncReply> {
    return this.#failing(async () => {
      const path = request.target.split("?", 1)[0]?.slice("/sync/v1".length);
      switch (`${request.method} ${path}`) {
        case "POST /pull":
          return { status: 200, ...(await this.#pull(request)) };
        case "POST /push":
          return { status: 200, ...(await this.#push(request)) };
        case "GET /metadata":
        case "PUT /metadata":
        case "DELETE /metadata":
          return { status: 200, body: await this.#call("datum_metadata", request, metadataRequest(request), request.method !== "GET") };
        case "GET /health":
          return this.health(request.now);
        case "GET /info":
          return { status: 200, body: await this.#info(request) };
      }
      const isKnown = ["/pull", "/push", "/metadata", "/health", "/info", "/stream"].includes(path ?? "");
      if (isKnown) return refusal(405, "methodNotAllowed", `/sync/v1${path} does not answer ${request.method}.`);
      return refusal(404, "notFound", `There is nothing at /sync/v1${path}; the protocol lives under /sync/v1.`);
    });
  }

  health(now: number): Promise<SyncReply> {
    return this.#failing(async () => {
      const { serverId, epoch, readOnly } = await this.#server({});
      if (readOnly) return refusal(503, "storageFailed", CANNOT_STORE, { retryAfterMs: 5_000 });
      return { status: 200, body: JSON.stringify({ status: "ok", protocol: [1], serverTime: new Date(now).toISOString(), serverId, epoch }) };
    });
  }

  waitMs(body: Uint8Array): number {
    try {
      const { waitMs } = JSON.parse(new TextDecoder().decode(body)) as { waitMs?: unknown };
      return typeof waitMs === "number" && waitMs > 0 ? Math.min(waitMs, DEFAULT_WAIT) : 0;
    } catch {
      return 0;
    }
  }

  listen(hint: (userId: string | "all") => void): () => void {
    // The kit says `u:` and the user, or the id of a shared space, whose members only its own query knows.
    return this.mayListen ? this.postgres.listen("datum_hint", (space) => hint(space.startsWith("u:") ? space.slice(2) : "all")) : () => {};
  }

  async #pull(request: SyncRequest) {
    const body = await this.#call("datum_pull", request, textOf(request.body), false);
    // The page is passed on as it is. Only one that may wait is looked at.
    const isIdle = this.waitMs(request.body) > 0 && isEmpty(body, request);
    return { body, idle: isIdle };
  }

  async #push(request: SyncRequest) {
    const text = textOf(request.body);
    const body = await this.#call("datum_push", request, storable(text), true);
    const { results = [] } = JSON.parse(body) as { results?: { status?: string; replayed?: boolean }[] };
    const changed = results.some(({ status, replayed }) => status === "applied" && replayed !== true);
    // Who is in a shared space, only the app's own query knows.
    return { body, changed, ...(changed && /"(space|to)"\s*:\s*"/.test(text) ? { others: "all" as const } : {}) };
  }

  async #info({ claims, userId, now }: SyncRequest): Promise<string> {
    const { serverId, epoch } = await this.#server({ ...claims, sub: userId });
    return JSON.stringify({
      protocol: [1],
      serverId,
      epoch,
      serverTime: new Date(now).toISOString(),
      entities: null,
      minSchema: 0,
      limits: LIMITS,
      features: { stream: true, gzipRequests: true, digests: true, scopes: ["where"], spaces: true },
      retention: { tombstoneDays: 90, operationDays: 30 },
    });
  }

  async #server(claims: object): Promise<{ serverId: string; epoch: string; readOnly: boolean }> {
    const query = "select s.server_id, s.epoch, pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as read_only from datum.server_row() s";
    const [row] = await this.#as(claims, (run) => run(query, []));
    return { serverId: String(row?.["server_id"]), epoch: String(row?.["epoch"]), readOnly: row?.["read_only"] === true };
  }

  /** Runs a function of the kit as the user, and returns its JSON. */
  async #call(name: string, { claims, userId }: SyncRequest, body: string, writes: boolean): Promise<string> {
    // As text first: some clients would write a string as JSON once more.
    const ask = (run: Query) => run(`select public.${name}($1::text::json)::text as reply`, [body]);
    const [row] = await this.#as({ ...claims, sub: userId }, ask, writes);
    return String(row?.["reply"]);
  }

  async #as<R>(claims: object, work: (run: Query) => Promise<R>, writes = false): Promise<R> {
    await this.#check();
    return this.postgres.transaction(async (run) => {
      const all = JSON.stringify({ role: this.role, ...claims });
      const become = "select set_config('request.jwt.claims', $1, true), set_config('role', $2, true), current_setting('transaction_read_only')::boolean as read_only";
      const [row] = await run(become, [all, this.role]);
      // A replica, or a database that was frozen: the kit would refuse each operation for good.
      if (writes && row?.["read_only"] === true) throw new SyncError(503, "storageFailed", CANNOT_STORE, 5_000);
      return work(run);
    });
  }

  /** Finds out once whether the database has what is needed; the next request tries again if it has not. */
  #check(): Promise<void> {
    this.#checked ??= this.#look().catch((error: unknown) => {
      this.#checked = undefined;
      throw error;
    });
    return this.#checked;
  }

  async #look(): Promise<void> {
    const query = `select to_regprocedure('public.datum_pull(json)') is not null as kit, to_regrole($1) is not null as role,
      coalesce((select pg_has_role(r.oid, 'member') from pg_roles r where r.rolname = $1), false) as member`;
    await this.postgres.transaction(async (run) => {
      const [row] = await run(query, [this.role]);
      if (row?.["kit"] !== true) throw new SetupError("postgresStore: this database has no sync. Run node_modules/datum-sync/supabase/datum.sql in it, as the role that owns your tables.");
      if (row["role"] !== true) throw new SetupError(`postgresStore: there is no role "${this.role}". Create it before datum.sql runs (create role ${this.role} nologin), or name yours as \`role\`.`);
      if (row["member"] !== true) throw new SetupError(`postgresStore: the role that connects may not become "${this.role}": grant ${this.role} to it.`);
      // Its own rights: other roles may not ask.
      const [version] = await run("select case when has_schema_privilege('datum', 'usage') and has_function_privilege('datum.version()', 'execute') then datum.version() end as version", []);
      const major = Number.parseInt(String(version?.["version"] ?? KIT), 10);
      if (major > KIT) throw new SetupError(`postgresStore: the database has the SQL kit ${String(version?.["version"])}, which is later than this package knows. Update datum-sync.`);
    });
  }

  /** Turns what PostgreSQL says into an answer. */
  async #failing(work: () => Promise<SyncReply>): Promise<SyncReply> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof SyncError) throw error;
      return failure(error) ?? broken(error);
    }
  }
}

/** Whether a page says nothing: no rows, and no news of spaces. */
function isEmpty(body: string, request: SyncRequest): boolean {
  const page = JSON.parse(body) as { changes?: unknown[] | null; more?: boolean; spaces?: unknown; starts?: unknown[] | null };
  const { cursor } = JSON.parse(textOf(request.body)) as { cursor?: unknown };
  return typeof cursor === "string" && page.more !== true && (page.changes ?? []).length === 0 && (page.starts ?? []).length === 0 && (page.spaces ?? null) === null;
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new SyncError(400, "badRequest", "The body is not UTF-8.");
  }
}

/**
 * PostgreSQL refuses JSON with half a surrogate pair before the kit sees it, and would refuse all operations for one. As U+0000 it fails its
 * operation alone.
 */
function storable(text: string): string {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return text;
  return text.replace(/\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\./gs, (found) => (/^\\u[dD][89a-fA-F]..$/.test(found) ? "\\u0000" : found));
}

/** The request of `datum_metadata` that stands for GET, PUT or DELETE. */
function metadataRequest({ method, target, body }: SyncRequest): string {
  if (method === "PUT") {
    const record = textOf(body);
    try {
      JSON.parse(record);
    } catch (cause) {
      throw new SyncError(400, "badRequest", `The body is not a record: ${String(cause)}.`);
    }
    return `{"do":"put","digests":true,"record":${record}}`;
  }
  const userId = new URLSearchParams(target.split("?")[1] ?? "").get("userId");
  return JSON.stringify({ do: method === "GET" ? "get" : "clear", digests: true, ...(userId === null ? {} : { userId }) });
}
