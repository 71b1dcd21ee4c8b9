import type { Op } from "./device.js";
import { short, type Any } from "./target.js";

const STATUSES = ["applied", "conflict", "rejected", "retry"];
const isObject = (value: unknown): value is Record<string, Any> => typeof value === "object" && value !== null && !Array.isArray(value);
const isVersion = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= Number.MAX_SAFE_INTEGER;
const isId = (value: unknown): boolean => typeof value === "string" && value !== "";
const isAbsent = (value: unknown): boolean => value === undefined || value === null;

/** Reads replies leniently, and keeps what is wrong with them for a check of its own: one bad field must not fail every check. */
export class Shapes {
  /** What is wrong, each once, with an example. */
  readonly wrong = new Map<string, string>();
  replies = 0;

  #note(what: string, example: unknown): void {
    if (!this.wrong.has(what) && this.wrong.size < 20) this.wrong.set(what, short(JSON.stringify(example) ?? "undefined", 300));
  }

  /** Returns a page with fields of the right types; undefined if that cannot be done. */
  page(body: Any): Any {
    this.replies++;
    if (!isObject(body)) return undefined;
    const changes = body["changes"] ?? [];
    if (!Array.isArray(changes)) return undefined;
    if (typeof body["cursor"] !== "string" || body["cursor"] === "") this.#note("`cursor` must be text that is not empty", { cursor: body["cursor"] });
    if (typeof body["more"] !== "boolean") this.#note("`more` must be true or false", { more: body["more"] });
    if (isAbsent(body["cursor"])) return undefined;
    this.#common(body);
    const remaining = body["remaining"];
    if (!isAbsent(remaining) && !(Number.isInteger(remaining) && remaining >= 0)) this.#note("`remaining` must be a whole number", { remaining });
    return { ...body, changes: changes.map((change) => this.#change(change)), cursor: String(body["cursor"]), more: body["more"] === true || body["more"] === "true" };
  }

  #change(change: Any): Any {
    if (!isObject(change)) {
      this.#note("each of `changes` must be an object", change);
      return {};
    }
    const { entity, id, version, deleted, data } = change;
    if (!isId(entity) || !isId(id)) this.#note("`entity` and `id` of a change must be text", change);
    if (!isVersion(version)) this.#note("`version` of a change must be a whole number from 1 to 2^53-1", change);
    if (!isAbsent(deleted) && typeof deleted !== "boolean") this.#note("`deleted` of a change must be true or false", change);
    const isDeleted = deleted === true || deleted === 1 || deleted === "true";
    if (!isDeleted && !isObject(data)) this.#note("`data` of a change must be an object, unless `deleted` is true", change);
    for (const name of ["id", "userId", "version", "isDeleted"]) {
      if (isObject(data) && Object.hasOwn(data, name)) this.#note(`\`data\` of a change must not have \`${name}\`, which is beside it`, change);
    }
    return { ...change, id: String(id), version: Number(version), deleted: isDeleted };
  }

  /** Returns the verdicts; undefined if they cannot be read as those of the operations. */
  verdicts(body: Any, operations: Op[]): Any[] | undefined {
    this.replies++;
    if (!isObject(body) || !Array.isArray(body["results"])) return undefined;
    this.#common(body);
    const results = body["results"] as Any[];
    if (results.length !== operations.length || !results.every(isObject)) return undefined;
    const isInOrder = results.every(({ opId }, at) => opId === operations[at]!.opId);
    // Another order is for a check of its own.
    const byId = new Map(results.map((verdict) => [verdict.opId, verdict]));
    const ordered = isInOrder ? results : operations.map(({ opId }) => byId.get(opId));
    return ordered.every(isObject) ? ordered.map((verdict) => this.#verdict(verdict)) : undefined;
  }

  #verdict(verdict: Any): Any {
    const { status, version, row, code } = verdict;
    if (!STATUSES.includes(status)) this.#note(`\`status\` of a verdict must be one of ${STATUSES.join(", ")}`, verdict);
    if ((status === "applied" || status === "conflict") && !isVersion(version)) this.#note("`version` of `applied` and `conflict` must be a whole number from 1 to 2^53-1", verdict);
    if (!isAbsent(row) && !isObject(row)) this.#note("`row` of a verdict must be an object or null", verdict);
    if (status === "rejected" && typeof code !== "string") this.#note("`rejected` must have a `code`", verdict);
    return isAbsent(version) ? verdict : { ...verdict, version: Number(version) };
  }

  #common(body: Record<string, Any>): void {
    const { serverId, epoch, serverTime } = body;
    if (!isAbsent(serverId) && !isId(serverId)) this.#note("`serverId` must be text of 1 to 512 bytes", { serverId });
    if (!isAbsent(epoch) && typeof epoch !== "string") this.#note("`epoch` must be text", { epoch });
    if (!isAbsent(serverTime) && !(typeof serverTime === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/.test(serverTime))) {
      this.#note("`serverTime` must be an ISO 8601 time in UTC, such as 2026-01-31T12:00:00.000Z", { serverTime });
    }
  }
}
