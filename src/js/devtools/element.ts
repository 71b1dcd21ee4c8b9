/** The custom element. Its class is made when it is registered, since a server has no elements to extend. */

import type { Datum } from "datum-sync";
import { isPressed, shortcutOf } from "./settings.js";
import { Shell } from "./shell.js";
import { PANELS, type DockSide, type Instance, type PanelName } from "./surface.js";

/** The name of the element. */
export const TAG = "datum-devtools";

/** The usual keys that open and close the panel. */
export const SHORTCUT = "Alt+Shift+D";

/**
 * The panel as an element. Attributes: `open`, `dock` (`"bottom"` or `"right"`), `theme` (`"light"` or `"dark"`; without it, as the system),
 * `shortcut` (such as `"Alt+Shift+D"`, empty for none) and `nolauncher`.
 */
export interface DatumDevtoolsElement extends HTMLElement {
  /** The instance to show. It may come later, and may be another. */
  datum: Datum<any> | null | undefined;
  /** Several instances, to choose from. */
  instances: readonly (Datum<any> | Instance)[];
  /** The user to show of every instance. Default: the one that the instance was given with, or its current one, also after a switch. */
  userId: string | null | undefined;
  /** Whether the panel is open. Closed, it follows nothing. */
  open: boolean;
  dock: DockSide;
  /** Which panel is shown. */
  panel: PanelName;
  /** Shows one of the instances. */
  choose(datum: Datum<any>): void;
}

const instanceOf = (it: Datum<any> | Instance): Instance => ("datum" in it ? (it as Instance) : { datum: it as Datum<any> });

function makeClass(): new () => DatumDevtoolsElement {
  return class extends HTMLElement implements DatumDevtoolsElement {
    static readonly observedAttributes = ["open", "dock", "shortcut", "nolauncher"];
    readonly #shell: Shell;
    #onKey: ((event: KeyboardEvent) => void) | undefined;
    #userId: string | null | undefined;
    /** Attributes that this sets itself. */
    #isReflecting = false;

    constructor() {
      super();
      this.#shell = new Shell(this.attachShadow({ mode: "open" }), () => this.#reflect());
    }

    get datum(): Datum<any> | null | undefined {
      return this.#shell.datum;
    }

    set datum(datum: Datum<any> | null | undefined) {
      this.instances = datum ? [datum] : [];
    }

    get instances(): readonly Instance[] {
      return this.#shell.instances;
    }

    set instances(instances: readonly (Datum<any> | Instance)[]) {
      this.#shell.instances = [...instances].map(instanceOf);
      this.#shell.update();
    }

    choose(datum: Datum<any>): void {
      this.#shell.choose(datum);
    }

    get userId(): string | null | undefined {
      return this.#userId;
    }

    set userId(userId: string | null | undefined) {
      this.#userId = userId;
      this.#shell.chooseUser(userId ?? undefined);
    }

    get open(): boolean {
      return this.#shell.settings.isOpen;
    }

    set open(open: boolean) {
      this.#shell.set({ isOpen: open });
    }

    get dock(): DockSide {
      return this.#shell.settings.dock;
    }

    set dock(dock: DockSide) {
      this.#shell.set({ dock: dock === "right" ? "right" : "bottom" });
    }

    get panel(): PanelName {
      return this.#shell.settings.panel;
    }

    set panel(panel: PanelName) {
      if (PANELS.includes(panel)) this.#shell.set({ panel });
    }

    connectedCallback(): void {
      // Properties that were set before the element was registered.
      for (const name of ["datum", "instances", "userId", "open", "dock", "panel"] as const) this.#upgrade(name);
      this.#listen();
      this.#reflect();
      this.#shell.connect();
    }

    disconnectedCallback(): void {
      if (this.#onKey !== undefined) window.removeEventListener("keydown", this.#onKey, true);
      this.#onKey = undefined;
      this.#shell.disconnect();
    }

    attributeChangedCallback(name: string, _: string | null, value: string | null): void {
      if (this.#isReflecting) return;
      if (name === "open") this.#shell.set({ isOpen: value !== null });
      else if (name === "dock") this.dock = value === "right" ? "right" : "bottom";
      else if (name === "shortcut") this.#listen();
      else {
        this.#shell.hasLauncher = value === null;
        this.#shell.update();
      }
    }

    #upgrade(name: "datum" | "instances" | "userId" | "open" | "dock" | "panel"): void {
      const own = Object.getOwnPropertyDescriptor(this, name);
      if (own === undefined) return;
      Reflect.deleteProperty(this, name);
      Reflect.set(this, name, own.value);
    }

    /** Listens for the keys that open and close it. */
    #listen(): void {
      if (this.#onKey !== undefined) window.removeEventListener("keydown", this.#onKey, true);
      const text = this.getAttribute("shortcut") ?? SHORTCUT;
      const shortcut = shortcutOf(text);
      this.#shell.keys = shortcut === undefined ? undefined : text;
      this.#onKey = undefined;
      if (shortcut === undefined) return;
      this.#onKey = (event) => {
        if (!isPressed(shortcut, event)) return;
        event.preventDefault();
        event.stopPropagation();
        this.#shell.toggle();
      };
      window.addEventListener("keydown", this.#onKey, true);
    }

    #reflect(): void {
      const { isOpen, dock } = this.#shell.settings;
      this.#isReflecting = true;
      this.toggleAttribute("open", isOpen);
      this.setAttribute("dock", dock);
      this.#isReflecting = false;
    }
  };
}

/** Registers the element, where there are elements and unless it is registered. */
export function defineDevtools(): void {
  const registry = globalThis.customElements as CustomElementRegistry | undefined;
  if (registry === undefined || registry.get(TAG) !== undefined) return;
  registry.define(TAG, makeClass());
}
