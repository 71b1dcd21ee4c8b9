/** The operations that the server has not decided, and why each of them waits. */

import type { OperationExplanation, PendingOperation } from "datum-sync";
import type { Context, Panel } from "../context.js";
import { own, type Child } from "../dom.js";
import { bytes, clock, failure, named, plural } from "../format.js";
import { VirtualList } from "../list.js";
import { bar, button, empty, facts, heading, idCell, mono, note, pill, split, type Tone } from "../parts.js";
import { keepReading, type Scope } from "../scope.js";
import { remedyButtons, runCycle } from "../mending.js";
import { shortWhy, toneOf } from "../why.js";

const STATES: Record<PendingOperation["state"], readonly [string, Tone]> = { pending: ["waits", "info"], inFlight: ["sent", "good"], blocked: ["blocked", "warn"] };

export class OutboxPanel implements Panel {
  readonly #context: Context;
  #operations: readonly PendingOperation[] | undefined;
  #chosen: string | undefined;
  #why: OperationExplanation | undefined;
  readonly #list: VirtualList;

  constructor(context: Context) {
    this.#context = context;
    this.#list = new VirtualList({
      label: "Pending operations",
      columns: "outbox-row",
      heads: ["State", "Write", "Type", "Id", "Queued", "Tries", "Why it waits"],
      row: (index) => this.#row(index),
      tone: (index) => (this.#operations?.[index]?.lastError !== undefined ? "bad" : undefined),
      choose: (index) => this.select(this.#operations?.[index]?.opId ?? ""),
    });
  }

  start(scope: Scope): void {
    keepReading(scope, this.#context, async () => {
      this.#operations = await this.#context.datum.pendingOperations(this.#context.userId);
      await this.#explain();
    });
  }

  select(selection: string): void {
    this.#chosen = selection;
    this.#context.invalidate();
    this.#explain().catch(this.#context.fail);
  }

  /** Asks why the chosen operation waits. */
  async #explain(): Promise<void> {
    const chosen = this.#chosen;
    if (!this.#operations?.some(({ opId }) => opId === chosen)) return;
    const { datum, userId } = this.#context;
    const why = await datum.explainOperation(chosen as string, { userId }).catch((thrown: unknown) => {
      // It has left the outbox meanwhile.
      if ((thrown as { code?: unknown }).code === "notFound") return undefined;
      throw thrown;
    });
    if (chosen === this.#chosen) this.#why = why;
    this.#context.invalidate();
  }

  view(): readonly Child[] {
    const operations = this.#operations;
    if (operations === undefined) return [empty("Reading the outbox …", "")];
    if (operations.length === 0) return [empty("Nothing waits", "Every write has been decided by the server. A write appears here until then.")];
    const index = operations.findIndex(({ opId }) => opId === this.#chosen);
    this.#list.show(operations.length, index);
    const size = operations.reduce((sum, operation) => sum + operation.bytes, 0);
    const sent = () => this.#context.act(() => runCycle(this.#context));
    return [
      bar(pill(plural(operations.length, "operation"), "info"), mono(bytes(size)), button("Send now", sent, { kind: "primary", title: "Runs a cycle: pushes everything that is pending, then pulls." })),
      split(own(this.#list.element), this.#detail(operations[index], operations), "The selected operation"),
    ];
  }

  #row(index: number): readonly Child[] | undefined {
    const operation = this.#operations?.[index];
    if (operation === undefined) return undefined;
    const [word, tone] = STATES[operation.state];
    return [pill(word, tone), operation.kind, operation.entity, idCell(operation.entityId, operation.spaceId), clock(operation.queuedAt), String(operation.attempts), shortWhy(operation)].map((cell) =>
      typeof cell === "string" ? mono(cell, cell) : cell,
    );
  }

  #detail(operation: PendingOperation | undefined, all: readonly PendingOperation[]): readonly Child[] {
    if (operation === undefined) return [empty("Select an operation", "Use the arrow keys in the list, or click a row.")];
    const blocking = all.find(({ opId }) => opId === operation.blockedBy);
    const reasons = this.#why?.opId === operation.opId ? this.#why.reasons : undefined;
    return [
      heading(`Why this ${operation.kind} waits`),
      ...(reasons ?? []).map(({ reason, because, until, blockedBy }) =>
        note(toneOf(reason), until === undefined ? because : `${because} Until ${clock(until)}.`, ...remedyButtons(this.#context, reason, blockedBy)),
      ),
      reasons === undefined && note("quiet", "Asking …"),
      operation.lastError !== undefined && note("bad", `Last error: ${failure(operation.lastError)}`),
      facts(
        ["Entity", mono(operation.entityId)],
        operation.spaceId !== undefined && ["Space", mono(operation.spaceId)],
        operation.to !== undefined && ["Moves to", mono(operation.to ?? "the personal space")],
        ["Operation", mono(operation.opId)],
        ["Queued", clock(operation.queuedAt)],
        ["Tries without a verdict", String(operation.attempts)],
        ["Size", bytes(operation.bytes)],
        operation.nextAttemptAt !== undefined && ["Sent again", clock(operation.nextAttemptAt)],
        operation.blockedBy !== undefined && ["Blocked by", mono(blocking ? `${blocking.kind} ${named(blocking)}` : operation.blockedBy)],
      ),
      bar(
        // A type that the config does not name has no manager.
        this.#context.recorder.types.includes(operation.entity) && button("Show the entity", () => this.#context.open("entities", JSON.stringify([operation.entity, operation.entityId, operation.spaceId]))),
        blocking !== undefined && button("Show what blocks it", () => this.select(blocking.opId)),
        button("Discard …", () => this.#discard(operation), { kind: "danger", title: "Takes it out of the outbox, after a question. It is kept as a dead letter." }),
      ),
    ];
  }

  #discard(operation: PendingOperation): void {
    const { opId, kind } = operation;
    this.#context.act(async () => {
      const text = `The ${kind} of ${named(operation)} will not be sent, and the app shows what the server had. Later writes of it, and writes that depend on it, go along. If it was sent before, the server may apply it nevertheless. All of them are kept in Dead letters: a retry brings them back.`;
      if (!(await this.#context.ask({ title: "Discard this write?", text, yes: "Discard", isGrave: true }))) return;
      const { datum, userId } = this.#context;
      const { length } = await datum.discardOperation(opId, { userId });
      return `${length > 1 ? `The write was discarded, with ${length - 1} more` : "The write was discarded"}: a retry in Dead letters brings it back.`;
    });
  }
}
