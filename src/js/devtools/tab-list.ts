/** The tabs of the panels: a tablist, of which one tab is in the order of focus. */

import { h, type View } from "./dom.js";
import { number } from "./format.js";
import { PANELS, type PanelName } from "./surface.js";
import type { SyncStatus } from "datum-sync";

export const TITLES: Record<PanelName, string> = {
  status: "Status",
  outbox: "Outbox",
  conflicts: "Conflicts",
  deadLetters: "Dead letters",
  entities: "Entities",
  metadata: "Metadata",
  storage: "Storage",
  tabs: "Tabs",
  log: "Log",
};

/** Returns how much waits behind a tab. */
function count(name: PanelName, status: SyncStatus | undefined): number {
  if (name === "outbox") return status?.pendingOperations ?? 0;
  if (name === "conflicts") return status?.unresolvedConflicts ?? 0;
  return name === "deadLetters" ? (status?.deadLetters ?? 0) : 0;
}

/** Returns the tabs. `choose` gets the panel, and whether the focus goes along. */
export function tabList(shown: PanelName, status: SyncStatus | undefined, choose: (name: PanelName) => void): View {
  const key = (event: KeyboardEvent) => {
    const at = PANELS.indexOf(shown);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: PANELS.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const name = PANELS[(next + PANELS.length) % PANELS.length] as PanelName;
    choose(name);
    (event.currentTarget as HTMLElement).querySelector<HTMLElement>(`#tab-${name}`)?.focus();
  };
  const tab = (name: PanelName) => {
    const waiting = count(name, status);
    return h(
      "button",
      { type: "button", role: "tab", id: `tab-${name}`, class: `tab ${name}`, "aria-selected": String(name === shown), "aria-controls": "panel", tabindex: name === shown ? 0 : -1, onclick: () => choose(name) },
      TITLES[name],
      waiting > 0 && h("span", { class: "badge" }, number(waiting)),
    );
  };
  return h("div", { role: "tablist", "aria-label": "Panels", class: "tab-list", onkeydown: key }, ...PANELS.map(tab));
}
