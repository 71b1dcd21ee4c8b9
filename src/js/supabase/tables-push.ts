import { DatumError, type Json, type PushReply, type PushRequest, type PushVerdict, type PushedOperation } from "datum-sync";
import type { Builder, Client } from "./client.js";
import { isSame, type Mapping, type Row } from "./columns.js";
import type { Answer } from "./exchange.js";
import { errorBody, failure, reply } from "./failure.js";
import type { Account } from "./session.js";

/** How many rows are written at once. */
const WIDTH = 4;
/** How long an operation rests that its table cannot take: the schema has to change. */
const SCHEMA_WAIT_MS = 30_000;
const REJECTIONS: Record<string, string> = { "23502": "notNull", "23503": "foreignKey", "23505": "unique", "23514": "check", "42501": "forbidden", P0001: "refused" };
const SCHEMA = new Set(["42P01", "42703", "PGRST200", "PGRST204", "PGRST205"]);

/** What decides one operation, without its id. */
type Outcome = PushVerdict extends infer V ? (V extends PushVerdict ? Omit<V, "opId"> : never) : never;

/** Writes rows one by one, each only if its version is the one that the device has seen. */
export class Pusher {
  /** How far the server's clock is ahead of this one, in milliseconds. */
  #ahead = 0;

  constructor(
    private client: Client,
    private account: Account,
    private mappings: ReadonlyMap<string, Mapping>,
  ) {}

  async push({ userId, operations }: PushRequest, signal: AbortSignal): Promise<PushReply> {
    const verdicts = new Map<string, Outcome>();
    let lost: unknown;
    // Tables in the order of their operations, since one may refer to another; a table's rows some at a time.
    for (let from = 0; from < operations.length; ) {
      let to = from;
      while (operations[to]?.entity === operations[from]!.entity) to++;
      const [waiting, ready] = [[] as PushedOperation[], [] as PushedOperation[]];
      for (const op of operations.slice(from, to)) (op.after?.length ? waiting : ready).push(op);
      await this.#each(ready, WIDTH, decide(this));
      await this.#each(waiting, 1, decide(this));
      from = to;
    }
    function decide(pusher: Pusher) {
      return async (op: PushedOperation) => {
        if (lost !== undefined) return;
        try {
          // What was applied with an earlier request is not in this one.
          const isBlocked = op.after?.some((needed) => operations.some(({ opId }) => opId === needed) && verdicts.get(needed)?.status !== "applied");
          if (isBlocked) verdicts.set(op.opId, { status: "retry", code: "blocked" });
          else verdicts.set(op.opId, await pusher.#decide(userId, op, signal));
        } catch (error) {
          lost ??= error;
        }
      };
    }
    // What was decided must not be forgotten because the network went afterwards.
    if (lost !== undefined && verdicts.size === 0) throw lost;
    // A row that refers to another may have come before it.
    const refused = operations.filter(({ opId }) => verdicts.get(opId)?.status === "rejected" && (verdicts.get(opId) as { code?: string }).code === "foreignKey");
    if (lost === undefined) await this.#each(refused, 1, decide(this));
    const after = (lost as { retryAfterMs?: number } | undefined)?.retryAfterMs ?? 1_000;
    return { results: operations.map(({ opId }) => ({ opId, ...(verdicts.get(opId) ?? { status: "retry", retryAfterMs: after, code: "lost" }) }) as PushVerdict) };
  }

  async #each(operations: PushedOperation[], width: number, work: (op: PushedOperation) => Promise<void>): Promise<void> {
    const queue = [...operations];
    const worker = async () => {
      for (let op = queue.shift(); op !== undefined; op = queue.shift()) await work(op);
    };
    await Promise.all(Array.from({ length: width }, worker));
  }

  async #decide(userId: string, op: PushedOperation, signal: AbortSignal): Promise<Outcome> {
    const mapping = this.mappings.get(op.entity);
    if (mapping === undefined) return rejected("unknownEntity", `\`tables.entities\` does not name "${op.entity}".`);
    if (op.space || op.kind === "move") return rejected("invalidOperation", "There are no shared spaces in `tables`.");
    const write = new Write(mapping, userId, op, (build) => this.#ask(userId, build, signal), () => new Date(Date.now() + this.#ahead).toISOString(), this.client);
    return op.baseVersion === null ? write.create() : write.change(op.baseVersion);
  }

  async #ask(userId: string, build: () => Builder, signal: AbortSignal): Promise<Answer> {
    const answer = await this.account.ask(userId, build, signal);
    const date = Date.parse(answer.header("date") ?? "");
    // Whole seconds: a smaller difference is none.
    if (date && Math.abs(date - Date.now()) > 2_000) this.#ahead = date - Date.now();
    return answer;
  }
}

const rejected = (code: string, message: string): Outcome => ({ status: "rejected", code, message });

/** One operation on one row. */
class Write {
  constructor(
    private mapping: Mapping,
    private userId: string,
    private op: PushedOperation,
    private ask: (build: () => Builder) => Promise<Answer>,
    private now: () => string,
    private client: Client,
  ) {}

  /** The columns that the operation writes. The time is that of the push: a pull by time must find what was written offline long ago. */
  #columns(version: number): Row {
    const { mapping, op } = this;
    const row = { ...(op.kind === "delete" ? {} : mapping.columns(op.data ?? {})), [mapping.version]: version, [mapping.modifiedAt]: this.now() };
    if (mapping.isDeleted !== null) row[mapping.isDeleted] = op.kind === "delete";
    return row;
  }

  /** Writes a row that must not exist. */
  async create(): Promise<Outcome> {
    const { mapping, op } = this;
    if (op.kind === "delete") return { status: "applied", version: 1 };
    const row = { ...this.#columns(1), [mapping.id]: op.id, ...(mapping.userId === null ? {} : { [mapping.userId]: this.userId }) };
    const answer = await this.ask(() => this.client.from(mapping.table).insert(row as never).select() as unknown as Builder);
    if (answer.status < 300) return this.#applied(answer);
    if (answer.status !== 409 || errorBody(answer)?.code !== "23505") return refusal(answer, mapping);
    const known = await this.#read();
    // Another row has a value that must be unique, or this one is hidden from the user.
    if (known === undefined) return rejected("unique", String(errorBody(answer)?.message ?? "A row with this key exists."));
    if (mapping.isLive(known)) return this.#isWritten(known) ? { status: "applied", version: mapping.versionOf(known), replayed: true } : this.#conflict(known);
    return this.change(mapping.versionOf(known));
  }

  /** Writes a row that must have this version. */
  async change(base: number): Promise<Outcome> {
    const { mapping, op } = this;
    const isGone = op.kind === "delete" && mapping.isDeleted === null;
    const answer = await this.ask(() => {
      const table = this.client.from(mapping.table);
      // Equality alone: PostgREST before 14.4 leaves out rows that it has changed if there is an `or` in the filter.
      const query = isGone ? table.delete() : table.update(this.#columns(base + 1) as never);
      return query.eq(mapping.id, op.id).eq(mapping.version, base as never).select() as unknown as Builder;
    });
    if (answer.status >= 300) return refusal(answer, mapping);
    if ((reply(answer, mapping.table) as Row[]).length > 0) return isGone ? { status: "applied", version: base + 1 } : this.#applied(answer);
    // Nothing was written: the version has moved, the row is gone or hidden, or the user may not.
    const known = await this.#read();
    if (known === undefined) return op.kind === "delete" ? { status: "applied", version: base } : { status: "conflict", version: base, row: null };
    const version = mapping.versionOf(known);
    if (op.kind === "delete" && !mapping.isLive(known)) return { status: "applied", version };
    if (version === base) return rejected("forbidden", "Row-level security does not let this user change the row.");
    return version === base + 1 && mapping.isLive(known) && op.kind !== "delete" && this.#isWritten(known) ? { status: "applied", version, replayed: true } : this.#conflict(known);
  }

  #applied(answer: Answer): Outcome {
    const row = (reply(answer, this.mapping.table) as Row[])[0];
    if (row === undefined) throw new DatumError("protocol", `${this.mapping.table}: the written row may not be read by its user; add a policy for select.`);
    const version = this.mapping.versionOf(row);
    return this.mapping.isLive(row) ? { status: "applied", version, row: this.mapping.fields(row) } : { status: "applied", version };
  }

  #conflict(known: Row): Outcome {
    return { status: "conflict", version: this.mapping.versionOf(known), row: this.mapping.isLive(known) ? this.mapping.fields(known) : null };
  }

  /** Whether the row has what the operation writes: its answer was lost. */
  #isWritten(known: Row): boolean {
    const wanted: Record<string, Json> = this.mapping.columns(this.op.data ?? {});
    return Object.entries(wanted).every(([column, value]) => isSame(value, known[column]));
  }

  async #read(): Promise<Row | undefined> {
    const { mapping, op } = this;
    const answer = await this.ask(() => this.client.from(mapping.table).select("*").eq(mapping.id, op.id) as unknown as Builder);
    return (reply(answer, mapping.table) as Row[])[0];
  }
}

/** The verdict of an answer that refuses one row. Throws what refuses the request as a whole. */
function refusal(answer: Answer, mapping: Mapping): Outcome {
  const body = errorBody(answer);
  const [code, message] = [String(body?.code ?? ""), String(body?.message ?? "")];
  if (answer.status === 401 || answer.status >= 500 || answer.status === 429 || body === undefined) {
    if (answer.status === 413) return rejected("tooLarge", "The row is larger than what a request may be.");
    throw failure(answer, mapping.table);
  }
  if (SCHEMA.has(code)) return { status: "retry", retryAfterMs: SCHEMA_WAIT_MS, code: "schemaMismatch" };
  const known = REJECTIONS[code] ?? (code.startsWith("22") || code === "PGRST102" ? "invalidData" : undefined);
  if (known !== undefined || (answer.status >= 400 && code.startsWith("23"))) return rejected(known ?? "refused", message);
  throw failure(answer, mapping.table);
}
