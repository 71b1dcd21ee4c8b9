/** The writes that the server has refused for good, and those that were discarded here: to be edited, retried or deleted. */

import type { DeadLetter } from "datum-sync";
import type { Context, Panel } from "../context.js";
import { h, own, type Child } from "../dom.js";
import { editor, type Editing } from "../editor.js";
import { bytes, clock, named, ownFields, plural } from "../format.js";
import { VirtualList } from "../list.js";
import { runCycle } from "../mending.js";
import { bar, button, empty, facts, heading, idCell, mono, note, pill, Shown, split } from "../parts.js";
import { keepReading, type Scope } from "../scope.js";
import { isSame } from "../sides.js";

/** The code of a write that was discarded here. */
const DISCARDED = "discarded";

export class DeadLettersPanel implements Panel {
  readonly #context: Context;
  readonly #shown: Shown;
  #letters: readonly DeadLetter[] | undefined;
  #chosen: string | undefined;
  #editing: Editing | undefined;
  readonly #list: VirtualList;

  constructor(context: Context) {
    this.#context = context;
    this.#shown = new Shown(() => context.invalidate());
    this.#list = new VirtualList({
      label: "Dead letters",
      columns: "letter-row",
      heads: ["Code", "Write", "Type", "Id", "Since", "Why"],
      row: (index) => {
        const letter = this.#letters?.[index];
        return letter && [pill(letter.code, "bad"), mono(letter.kind), mono(letter.entity), idCell(letter.entityId, letter.spaceId), mono(clock(letter.diedAt)), h("span", { title: letter.message }, letter.message)];
      },
      choose: (index) => this.select(this.#letters?.[index]?.id ?? ""),
    });
  }

  start(scope: Scope): void {
    keepReading(scope, this.#context, async () => {
      this.#letters = await this.#context.datum.deadLetters(this.#context.userId);
      this.#chosen ??= this.#letters[0]?.id;
    });
  }

  select(selection: string): void {
    [this.#chosen, this.#editing] = [selection, undefined];
    this.#shown.reset();
    this.#context.invalidate();
  }

  view(): readonly Child[] {
    const letters = this.#letters;
    if (letters === undefined) return [empty("Reading the dead letters …", "")];
    if (letters.length === 0) return [empty("No dead letters", "A write that the server refuses for good, or that is discarded here, is kept, so that nothing is lost silently.")];
    const index = letters.findIndex(({ id }) => id === this.#chosen);
    this.#list.show(letters.length, index);
    return [bar(pill(plural(letters.length, "dead letter"), "bad")), split(own(this.#list.element), this.#detail(letters[index], letters), "The selected dead letter")];
  }

  #detail(letter: DeadLetter | undefined, all: readonly DeadLetter[]): readonly Child[] {
    if (letter === undefined) return [empty("Select a dead letter", "It may have been retried or discarded meanwhile.")];
    const cause = all.find(({ id }) => id === letter.blockedBy);
    const behind = all.filter(({ blockedBy }) => blockedBy === letter.id).length;
    const editing = this.#editing;
    return [
      heading(`${letter.kind} ${letter.entity}`),
      letter.code === DISCARDED ? note("warn", "It was discarded on this device. Retry queues it again, on the entity as it is now.") : note("bad", `The server refused it: ${letter.message} (${letter.code})`),
      cause !== undefined && note("warn", "It depends on another write that was refused or discarded. Retry that one: this one goes along.", button("Show what it depends on", () => this.select(cause.id), { kind: "primary" })),
      letter.maybe === true && note("warn", "The server may have applied it nevertheless: the answer got lost."),
      bar(
        button(behind > 0 ? `Retry with ${behind} behind it` : "Retry", () => this.#retry(letter), { kind: "primary", title: "Queues it again, and runs a cycle." }),
        letter.kind !== "delete" && letter.kind !== "move" && button("Edit and retry …", () => this.#edit(letter)),
        button("Discard …", () => this.#discard(letter), { kind: "danger" }),
      ),
      editing !== undefined &&
        editor(editing, {
          label: "The fields as they should be",
          now: letter.data,
          yes: "Retry with these fields",
          save: (fields) => this.#retry(letter, fields),
          begin: () => this.#edit(letter),
          cancel: () => this.#close(),
          changed: () => this.#context.invalidate(),
        }),
      facts(
        ["Entity", mono(letter.entityId)],
        letter.spaceId !== undefined && ["Space", mono(letter.spaceId)],
        ["Operation", mono(letter.opId)],
        ["Queued", clock(letter.queuedAt)],
        ["Since", clock(letter.diedAt)],
        ["Size", bytes(letter.bytes)],
        ["Still shown by the app", letter.kept ? "yes" : "no"],
      ),
      heading("What was to be written"),
      this.#shown.json("data", letter.data),
      letter.base !== null && heading("What both sides had before"),
      letter.base !== null && this.#shown.json("base", letter.base),
    ];
  }

  #edit(letter: DeadLetter): void {
    const fieldsIn = (value: unknown) => (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
    const [data, base] = [fieldsIn(letter.data), fieldsIn(letter.base)];
    // A field that the patch has not changed would undo what others have made of it since.
    const isUnchanged = (name: string) => letter.kind === "patch" && Object.hasOwn(base, name) && isSame(data[name], base[name]);
    const fields = Object.fromEntries(Object.entries(ownFields(data)).filter(([name]) => !isUnchanged(name)));
    this.#editing = { text: JSON.stringify(fields, null, 2), from: letter.data };
    this.#context.invalidate();
  }

  #close(): void {
    this.#editing = undefined;
    this.#context.invalidate();
  }

  #retry(letter: DeadLetter, fields?: { [field: string]: any }): void {
    this.#context.act(async () => {
      await this.#context.datum.retryDeadLetter(letter.id, fields);
      [this.#editing, this.#chosen] = [undefined, undefined];
      return runCycle(this.#context);
    });
  }

  #discard(letter: DeadLetter): void {
    this.#context.act(async () => {
      const yes = await this.#context.ask({
        title: "Discard this dead letter?",
        text: `The write of ${named(letter)} is deleted from this device. It cannot be brought back.`,
        yes: "Discard",
        isGrave: true,
      });
      if (!yes) return;
      await this.#context.datum.discardDeadLetter(letter.id);
      this.#chosen = undefined;
      return "The dead letter was discarded.";
    });
  }
}
