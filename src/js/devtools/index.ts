/**
 * datum-sync's panel for developers: what the sync does, in the page.
 *
 * Importing it registers the element `<datum-devtools>`. On a server it does nothing.
 *
 * @packageDocumentation
 */

import type { Datum } from "datum-sync";
import { defineDevtools, TAG, type DatumDevtoolsElement } from "./element.js";
import { PANELS, type DockSide, type Instance, type PanelName } from "./surface.js";

export { defineDevtools, type DatumDevtoolsElement } from "./element.js";
export type { DockSide, Instance, PanelName } from "./surface.js";

declare global {
  interface HTMLElementTagNameMap {
    "datum-devtools": DatumDevtoolsElement;
  }
}

/** How to mount the panel. What is left out is as the developer has left it, which the browser remembers. */
export interface DevtoolsOptions {
  /** What the panel calls the instance, where there are several. */
  name?: string;
  /** Whether it is open. */
  open?: boolean;
  dock?: DockSide;
  /** The panel that is shown first. */
  panel?: PanelName;
  /** Default: as the system. */
  theme?: "light" | "dark";
  /** The keys that open and close it: modifiers and a letter, a digit or a function key. Default `"Alt+Shift+D"`; false for none. */
  shortcut?: string | false;
  /** Whether a button in the corner opens it. Default true. */
  launcher?: boolean;
  /** The user to show. Default: the current one, also after a switch. */
  userId?: string;
  /** Where the element is put. Default: the end of the body. */
  parent?: Node;
}

/** A mounted panel. */
export interface Devtools {
  readonly element: DatumDevtoolsElement;
  /** Takes the instance away, and the element with the last one. */
  unmount(): void;
}

/** The panel of this page, and what was mounted. */
let mounted: { readonly element: DatumDevtoolsElement; readonly instances: Set<Instance> } | undefined;

/**
 * Shows the panel for an instance. A page has one panel: if there is one, the instance is added to it, and is the one that is shown.
 *
 * @example
 * if (import.meta.env.DEV) {
 *   const { mountDevtools } = await import("datum-sync/devtools");
 *   mountDevtools(datum);
 * }
 */
export function mountDevtools(datum: Datum<any>, options: DevtoolsOptions = {}): Devtools {
  if (typeof document === "undefined") throw new Error("mountDevtools: there is no document. Call it in a page.");
  if (typeof (datum as Partial<Datum<any>> | null | undefined)?.watchCurrentUser !== "function") throw new TypeError("mountDevtools: the first argument is no instance of Datum. Await Datum.initialize, and pass what it returns.");
  if (options.panel !== undefined && !PANELS.includes(options.panel)) throw new TypeError(`mountDevtools: \`panel\` is none of ${PANELS.join(", ")}.`);
  defineDevtools();
  const { element, instances } = (mounted ??= { element: document.createElement(TAG) as DatumDevtoolsElement, instances: new Set() });
  const instance: Instance = { datum, name: options.name, userId: options.userId };
  instances.add(instance);
  configure(element, options);
  element.instances = distinct(instances);
  element.choose(datum);
  // The page may have removed it with what it was in.
  if (!element.isConnected) (options.parent ?? document.body).appendChild(element);
  return {
    element,
    unmount() {
      if (!instances.delete(instance)) return;
      element.instances = distinct(instances);
      if (instances.size > 0) return;
      element.remove();
      if (mounted?.element === element) mounted = undefined;
    },
  };
}

/** The same instance may be mounted twice. */
const distinct = (instances: Iterable<Instance>): Instance[] => [...new Map([...instances].map((instance) => [instance.datum, instance])).values()];

function configure(element: DatumDevtoolsElement, { open, dock, panel, theme, shortcut, launcher }: DevtoolsOptions): void {
  if (theme !== undefined) element.setAttribute("theme", theme);
  if (shortcut !== undefined) element.setAttribute("shortcut", shortcut === false ? "" : shortcut);
  if (launcher !== undefined) element.toggleAttribute("nolauncher", !launcher);
  if (dock !== undefined) element.dock = dock;
  if (panel !== undefined) element.panel = panel;
  if (open !== undefined) element.open = open;
}

defineDevtools();
