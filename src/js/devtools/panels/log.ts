/** The log: what the instance kept, and what has happened since the panel was opened. */

import type { LogEntry } from "datum-sync";
import type { Context, Panel } from "../context.js";
import { h, own, type Child } from "../dom.js";
import { clock, plural, preview } from "../format.js";
import { VirtualList } from "../list.js";
import { contains, LEVELS, line } from "../log-words.js";
import { bar, button, empty, facts, heading, mono, pill, Shown, split, type Tone } from "../parts.js";

const TONES: Record<LogEntry["level"], Tone> = { trace: "quiet", debug: "quiet", info: "info", warn: "warn", error: "bad" };

export class LogPanel implements Panel {
  readonly #context: Context;
  readonly #list: VirtualList;
  readonly #shown: Shown;
  #level: LogEntry["level"] = "info";
  #text = "";
  #entries: readonly LogEntry[] = [];
  #chosen: LogEntry | undefined;

  constructor(context: Context) {
    this.#context = context;
    this.#shown = new Shown(() => context.invalidate());
    this.#list = new VirtualList({
      label: "The log, the latest first",
      columns: "log-row",
      heads: ["Time", "Level", "Scope", "Message"],
      row: (index) => row(this.#entries[index]),
      choose: (index) => {
        this.#chosen = this.#entries[index];
        context.invalidate();
      },
    });
  }

  start(): void {
    this.#context.invalidate();
  }

  view(): readonly Child[] {
    const least = LEVELS.indexOf(this.#level);
    this.#entries = this.#context.recorder.log.newest().filter((entry) => LEVELS.indexOf(entry.level) >= least && contains(entry, this.#text));
    const index = this.#chosen === undefined ? -1 : this.#entries.indexOf(this.#chosen);
    this.#list.show(this.#entries.length, index);
    const level = (event: Event) => {
      this.#level = (event.target as HTMLSelectElement).value as LogEntry["level"];
      this.#context.invalidate();
    };
    const text = (event: Event) => {
      this.#text = (event.target as HTMLInputElement).value;
      this.#context.invalidate();
    };
    return [
      bar(
        h("select", { "aria-label": "Lowest level", value: this.#level, onchange: level }, ...LEVELS.map((it) => h("option", { value: it, selected: it === this.#level }, it))),
        h("input", { type: "search", class: "search", "aria-label": "Filter the log", placeholder: "Text", spellcheck: "false", value: this.#text, oninput: text }),
        button("Copy", () => this.#context.copy([...this.#entries].reverse().map(line).join("\n")), { title: "Copies the entries that are shown, the oldest first." }),
        button("Clear", () => this.#clear(), { title: "Clears the panel's list, not the instance's log." }),
        h("span", { class: "soft", role: "status" }, plural(this.#entries.length, "entry", "entries")),
      ),
      this.#entries.length === 0 ? empty("Nothing logged", "Choose a lower level, or another text. What the instance kept from before has the levels info and above.") : split(own(this.#list.element), this.#detail(), "The selected entry"),
    ];
  }

  #detail(): readonly Child[] {
    const entry = this.#chosen;
    if (entry === undefined) return [empty("Select an entry", "Its fields are shown here.")];
    return [heading(entry.message), facts(["At", mono(entry.at)], ["Level", pill(entry.level, TONES[entry.level])], ["Scope", entry.scope]), this.#shown.json("Fields", entry.fields)];
  }

  #clear(): void {
    this.#context.recorder.log.clear();
    this.#chosen = undefined;
    this.#context.invalidate();
  }
}

function row(entry: LogEntry | undefined): readonly Child[] | undefined {
  if (entry === undefined) return undefined;
  const fields = Object.keys(entry.fields).length > 0 ? preview(entry.fields, 120) : "";
  return [mono(clock(entry.at)), pill(entry.level, TONES[entry.level]), mono(entry.scope), h("span", { title: entry.message }, entry.message, " ", h("span", { class: "soft mono" }, fields))];
}
