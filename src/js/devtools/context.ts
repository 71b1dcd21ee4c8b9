/** What a panel is given, and what it is. */

import type { Datum } from "datum-sync";
import type { Child } from "./dom.js";
import type { Recorder } from "./recorder.js";
import type { Scope } from "./scope.js";
import type { PanelName } from "./surface.js";

/** A question before something that cannot be undone. */
export interface Question {
  readonly title: string;
  readonly text: string;
  /** The words on the button that does it. */
  readonly yes: string;
  /** True if something is lost. */
  readonly isGrave?: boolean;
}

/** What a panel is given: an instance, a user, and the panel's frame. */
export interface Context {
  readonly datum: Datum<any>;
  readonly userId: string;
  readonly recorder: Recorder;
  /** Draws the panel again in the next frame. */
  invalidate(): void;
  /** Does what a button asks for. What it returns, or its failure, is shown to the user. */
  act(work: () => Promise<string | void>): void;
  ask(question: Question): Promise<boolean>;
  /** Shows another panel, with what it should select. */
  open(panel: PanelName, selection?: string): void;
  /** Shows a failure of what the panel reads. */
  fail(thrown: unknown): void;
  copy(text: string): void;
}

/** One panel, for one user. */
export interface Panel {
  /** Begins to read: the panel is shown until the scope ends. */
  start(scope: Scope): void;
  view(): readonly Child[];
  select?(selection: string): void;
}
