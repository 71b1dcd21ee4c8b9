/** What apps name: the panels, the sides, and the instances that they give. */

import type { Datum } from "datum-sync";

/** The panels, in the order of their tabs. */
export const PANELS = ["status", "outbox", "conflicts", "deadLetters", "entities", "metadata", "storage", "tabs", "log"] as const;

/** The name of a panel. */
export type PanelName = (typeof PANELS)[number];

/** Where the panel is docked. */
export type DockSide = "bottom" | "right";

/** An instance that can be shown, and what the page calls it. */
export interface Instance {
  readonly datum: Datum<any>;
  /** Default: the `name` of its config. */
  readonly name?: string | undefined;
  /** The user to show of it, unless the element's `userId` names one. Default: the current one, also after a switch. */
  readonly userId?: string | undefined;
}
