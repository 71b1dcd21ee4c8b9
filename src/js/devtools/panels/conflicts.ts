/** The undecided conflicts: three sides, field by field, and the buttons that decide. */

import type { Conflict, MergeExplanation, Resolution } from "datum-sync";
import type { Context, Panel } from "../context.js";
import { h, own, type Child, type View } from "../dom.js";
import { editor, type Editing } from "../editor.js";
import { decided } from "../explained.js";
import { clock, ENGINE_FIELDS, named, ownFields, plural, preview } from "../format.js";
import { VirtualList } from "../list.js";
import { bar, button, empty, facts, heading, idCell, mono, note, pill, Shown, split } from "../parts.js";
import { keepReading, type Scope } from "../scope.js";
import { fieldsOf, isSame, merged, story, usualSide, type FieldSides, type Side } from "../sides.js";

/** A value of up to this many characters is shown in its cell. */
const CELL = 56;

/** What an edited entity is made from. */
const sidesOf = ({ local, remote }: Conflict) => [local, remote];

export class ConflictsPanel implements Panel {
  readonly #context: Context;
  readonly #shown: Shown;
  #conflicts: readonly Conflict[] | undefined;
  #chosen: string | undefined;
  #choices = new Map<string, Side>();
  #editing: Editing | undefined;
  #explained: readonly MergeExplanation[] = [];
  readonly #list: VirtualList;

  constructor(context: Context) {
    this.#context = context;
    this.#shown = new Shown(() => context.invalidate());
    this.#list = new VirtualList({
      label: "Conflicts",
      columns: "conflict-row",
      heads: ["Type", "Id", "What happened", "Since"],
      row: (index) => {
        const conflict = this.#conflicts?.[index];
        return conflict && [mono(conflict.entity), idCell(conflict.entityId, conflict.spaceId), h("span", { title: story(conflict) }, story(conflict)), mono(clock(conflict.detectedAt))];
      },
      choose: (index) => this.select(this.#conflicts?.[index]?.id ?? ""),
    });
  }

  start(scope: Scope): void {
    keepReading(scope, this.#context, async () => {
      this.#conflicts = await this.#context.datum.conflicts(this.#context.userId);
      if (this.#chosen === undefined && this.#conflicts[0] !== undefined) this.select(this.#conflicts[0].id);
      else await this.#explain();
    });
  }

  select(selection: string): void {
    this.#chosen = selection;
    this.#choices = new Map();
    this.#editing = undefined;
    this.#explained = [];
    this.#shown.reset();
    this.#explain().catch(this.#context.fail);
    this.#context.invalidate();
  }

  async #explain(): Promise<void> {
    const conflict = this.#conflicts?.find(({ id }) => id === this.#chosen);
    if (conflict === undefined) return;
    const { datum, userId } = this.#context;
    const explained = await datum.explainMerge(conflict.entity, conflict.entityId, { userId });
    // It is named by type and id, of which each space may have one.
    if (conflict.id === this.#chosen) this.#explained = explained.filter(({ spaceId }) => spaceId === conflict.spaceId);
    this.#context.invalidate();
  }

  view(): readonly Child[] {
    const conflicts = this.#conflicts;
    if (conflicts === undefined) return [empty("Reading the conflicts …", "")];
    if (conflicts.length === 0) return [empty("No conflict waits", "Where both sides change an entity and no resolver decides, the conflict waits here.")];
    const index = conflicts.findIndex(({ id }) => id === this.#chosen);
    this.#list.show(conflicts.length, index);
    return [bar(pill(plural(conflicts.length, "conflict"), "warn")), split(own(this.#list.element), this.#detail(conflicts[index]), "The selected conflict")];
  }

  #detail(conflict: Conflict | undefined): readonly Child[] {
    if (conflict === undefined) return [empty("Select a conflict", "It may have been decided meanwhile.")];
    const isDeletion = conflict.local === null || conflict.remote === null;
    const decide = (words: string, resolution: () => Resolution<any>, isFirst = false) =>
      button(words, () => this.#decide(conflict, resolution()), isFirst ? { kind: "primary" } : {});
    const editing = this.#editing;
    return [
      heading(named(conflict)),
      note("warn", story(conflict)),
      bar(
        decide(conflict.local === null ? "Keep mine: deleted" : "Keep mine", () => ({ take: "local" })),
        decide(conflict.remote === null ? "Take theirs: deleted" : "Take theirs", () => ({ take: "remote" })),
        !isDeletion && decide("Take the marked fields", () => ({ take: "merged", data: merged(conflict, this.#choices) }), true),
        button("Edit …", () => this.#edit(conflict)),
      ),
      editing !== undefined &&
        editor(editing, {
          label: "The fields as they should be",
          now: sidesOf(conflict),
          yes: "Decide",
          save: (fields) => this.#decideEdited(conflict, editing, fields),
          begin: () => this.#edit(conflict),
          cancel: () => this.#close(),
          changed: () => this.#context.invalidate(),
        }),
      this.#table(conflict, isDeletion),
      facts(["Found", clock(conflict.detectedAt)], conflict.spaceId !== undefined && ["Space", mono(conflict.spaceId)]),
      this.#explained.length > 0 && heading("How earlier conflicts of it were decided"),
      ...this.#explained.slice().reverse().map(decided),
    ];
  }

  #table(conflict: Conflict, isDeletion: boolean): View {
    const head = ["Field", "Base", `Mine${conflict.local === null ? " (deleted)" : ""}`, `Theirs${conflict.remote === null ? " (deleted)" : ""}`];
    return h(
      "table",
      { class: "sides" },
      h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...fieldsOf(conflict).map((row) => this.#row(conflict.id, row, isDeletion))),
    );
  }

  #row(id: string, row: FieldSides, isDeletion: boolean): View {
    const taken = this.#choices.get(row.field) ?? usualSide(row);
    const side = (name: Side) => {
      const value = this.#value(`${id} ${row.field} ${name}`, row[name]);
      const isFree = isDeletion || row.changed === "none";
      return h(
        "td",
        { class: isFree || taken !== name ? "" : "taken" },
        isFree
          ? value
          : h(
              "label",
              {},
              h("input", { type: "radio", name: `${id} ${row.field}`, checked: taken === name, "aria-label": `${row.field}: ${name === "local" ? "mine" : "theirs"}`, onchange: () => this.#choose(row.field, name) }),
              value,
            ),
      );
    };
    return h("tr", { key: `${id} ${row.field}`, class: row.isClash ? "clash" : row.changed === "none" ? "soft" : "" }, h("th", { scope: "row" }, row.field), h("td", {}, this.#value(`${id} ${row.field} base`, row.base)), side("local"), side("remote"));
  }

  #value(name: string, value: unknown): View {
    if (value === undefined) return h("span", { class: "soft" }, "–");
    const short = preview(value, CELL);
    return short.length < CELL ? mono(short) : h("details", {}, h("summary", { class: "mono" }, short), this.#shown.json(name, value));
  }

  #choose(field: string, side: Side): void {
    this.#choices.set(field, side);
    if (this.#editing !== undefined) this.#editing = undefined;
    this.#context.invalidate();
  }

  #edit(conflict: Conflict): void {
    this.#editing = { text: JSON.stringify(ownFields(merged(conflict, this.#choices)), null, 2), from: sidesOf(conflict) };
    this.#context.invalidate();
  }

  #close(): void {
    this.#editing = undefined;
    this.#context.invalidate();
  }

  #decide(conflict: Conflict, resolution: Resolution<any>): void {
    this.#context.act(() => this.#resolve(conflict, resolution));
  }

  /** Decides with the fields that were written, beside the engine's own. */
  #decideEdited(conflict: Conflict, editing: Editing, fields: { [field: string]: any }): void {
    this.#context.act(async () => {
      // What is shown may be older than a cycle that has just ended.
      this.#conflicts = await this.#context.datum.conflicts(this.#context.userId);
      const now = this.#conflicts.find(({ id }) => id === conflict.id);
      if (now !== undefined && !isSame(sidesOf(now), editing.from)) return "It has changed meanwhile, and is not decided yet.";
      const engine = Object.entries(merged(conflict, this.#choices)).filter(([name]) => ENGINE_FIELDS.has(name));
      return this.#resolve(conflict, { take: "merged", data: { ...Object.fromEntries(engine), ...fields } });
    });
  }

  async #resolve(conflict: Conflict, resolution: Resolution<any>): Promise<string> {
    await this.#context.datum.resolveConflict(conflict.id, resolution);
    this.#editing = undefined;
    this.#chosen = undefined;
    return "The conflict is decided. The next cycle sends the result.";
  }
}
