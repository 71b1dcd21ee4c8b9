/** One instance and one user, as long as the panel shows them: what is recorded of them, and the panels. */

import type { Datum } from "datum-sync";
import type { Context, Panel, Question } from "./context.js";
import { ConflictsPanel } from "./panels/conflicts.js";
import { DeadLettersPanel } from "./panels/dead-letters.js";
import { EntitiesPanel } from "./panels/entities.js";
import { LogPanel } from "./panels/log.js";
import { MetadataPanel } from "./panels/metadata.js";
import { OutboxPanel } from "./panels/outbox.js";
import { StatusPanel } from "./panels/status.js";
import { StoragePanel } from "./panels/storage.js";
import { TabsPanel } from "./panels/tabs.js";
import { Recorder } from "./recorder.js";
import { Scope } from "./scope.js";
import type { PanelName } from "./surface.js";

const MAKE: Record<PanelName, new (context: Context) => Panel> = {
  status: StatusPanel,
  outbox: OutboxPanel,
  conflicts: ConflictsPanel,
  deadLetters: DeadLettersPanel,
  entities: EntitiesPanel,
  metadata: MetadataPanel,
  storage: StoragePanel,
  tabs: TabsPanel,
  log: LogPanel,
};

/** How long passes between two drawings of what the instance tells, in milliseconds: a pull tells of hundreds of things. */
const DRAW_MS = 100;

/** What a session needs of the element. */
export interface Frame {
  invalidate(): void;
  act(work: () => Promise<string | void>): void;
  ask(question: Question): Promise<boolean>;
  show(panel: PanelName): void;
  fail(thrown: unknown): void;
  copy(text: string): void;
}

export class Session {
  readonly recorder: Recorder;
  readonly #context: Context;
  readonly #scope = new Scope();
  readonly #panels = new Map<PanelName, Panel>();
  #shown: { name: PanelName; scope: Scope } | undefined;

  constructor(
    readonly datum: Datum<any>,
    readonly userId: string,
    frame: Frame,
  ) {
    this.recorder = new Recorder(userId);
    this.#context = {
      datum,
      userId,
      recorder: this.recorder,
      invalidate: () => frame.invalidate(),
      act: (work) => frame.act(work),
      ask: (question) => frame.ask(question),
      fail: (thrown) => frame.fail(thrown),
      copy: (text) => frame.copy(text),
      open: (name, selection) => {
        frame.show(name);
        if (selection !== undefined) this.panel(name).select?.(selection);
      },
    };
  }

  /** Begins to record. Throws if the instance is closed. */
  start(): void {
    this.#scope.add(this.recorder.hear(this.#scope.paced(DRAW_MS, () => this.#context.invalidate())));
    this.recorder.start(this.datum, this.#scope, (thrown) => this.#context.fail(thrown));
  }

  panel(name: PanelName): Panel {
    const known = this.#panels.get(name);
    if (known !== undefined) return known;
    const panel = new MAKE[name](this.#context);
    this.#panels.set(name, panel);
    return panel;
  }

  /** Shows one of the panels: only it reads. */
  show(name: PanelName): void {
    if (this.#shown?.name === name) return;
    this.#shown?.scope.end();
    this.#shown = { name, scope: this.#scope.child() };
    this.panel(name).start(this.#shown.scope);
  }

  end(): void {
    this.#scope.end();
  }
}
