/** The entities of one type: only those in view are read, and follow every change. */

import type { AnyEntity, EntitySyncState } from "datum-sync";
import type { Context, Panel } from "../context.js";
import { h, own, type Child, type View } from "../dom.js";
import { idSearch, queryFor, textFields, type Search } from "../filter.js";
import { clock, ENGINE_FIELDS, failure, number, ownFields, plural, preview } from "../format.js";
import { VirtualList } from "../list.js";
import { bar, empty, idCell, mono, note, pill, split } from "../parts.js";
import type { Scope } from "../scope.js";
import { EntityDetail, STATE_TONES } from "./entity.js";

type Row = AnyEntity & { readonly $syncState: EntitySyncState };

/** How many entities are read at once, unless twice as many as are in view are more. The window moves by half of it. */
const WINDOW = 80;
/** How long passes between two results of a query that is followed, in milliseconds. */
const REST_MS = 250;
/** How long after the last key a search begins, in milliseconds. */
const TYPED_MS = 200;

export class EntitiesPanel implements Panel {
  readonly #context: Context;
  readonly #list: VirtualList;
  readonly #detail: EntityDetail;
  #scope: Scope | undefined;
  #feeds: Scope | undefined;
  #page: Scope | undefined;
  #type: string | undefined;
  #search: Search = { text: "", state: "" };
  /** What is read, and how much is read next. */
  #wanted: { first: number; limit: number } | undefined;
  #limit = WINDOW;
  /** The row that was chosen before its entity is read. */
  #awaited: number | undefined;
  #error: string | undefined;
  #total: number | undefined;
  #first = 0;
  #rows: readonly Row[] = [];
  #fields: readonly string[] = [];
  #typing: ReturnType<typeof setTimeout> | undefined;

  constructor(context: Context) {
    this.#context = context;
    this.#detail = new EntityDetail(context);
    this.#list = new VirtualList({
      label: "Entities",
      columns: "entity-row",
      heads: ["State", "Id", "Version", "Changed", "Fields"],
      row: (index) => this.#row(index),
      choose: (index) => {
        this.#awaited = index;
        this.#take();
        // The keys are ahead of what is read: what was chosen before is no longer shown as chosen.
        if (this.#awaited !== undefined) this.#detail.clear();
        this.#context.invalidate();
      },
      seen: (first, last) => this.#move(first, last),
    });
  }

  start(scope: Scope): void {
    this.#scope = scope;
    this.#detail.start(scope);
    scope.add(
      this.#context.recorder.hear(() => {
        if (this.#type === undefined) this.#begin();
      }),
    );
    scope.add(() => {
      clearTimeout(this.#typing);
      this.#scope = undefined;
    });
    this.#begin();
  }

  /** Shows an entity: its type and id, and its space, as JSON. */
  select(selection: string): void {
    const [type, id, spaceId] = JSON.parse(selection) as [string, string, string | null | undefined];
    this.#turn(type);
    this.#search = { text: idSearch(id), state: "" };
    this.#detail.choose(type, id, spaceId ?? undefined);
    this.#begin();
  }

  /** Chooses the awaited row, if it is there. */
  #take(): void {
    const row = this.#awaited === undefined ? undefined : this.#rows[this.#awaited - this.#first];
    if (row === undefined) return;
    this.#awaited = undefined;
    this.#detail.choose(this.#type ?? "", row.id, row.spaceId);
  }

  #turn(type: string): void {
    if (type === this.#type) return;
    [this.#type, this.#fields, this.#search] = [type, [], { text: "", state: "" }];
    this.#detail.clear();
  }

  /** Begins to follow what is looked for, from its beginning. */
  #begin(): void {
    const scope = this.#scope;
    if (scope === undefined) return;
    this.#type ??= this.#context.recorder.types[0];
    this.#feeds?.end();
    [this.#total, this.#first, this.#rows, this.#error, this.#awaited] = [undefined, 0, [], undefined, undefined];
    this.#context.invalidate();
    const found = this.#query();
    const type = this.#type;
    if (type === undefined || found === undefined) return;
    this.#feeds = scope.child();
    this.#list.rewind();
    const { datum, userId } = this.#context;
    this.#feeds.follow(
      () => datum.manager(type).watchCount(found, { userId }),
      (total) => {
        this.#total = total;
        this.#context.invalidate();
      },
      (thrown) => this.#refuse(thrown),
      undefined,
      REST_MS,
    );
    this.#read(0);
  }

  #query() {
    const { query, error } = queryFor(this.#search, this.#fields);
    this.#error = error;
    return query;
  }

  #refuse(thrown: unknown): void {
    if ((thrown as { code?: unknown }).code === "invalidArgument") this.#error = failure(thrown);
    else this.#context.fail(thrown);
    this.#context.invalidate();
  }

  /** Follows the entities from one place on. */
  #read(first: number): void {
    const [query, type] = [this.#query(), this.#type];
    if (query === undefined || type === undefined || this.#feeds === undefined) return;
    this.#page?.end();
    this.#page = this.#feeds.child();
    const { datum, userId } = this.#context;
    const limit = this.#limit;
    this.#page.follow(
      () => datum.manager<AnyEntity>(type).watchQuery({ ...query, limit, offset: first }, { userId, withSyncState: true }),
      (rows) => {
        [this.#first, this.#rows] = [first, rows];
        if (this.#search.text === "") this.#fields = textFields(rows, ENGINE_FIELDS);
        this.#take();
        this.#context.invalidate();
      },
      (thrown) => this.#refuse(thrown),
      undefined,
      REST_MS,
    );
    this.#wanted = { first, limit };
  }

  /** Reads another part if rows come into view that were not asked for. */
  #move(first: number, last: number): void {
    const wanted = this.#wanted;
    if (wanted === undefined || this.#total === undefined) return;
    this.#limit = Math.max(WINDOW, 2 * (last - first));
    const isThere = first >= wanted.first && Math.min(last, this.#total) <= wanted.first + wanted.limit;
    if (!isThere) this.#read(Math.max(0, Math.round((first + last - this.#limit) / 2)));
  }

  #narrow(search: Partial<Search>): void {
    this.#search = { ...this.#search, ...search };
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#begin(), TYPED_MS);
    this.#context.invalidate();
  }

  view(): readonly Child[] {
    const { types } = this.#context.recorder;
    if (types.length === 0) return [empty("No entity types yet", "They are named by the instance's config, or by what is written and pulled.")];
    const chosen = this.#rows.findIndex(({ id, spaceId }) => this.#detail.is(this.#type ?? "", id, spaceId));
    this.#list.show(this.#total ?? 0, this.#awaited ?? (chosen < 0 ? -1 : this.#first + chosen));
    const list = this.#total === 0 ? empty("Nothing found", this.#search.text || this.#search.state ? "No entity is like this." : `There are no ${this.#type ?? "entities"} yet.`) : own(this.#list.element);
    return [
      bar(this.#types(types), this.#field(), this.#states(), h("span", { class: "soft", role: "status" }, this.#total === undefined ? (this.#error === undefined ? "…" : "") : plural(this.#total, "entity", "entities"))),
      this.#error !== undefined && note("bad", this.#error),
      split(list, this.#detail.view(), "The selected entity"),
    ];
  }

  #types(types: readonly string[]): View {
    const change = (event: Event) => {
      this.#turn((event.target as HTMLSelectElement).value);
      this.#begin();
    };
    return h("select", { "aria-label": "Entity type", value: this.#type, onchange: change }, ...types.map((type) => h("option", { value: type, selected: type === this.#type }, type)));
  }

  #field(): View {
    const where = ["id", ...this.#fields].slice(0, 5).join(", ");
    return h("input", {
      type: "search",
      class: "search",
      "aria-label": "Filter entities",
      placeholder: "Text, or a condition such as { \"field\": \"done\", \"equals\": false }",
      title: `A text is looked for in ${where}${this.#fields.length > 4 ? " and more" : ""}. A condition or a query is written as JSON: see docs/queries.md.`,
      spellcheck: "false",
      value: this.#search.text,
      oninput: (event: Event) => this.#narrow({ text: (event.target as HTMLInputElement).value }),
    });
  }

  #states(): View {
    const words: [Search["state"], string][] = [["", "Any state"], ["unsynced", "Not synced"], ["synced", "Synced"], ["pending", "Pending"], ["conflict", "In conflict"], ["rejected", "Rejected"]];
    const change = (event: Event) => this.#narrow({ state: (event.target as HTMLSelectElement).value as Search["state"] });
    return h("select", { "aria-label": "Sync state", value: this.#search.state, onchange: change }, ...words.map(([value, text]) => h("option", { value, selected: value === this.#search.state }, text)));
  }

  #row(index: number): readonly Child[] | undefined {
    const row = this.#rows[index - this.#first];
    return row && [pill(row.$syncState, STATE_TONES[row.$syncState] ?? "quiet"), idCell(row.id, row.spaceId), mono(number(row.version)), mono(clock(row.modifiedAt)), mono(preview(ownFields(row)))];
  }
}
