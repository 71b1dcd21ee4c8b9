/** Where the panel was, remembered by the browser where a page may store something. */

import { PANELS, type DockSide, type PanelName } from "./surface.js";

export interface Settings {
  readonly isOpen: boolean;
  readonly dock: DockSide;
  /** The height at the bottom, in pixels. */
  readonly height: number;
  /** The width at the right, in pixels. */
  readonly width: number;
  readonly panel: PanelName;
}

const KEY = "datum-devtools";

export const DEFAULTS: Settings = { isOpen: false, dock: "bottom", height: 340, width: 560, panel: "status" };

/** How small and how large the panel may be, in pixels. */
export const LEAST = 180;
export const MOST = 4_000;

/** Returns what was stored, as far as it is what this version stores. */
export function readSettings(text: string | null): Settings {
  let stored: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    if (typeof value === "object" && value !== null) stored = value as Record<string, unknown>;
  } catch {
    // Something else is stored under this name.
  }
  const size = (value: unknown, usual: number) => (typeof value === "number" && value >= LEAST && value <= MOST ? Math.round(value) : usual);
  return {
    isOpen: stored["isOpen"] === true,
    dock: stored["dock"] === "right" ? "right" : "bottom",
    height: size(stored["height"], DEFAULTS.height),
    width: size(stored["width"], DEFAULTS.width),
    panel: PANELS.find((name) => name === stored["panel"]) ?? DEFAULTS.panel,
  };
}

/** Returns the stored settings; the usual ones where nothing may be read. */
export function loadSettings(): Settings {
  try {
    return readSettings(localStorage.getItem(KEY));
  } catch {
    return DEFAULTS;
  }
}

export function storeSettings(settings: Settings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Nothing may be stored, or there is no room.
  }
}

/** A combination of keys, such as `"Alt+Shift+D"`. */
export interface Shortcut {
  readonly alt: boolean;
  readonly control: boolean;
  readonly meta: boolean;
  readonly shift: boolean;
  /** The key by its place, such as `"KeyD"`, since with Alt it may write another letter. */
  readonly code: string;
}

/** Returns the shortcut that a text names; undefined if it names none. */
export function shortcutOf(text: string): Shortcut | undefined {
  const parts = text.split("+").map((part) => part.trim().toLowerCase());
  const key = parts.pop() ?? "";
  const names = new Set(parts);
  const code = /^[a-z]$/.test(key) ? `Key${key.toUpperCase()}` : /^\d$/.test(key) ? `Digit${key}` : /^f\d{1,2}$/.test(key) ? key.toUpperCase() : undefined;
  const isKnown = parts.every((part) => ["alt", "ctrl", "control", "meta", "shift"].includes(part));
  if (code === undefined || !isKnown || (parts.length === 0 && !code.startsWith("F"))) return undefined;
  return { alt: names.has("alt"), control: names.has("ctrl") || names.has("control"), meta: names.has("meta"), shift: names.has("shift"), code };
}

export const isPressed = (shortcut: Shortcut, event: KeyboardEvent): boolean =>
  event.code === shortcut.code && event.altKey === shortcut.alt && event.ctrlKey === shortcut.control && event.metaKey === shortcut.meta && event.shiftKey === shortcut.shift;
