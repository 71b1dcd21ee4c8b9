// One of two people who share a list: an engine with a database and a network switch of its own, and its card on the page.

import { Datum, type DatumConfig, type DeadLetter, type PendingOperation, type SharedSpace, type SpaceMember } from "datum-sync";

import { coalesce, find, make, setText } from "../dom.ts";
import { count } from "../messages.ts";
import { Network } from "../network.ts";
import { contentOf, keepMine, refusedEdits, type Item } from "../patterns/sharing.ts";
import { tokenSource } from "../token.ts";
import type { GuidePage } from "./page.ts";

/** What a card shows. */
interface Snapshot {
  space: SharedSpace | undefined;
  members: readonly SpaceMember[];
  items: Item[];
  waiting: PendingOperation[];
  letters: readonly DeadLetter[];
}

interface Row {
  element: HTMLLIElement;
  done: HTMLInputElement;
  title: HTMLElement;
  hint: HTMLElement;
}

const may = { reader: "may only read", writer: "may write", owner: "owns" } as const;

export class Person {
  readonly name: string;
  readonly userId: string;
  readonly #page: GuidePage;
  readonly #network = new Network();
  readonly #rows = new Map<string, Row>();
  readonly #card: HTMLElement;
  #datum: Datum | undefined;
  /** Called with what the card shows, after every change. */
  onChange: ((now: Snapshot) => void) | undefined;

  constructor(page: GuidePage, name: string) {
    this.#page = page;
    this.name = name;
    this.userId = `${page.userId}/${name.toLowerCase()}`;
    this.#card = find(document, `[data-person=${name.toLowerCase()}]`);
  }

  get datum(): Datum {
    if (!this.#datum) throw new Error(`${this.name}'s device is not open yet`);
    return this.#datum;
  }

  /** Opens the database. From then on it syncs automatically. */
  async open(): Promise<void> {
    const network = this.#network;
    const config: DatumConfig<{ items: Item }> = {
      name: `${this.#page.name}-${this.name.toLowerCase()}`,
      entities: { items: {} },
      remote: { url: location.origin, headers: tokenSource(this.userId, network), fetch: (url, init) => network.fetch(url, init) },
      initialUserId: this.userId,
      autoStartSync: true,
      realtime: true, // the other person's changes show at once
      syncAfterWrite: 200,
      retry: { maxAttempts: 1, max: 4_000 },
      coldStart: { strategy: "disabled" },
    };
    this.#datum = await Datum.initialize(config);
    this.#wire(this.#datum);
    await this.refresh();
  }

  async sync(): Promise<void> {
    // A device without a network says so on its switch.
    if (this.#network.on) await this.datum.synchronize(this.userId);
  }

  /** Reads everything again and shows it. */
  readonly refresh = coalesce(async () => {
    const { datum, userId } = this;
    const [space] = await datum.spaces().list();
    const now: Snapshot = {
      space,
      members: space ? await datum.spaces().members(space.spaceId) : [],
      items: await datum.manager<Item>("items").readAll(),
      waiting: await datum.pendingOperations(userId),
      letters: await refusedEdits(datum, userId),
    };
    this.#show(now);
    this.onChange?.(now);
  });

  #part<T extends HTMLElement>(name: string): T {
    return find<T>(this.#card, `[data-testid=${this.name.toLowerCase()}-${name}]`);
  }

  #wire(datum: Datum): void {
    const button = this.#part<HTMLButtonElement>("network");
    button.addEventListener("click", () => (this.#network.on = !this.#network.on));
    this.#network.addEventListener("change", () => {
      const { on } = this.#network;
      button.setAttribute("aria-checked", String(on));
      setText(find(button, ".switch-state"), on ? "on" : "off");
      this.#card.classList.toggle("is-offline", !on);
      if (on) void this.#page.attempt(() => this.sync());
    });
    const form = this.#part<HTMLFormElement>("form");
    const input = find<HTMLInputElement>(form, "input");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const title = input.value.trim();
      if (title !== "") void this.#write(() => this.#add(title).then(() => void (input.value = "")));
    });
    for (const [name, work] of [["keep", (letter: DeadLetter) => keepMine(datum, letter)], ["discard", ({ id }: DeadLetter) => datum.discardDeadLetter(id)]] as const) {
      this.#page.onPress(`${this.name.toLowerCase()}-${name}`, async () => {
        for (const letter of await refusedEdits(datum, this.userId)) await work(letter);
        await this.refresh();
        this.#card.focus();
      });
    }
    void this.#follow(datum);
    button.dataset["ready"] = "";
  }

  /** Tells what happens here in the log, and shows it. */
  async #follow(datum: Datum): Promise<void> {
    for await (const event of datum.events()) {
      const tell = (text: string, tone: "good" | "warn" | "info"): void => this.#page.print(`${this.name}: ${text}`, tone);
      if (event.type === "spaceJoined") tell("spaceJoined, a list to share", "good");
      if (event.type === "roleChanged") tell(`roleChanged, ${this.name} ${may[event.role]}`, "info");
      if (event.type === "spaceLeft") tell("spaceLeft, the list is gone from this device", "warn");
      if (event.type === "deadLetter") tell(`deadLetter, ${event.deadLetter.code}: “${contentOf(event.deadLetter).title}”`, "warn");
      if (event.type !== "syncProgress") void this.#page.attempt(this.refresh);
    }
  }

  async #add(title: string): Promise<void> {
    const [space] = await this.datum.spaces().list();
    if (space) await this.datum.manager<Item>("items").create({ title, done: false }, { spaceId: space.spaceId });
  }

  /** Runs a write. What the role forbids is refused at once. */
  async #write(work: () => Promise<unknown>): Promise<void> {
    await this.#page.attempt(async () => {
      try {
        await work();
      } catch (error) {
        throw new Error(`${this.name}: ${code(error)}, refused on the device`, { cause: error });
      }
    });
    await this.refresh();
  }

  #show({ space, items, waiting, letters }: Snapshot): void {
    const shared = items.filter((item) => item.spaceId !== undefined && item.spaceId === space?.spaceId);
    const own = items.filter((item) => item.spaceId === undefined);
    const pending = waiting.length === 0 ? "" : `, ${count(waiting.length, "change")} waiting`;
    const role = space ? `${may[space.role]} “${space.name ?? "…"}”` : "is in no list";
    setText(this.#part("role"), `${role}${pending}`);
    this.#card.dataset["role"] = space?.role ?? "none";
    const form = this.#part("form");
    if (!space && form.contains(document.activeElement)) this.#card.focus();
    form.hidden = !space;
    this.#showList(shared, new Set(waiting.map((operation) => operation.entityId)), space !== undefined);
    this.#part("own").hidden = own.length === 0;
    find(this.#part("own"), "ul").replaceChildren(...own.map((item) => make("li", {}, make("span", {}, item.title))));
    this.#part("letters").hidden = letters.length === 0;
    const lines = letters.map((letter) => {
      const why = make("code", {}, letter.code);
      return make("li", {}, make("span", {}, `“${contentOf(letter).title}”`), why, ...(letter.maybe ? [" the server may have it"] : []));
    });
    find(this.#part("letters"), "ul").replaceChildren(...lines);
  }

  #showList(items: Item[], waiting: Set<string>, isMember: boolean): void {
    items.sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.id.localeCompare(b.id));
    const list = this.#part("list");
    const ids = new Set(items.map((item) => item.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      if (row.element.contains(document.activeElement)) this.#card.focus();
      row.element.remove();
      this.#rows.delete(id);
    }
    list.querySelector(".rest")?.remove();
    let before = list.firstElementChild;
    for (const item of items) {
      const row = this.#row(item.id);
      row.done.checked = item.done;
      row.done.setAttribute("aria-label", item.title);
      row.element.classList.toggle("is-done", item.done);
      row.element.dataset["waiting"] = String(waiting.has(item.id));
      setText(row.title, item.title);
      setText(row.hint, waiting.has(item.id) ? "waiting" : `v${item.version}`);
      if (row.element === before) before = before.nextElementSibling;
      else list.insertBefore(row.element, before);
    }
    if (items.length === 0) list.append(make("li", { class: "rest" }, isMember ? "Nothing here yet." : `Nothing is shared with ${this.name}.`));
  }

  #row(id: string): Row {
    const known = this.#rows.get(id);
    if (known) return known;
    const done = make("input", { type: "checkbox", class: "task-done" });
    const title = make("span", { class: "task-title" });
    const hint = make("span", { class: "task-hint" });
    const row = { element: make("li", { class: "task" }, done, title, hint), done, title, hint };
    done.addEventListener("change", () => void this.#write(() => this.datum.manager<Item>("items").patch(id, { done: done.checked })));
    this.#rows.set(id, row);
    return row;
  }
}

const code = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error);
