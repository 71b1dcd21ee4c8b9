import { NoAnswer, jsonOf, short, type Answer, type Any, type Party, type Sending } from "./target.js";
import { LONGEST_WAIT, type Traffic } from "./traffic.js";

/** A backend that deviates from the protocol. */
export class Deviation extends Error {
  constructor(
    readonly expected: string,
    readonly came: string,
  ) {
    super(expected);
  }
}

/** Something optional that the backend does not have, or that needs an option. */
export class Unjudged extends Error {
  constructor(
    readonly outcome: "notOffered" | "notJudged",
    message: string,
  ) {
    super(message);
  }
}

/** A request that an adapter never gets: the report of one leaves it out. */
export class ForServers extends Error {}

export const notOffered = (why: string) => new Unjudged("notOffered", why);
export const needs = (what: string) => new Unjudged("notJudged", `Needs ${what}.`);

/** An operation as it is sent. */
export interface Op {
  opId: string;
  entity: string;
  id: string;
  kind: string;
  baseVersion: unknown;
  data?: unknown;
  [member: string]: unknown;
}

/** A row that a device has written. */
export interface Written {
  id: string;
  version: number;
  op: Op;
}

/** A whole pull: the rows in the order of their pages. */
export interface Pulled {
  changes: Any[];
  cursor: string;
  pages: Any[];
}

/** How the rows of a run look. */
export interface RowForm {
  entity: string;
  /** The names of two fields for text. */
  fields: readonly [string, string];
}

const hex = (count: number) => Array.from({ length: count }, () => Math.floor(Math.random() * 16).toString(16)).join("");
/** The run's own prefix of ids, which are UUIDs: some backends have columns for nothing else. */
export const newPrefix = () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-`;

/** A device of a user: sends requests, and keeps what was sent last for the report. */
export class Device {
  /** The last request and its answer, as text. */
  sent = "";
  came = "";
  /** The end of everything that this device has pulled. */
  end: string | undefined;
  /** The versions of the rows before that end: an adapter that looks back for late rows gives them again, which is no news. */
  #known = new Map<string, number>();

  constructor(
    readonly party: Party,
    readonly traffic: Traffic,
    readonly form: RowForm,
    readonly clientId: string,
  ) {}

  get http() {
    return this.party.http;
  }

  /** Another device of the same user. */
  another(): Device {
    const device = new Device(this.party, this.traffic, this.form, `${this.clientId}-${hex(4)}`);
    device.end = this.end;
    device.#known = new Map(this.#known);
    return device;
  }

  newId(): string {
    return this.traffic.newId();
  }

  /** An operation with an id of its own. */
  op(kind: string, id: string, baseVersion: unknown, data?: unknown): Op {
    const op: Op = { opId: `op-${this.traffic.newId()}`, entity: this.form.entity, id, kind, baseVersion };
    if (data !== undefined) op.data = data;
    return op;
  }

  /** Fields of a row. */
  fields(first: string, second = "as it was"): Record<string, unknown> {
    const at = new Date().toISOString();
    return { [this.form.fields[0]]: first, [this.form.fields[1]]: second, createdAt: at, modifiedAt: at };
  }

  /** Sends a request, whatever its answer is. */
  async ask(kind: "pull" | "push", body: object, sending: Partial<Sending> = {}): Promise<Answer> {
    const request = { clientId: this.clientId, ...body };
    this.note(kind, request);
    if (kind === "push") this.traffic.remember(this.party, (body as { operations?: Op[] }).operations ?? []);
    const answer = await this.traffic.send((signal) => this.party[kind](request, { ...sending, signal }));
    this.came = this.describe(answer);
    return answer;
  }

  /** Sends a request of the protocol by its path. */
  async request(method: string, path: string, body?: string, sending: Partial<Sending> = {}): Promise<Answer> {
    const { http } = this;
    if (http === undefined) throw new ForServers();
    this.sent = short(`${method} /sync/v1${path}${body === undefined ? "" : ` ${body}`}`);
    const answer = await this.traffic.send((signal) => http.request(method, path, body, { ...sending, signal }));
    this.came = this.describe(answer);
    return answer;
  }

  describe({ status, text, body }: Answer): string {
    return this.http === undefined && status === 200 ? short(jsonOf(body)) : short(`HTTP ${status} ${text}`);
  }

  note(kind: string, request: object): void {
    this.sent = short(`${this.http === undefined ? kind : `POST /sync/v1/${kind}`} ${jsonOf(request)}`);
    this.came = "no answer";
  }

  /** Fails the check unless something holds. */
  expect(holds: boolean, expected: string, came: unknown = this.came): void {
    if (!holds) throw new Deviation(expected, typeof came === "string" ? came : short(jsonOf(came) ?? String(came)));
  }

  /** Pulls a page, which must succeed. */
  async pull(cursor: string | null, limit = 1_000, more: object = {}): Promise<Any> {
    const answer = await this.ask("pull", { cursor, limit, ...more });
    this.expect(answer.status === 200 && typeof answer.body === "object" && answer.body !== null, "a page");
    const page = this.traffic.shapes.page(answer.body);
    this.expect(page !== undefined, "a page with `changes`, `cursor` and `more`");
    if (this.http === undefined && cursor !== null) page.changes = page.changes.filter(({ entity, id, version }: Any) => !(this.#known.get(jsonOf([entity, id]))! >= version));
    return page;
  }

  /** Pulls until a page has rows: one without may say `more`. */
  async pullRows(cursor: string | null, limit: number): Promise<Any> {
    let page = await this.pull(cursor, limit);
    for (let turn = 0; page.changes.length === 0 && page.more && turn < 1_000; turn++) page = await this.pull(page.cursor, limit);
    return page;
  }

  /** Pulls until there is no more. */
  async drain(cursor: string | null, limit = 1_000, more: object = {}): Promise<Pulled> {
    const pulled: Pulled = { changes: [], cursor: cursor ?? "", pages: [] };
    for (let next = cursor; ; next = pulled.cursor) {
      const page = await this.pull(next, limit, more);
      pulled.pages.push(page);
      pulled.changes.push(...page.changes);
      pulled.cursor = page.cursor;
      if (!page.more) return pulled;
      this.expect(page.cursor !== next, "another cursor than the one that was sent, since `more` is true");
      if (pulled.pages.length > 100_000) throw new Deviation("a last page", "100,000 pages, and `more` is still true");
    }
  }

  /** Returns the place of now: what is written later comes behind it. */
  async mark(): Promise<string> {
    const { changes, cursor } = await this.drain(this.end ?? null);
    for (const { entity, id, version } of changes) this.#known.set(jsonOf([entity, id]), version);
    this.end = cursor;
    return cursor;
  }

  /** Returns the last state of each of some rows behind a cursor, by id. */
  async since(cursor: string): Promise<Map<string, Any>> {
    const { changes } = await this.drain(cursor);
    const rows = new Map<string, Any>();
    for (const change of changes) if (change.entity === this.form.entity && !(rows.get(change.id)?.version >= change.version)) rows.set(change.id, change);
    return rows;
  }

  /** Pushes, and returns the verdicts in the order of the operations. What is to be sent again is. */
  async push(operations: Op[], more: object = {}): Promise<Any[]> {
    const verdicts = new Map<string, Any>();
    let left = operations;
    for (let turn = 0; left.length > 0 || turn === 0; turn++) {
      const answer = await this.ask("push", { operations: left, ...more });
      this.expect(answer.status === 200 && typeof answer.body === "object" && answer.body !== null, "a verdict for each operation");
      const results = this.traffic.shapes.verdicts(answer.body, left);
      if (results === undefined) throw new Deviation("`results` with a verdict for each operation, in their order", this.came);
      left.forEach((op, at) => {
        verdicts.set(op.opId, results[at]);
        if (results[at].status === "applied") this.traffic.applied(this.party, op, results[at].version);
      });
      left = left.filter(({ opId }) => {
        const { status, code, retryAfterMs } = verdicts.get(opId);
        // What asks for half a minute does not mean a busy moment.
        return status === "retry" && !(retryAfterMs > LONGEST_WAIT) && code !== "blocked" && code !== "epochChanged" && code !== "otherServer" && turn < 6;
      });
      if (left.length > 0) await this.traffic.wait(Math.max(...left.map(({ opId }) => Number(verdicts.get(opId).retryAfterMs) || 0)));
    }
    return operations.map(({ opId }) => verdicts.get(opId));
  }

  /** Pushes one operation. */
  async one(op: Op): Promise<Any> {
    return (await this.push([op]))[0];
  }

  /** Pushes operations that must be applied. */
  async write(...operations: Op[]): Promise<Written[]> {
    const verdicts = await this.push(operations);
    verdicts.forEach((verdict, at) => this.expect(verdict.status === "applied", `\`applied\` for the ${operations[at]!.kind}`, verdict));
    return operations.map((op, at) => ({ id: op.id, version: verdicts[at].version as number, op }));
  }

  /** Creates rows. */
  async create(...texts: string[]): Promise<Written[]> {
    return this.write(...texts.map((text) => this.op("create", this.newId(), null, this.fields(text))));
  }

  /** Creates one row. */
  async row(text = "a row"): Promise<Written> {
    return (await this.create(text))[0]!;
  }

  /** Updates a row, which must fit. */
  async update({ id, version }: { id: string; version: number }, text: string): Promise<Written> {
    return (await this.write(this.op("update", id, version, this.fields(text))))[0]!;
  }

  /** Deletes a row, which must fit. */
  async remove({ id, version }: { id: string; version: number }): Promise<Written> {
    return (await this.write(this.op("delete", id, version)))[0]!;
  }

  /** Returns true if a row is live and has this text in its first field. */
  has(change: Any, text: string): boolean {
    return change !== undefined && change.deleted !== true && change.data?.[this.form.fields[0]] === text;
  }

  /** The requests that come now are lost, as far as the device can tell. */
  async loseReply(operations: Op[]): Promise<void> {
    this.traffic.remember(this.party, operations);
    const end = new AbortController();
    const request = { clientId: this.clientId, operations };
    this.note("push", request);
    const sent = this.party.push(request, { signal: end.signal }).catch((error: unknown) => {
      if (!(error instanceof NoAnswer) && !end.signal.aborted) throw error;
    });
    await new Promise((resolve) => setTimeout(resolve, 2));
    end.abort(new Error("The connection was cut."));
    await sent.catch(() => undefined);
  }
}
