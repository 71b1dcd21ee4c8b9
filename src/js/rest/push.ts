import { DatumError, type PushReply, type PushRequest, type PushVerdict, type PushedOperation } from "datum-sync";
import { ask, failure, isRefusal, isSuccess, reasonOf, type ApiAnswer } from "./answer.js";
import type { Mapping, ReadRow } from "./mapping.js";
import type { Row } from "./options.js";

/** How many rows are written at once. */
const WIDTH = 4;

/** What decides one operation, without its id. */
type Outcome = PushVerdict extends infer V ? (V extends PushVerdict ? Omit<V, "opId"> : never) : never;

const rejected = (code: string, message: string): Outcome => ({ status: "rejected", code, message });
const isAbsent = ({ status, body }: ApiAnswer) => status === 404 || status === 410 || (isSuccess({ status } as ApiAnswer) && (body === undefined || body === null));

/** Writes rows one by one, each only if its version is the one that the device has seen. */
export class Pusher {
  constructor(private mappings: ReadonlyMap<string, Mapping>) {}

  async push({ operations }: PushRequest, signal: AbortSignal): Promise<PushReply> {
    const verdicts = new Map<string, Outcome>();
    let lost: unknown;
    const decide = async (op: PushedOperation) => {
      if (lost !== undefined) return;
      try {
        const isBlocked = op.after?.some((needed) => operations.some(({ opId }) => opId === needed) && verdicts.get(needed)?.status !== "applied");
        verdicts.set(op.opId, isBlocked ? { status: "retry", code: "blocked" } : await this.#decide(op, signal));
      } catch (error) {
        lost ??= error;
      }
    };
    // Types in the order of their operations, since a row may refer to one of another type.
    for (let from = 0; from < operations.length; ) {
      let to = from;
      while (operations[to]?.entity === operations[from]!.entity) to++;
      const group = operations.slice(from, to);
      await each(group.filter(({ after }) => !after?.length), WIDTH, decide);
      await each(group.filter(({ after }) => after?.length), 1, decide);
      from = to;
    }
    // What was decided must not be forgotten because the rest failed.
    if (lost !== undefined && verdicts.size === 0) throw lost;
    const retryAfterMs = (lost as { retryAfterMs?: number } | undefined)?.retryAfterMs ?? 1_000;
    return { results: operations.map(({ opId }) => ({ opId, ...(verdicts.get(opId) ?? { status: "retry", retryAfterMs, code: "lost" }) }) as PushVerdict) };
  }

  async #decide(op: PushedOperation, signal: AbortSignal): Promise<Outcome> {
    const mapping = this.mappings.get(op.entity);
    if (mapping === undefined) return rejected("unknownEntity", `\`entities\` of restRemote does not name "${op.entity}".`);
    if (op.space || op.kind === "move") return rejected("invalidOperation", "restRemote has no shared spaces.");
    return new Write(mapping, op, signal).decide();
  }
}

async function each(operations: PushedOperation[], width: number, work: (op: PushedOperation) => Promise<void>): Promise<void> {
  const queue = [...operations];
  const worker = async () => {
    for (let op = queue.shift(); op !== undefined; op = queue.shift()) await work(op);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** A row as it is now. */
interface Current {
  known: ReadRow | undefined;
  etag: string | null;
}

/** One operation on one row. */
class Write {
  constructor(
    private mapping: Mapping,
    private op: PushedOperation,
    private signal: AbortSignal,
  ) {}

  async decide(): Promise<Outcome> {
    const { op } = this;
    const { baseVersion: base } = op;
    if (base === null) return op.kind === "delete" ? this.#removeUnseen() : this.#create();
    // An odd version is that of a row that this device knows to be gone.
    if (base % 2 === 1 && (op.kind === "create" || op.kind === "update")) return this.#create();
    const { isConditional, isDeleted, replace } = this.mapping.entity;
    // A patch is completed, and a mark of deletion is seen, by reading first.
    const needsRow = (replace === true && op.kind !== "update") || (isDeleted !== undefined && op.kind !== "patch" && op.kind !== "delete");
    if (isConditional === true && !needsRow) return this.#write(base, { known: undefined, etag: null });
    const current = await this.#read();
    return this.#fits(current, base) ? this.#write(base, current) : this.#missed(current, base);
  }

  #fits({ known }: Current, base: number): boolean {
    return known !== undefined && known.version === base && !(known.isDeleted && this.op.kind === "patch");
  }

  /** Writes a row that must not exist. */
  async #create(): Promise<Outcome> {
    const { mapping, op } = this;
    const row = { ...mapping.row(op.data ?? {}), [mapping.id]: op.id };
    const answer = await this.#ask("create", () => mapping.entity.create(row, { ifMatch: null, version: null, signal: this.signal }));
    if (isSuccess(answer)) return this.#applied(answer);
    // An id that is taken is often answered like any other value that is not valid.
    if (![400, 409, 412, 422].includes(answer.status)) return this.#refused(answer);
    const current = await this.#read([400, 422]);
    // Not for the id: perhaps another row has a value that must be unique.
    if (current.known === undefined) return answer.status === 409 || answer.status === 412 ? rejected("refused", reasonOf(answer)) : this.#refused(answer);
    if (!current.known.isDeleted) return mapping.isWritten(op.data ?? {}, current.known) ? this.#told(current.known, true) : this.#conflict(current.known);
    // Its mark is still there: the row comes back by an update.
    return this.#write(current.known.version, current);
  }

  async #removeUnseen(): Promise<Outcome> {
    const { known } = await this.#read();
    return known === undefined || known.isDeleted ? { status: "applied", version: known?.version ?? 1 } : this.#conflict(known);
  }

  /** Writes a row that must have this version. */
  async #write(base: number, { known, etag }: Current): Promise<Outcome> {
    const { mapping, op, signal } = this;
    const { entity } = mapping;
    const call = { ifMatch: etag, version: mapping.ownVersion(base), signal };
    if (op.kind === "delete" && entity.remove !== undefined) {
      const answer = await this.#ask("remove", () => entity.remove!(op.id, call));
      if (answer.status === 404 || answer.status === 410) return { status: "applied", version: base + 1 };
      if (!isSuccess(answer)) return this.#stale(answer, base);
      const gone = answer.body === undefined || entity.isDeleted === undefined ? undefined : this.#asRow(answer);
      return { status: "applied", version: gone?.isDeleted ? gone.version : base + 1 };
    }
    // A mark that is a time ends with null.
    const revived = known?.isDeleted && entity.isDeleted !== undefined ? { [entity.isDeleted]: typeof known.row[entity.isDeleted] === "string" ? null : false } : {};
    const fields: Row = op.kind === "delete" ? { [entity.isDeleted!]: true } : { ...mapping.row(op.data ?? {}), ...revived };
    const body = entity.replace === true && known !== undefined && op.kind !== "update" && op.kind !== "create" ? { ...known.row, ...fields } : fields;
    const answer = await this.#ask("update", () => entity.update(op.id, body, call));
    return isSuccess(answer) ? this.#applied(answer) : this.#stale(answer, base);
  }

  /** A write that was refused: perhaps because its row has moved on. */
  async #stale(answer: ApiAnswer, base: number): Promise<Outcome> {
    if (![404, 409, 410, 412, 428].includes(answer.status)) return this.#refused(answer);
    const current = await this.#read();
    return this.#fits(current, base) ? this.#refused(answer) : this.#missed(current, base);
  }

  /** The verdict where the row is not the one that the device has seen. */
  #missed({ known }: Current, base: number): Outcome {
    const { op } = this;
    const isGone = known === undefined || known.isDeleted;
    if (op.kind === "delete" && isGone) return { status: "applied", version: known?.version ?? base + 1 };
    if (known === undefined) return { status: "conflict", version: base % 2 === 0 ? base + 1 : base, row: null };
    if (!isGone && op.kind !== "delete" && this.mapping.isWritten(op.data ?? {}, known)) return this.#told(known, true);
    return this.#conflict(known);
  }

  #conflict(known: ReadRow): Outcome {
    return { status: "conflict", version: known.version, row: known.isDeleted ? null : this.mapping.fields(known.row) };
  }

  #told(known: ReadRow, isReplayed: boolean): Outcome {
    return { status: "applied", version: known.version, ...(isReplayed ? { replayed: true } : {}), ...(known.isDeleted ? {} : { row: this.mapping.fields(known.row) }) };
  }

  /** The verdict of a write that succeeded: the answer has the row, or another request does. */
  async #applied(answer: ApiAnswer): Promise<Outcome> {
    const known = this.#asRow(answer) ?? (await this.#read()).known;
    if (known !== undefined) return this.#told(known, false);
    if (this.op.kind === "delete") return { status: "applied", version: (this.op.baseVersion ?? 0) + 1 };
    throw new DatumError("protocol", `${answer.what} succeeded, and \`get\` does not find the row ${this.op.id}. Check the address: a redirect makes a GET of a POST.`, { entity: this.op.entity, entityId: this.op.id });
  }

  /** Returns the row of an answer that has one. */
  #asRow({ body }: ApiAnswer): ReadRow | undefined {
    const isRow = typeof body === "object" && body !== null && !Array.isArray(body) && this.mapping.id in body && (this.mapping.entity.version ?? this.mapping.updatedAt) in body;
    return isRow ? this.mapping.read(body) : undefined;
  }

  #refused(answer: ApiAnswer): Outcome {
    if (isRefusal(answer)) return rejected(answer.status === 413 ? "tooLarge" : `http${answer.status}`, reasonOf(answer));
    throw failure(answer);
  }

  /** Reads the row. `refusals` are what an API answers that does not take such an id: it has no such row. */
  async #read(refusals: readonly number[] = []): Promise<Current> {
    const { mapping, op, signal } = this;
    const answer = await this.#ask("get", () => mapping.entity.get(op.id, { signal }));
    if (isAbsent(answer) || refusals.includes(answer.status)) return { known: undefined, etag: null };
    if (!isSuccess(answer)) throw failure(answer);
    return { known: mapping.read(answer.body), etag: answer.etag };
  }

  #ask(method: string, call: () => ReturnType<Mapping["entity"]["get"]>): Promise<ApiAnswer> {
    return ask(this.op.entity, method, this.signal, call);
  }
}
