// Guide page: status. Progress that is indeterminate until the engine reports a real figure.

import { Datum, type SyncStatus } from "datum-sync";

import { find, make, setText } from "../dom.ts";
import { followStatus, type StatusLine } from "../patterns/status.ts";
import source from "../patterns/status.ts?raw";
import { number } from "../messages.ts";
import { GuidePage } from "./page.ts";

const page = new GuidePage("status", source);
const { userId } = page;
const pill = find(document, "[data-testid=status]");
const text = find(document, "[data-testid=message]");
const bar = find(document, "[data-testid=progress]");
const sync = find<HTMLButtonElement>(document, "[data-testid=sync]");
const slow = find<HTMLInputElement>(document, "[data-testid=slow]");
const pause = find<HTMLButtonElement>(document, "[data-testid=pause]");
let stop = new AbortController();

const datum = await Datum.initialize({ name: page.name, entities: { tasks: {} }, remote: page.remote, initialUserId: userId });

const tones = { idle: "info", syncing: "info", completed: "good", failed: "bad", paused: "warn", cancelled: "warn" } as const;

function show(line: StatusLine, status: SyncStatus): void {
  pill.dataset["state"] = status.status;
  setText(pill, status.status);
  setText(text, line.text);
  const running = line.progress !== undefined;
  bar.classList.toggle("is-unknown", line.progress === null);
  bar.hidden = !running;
  if (line.progress == null) bar.removeAttribute("aria-valuenow");
  else bar.setAttribute("aria-valuenow", String(Math.round(line.progress * 100)));
  find<HTMLElement>(bar, ".bar").style.transform = `scaleX(${line.progress ?? 0})`;
  setText(find(sync, "span"), running ? "Stop" : "Sync");
  pause.setAttribute("aria-pressed", String(status.status === "paused"));
  const facts: [string, string][] = [
    ["waiting", number(status.pendingOperations)],
    ["synced in this cycle", number(status.syncedCount)],
    ["conflicts", number(status.unresolvedConflicts)],
    ["health", status.health.status],
  ];
  find(document, "[data-testid=facts]").replaceChildren(...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  const shown = line.progress === undefined ? "" : line.progress === null ? ", no figure yet" : `, ${Math.round(line.progress * 100)} %`;
  page.print(`${status.status}${shown}${status.phase ? `, ${status.phase}` : ""}`, tones[status.status]);
}

void page.attempt(() => followStatus(datum, userId, show));

sync.dataset["ready"] = "";
sync.addEventListener("click", () => {
  if (datum.statusForUser(userId).current.status === "syncing") {
    stop.abort();
    return;
  }
  stop = new AbortController();
  page.networkSim.delay = slow.checked ? 500 : 0;
  // The status feed shows the outcome.
  datum.synchronize(userId, { signal: stop.signal, overrideBatchSize: 100 }).catch(() => undefined);
});
pause.addEventListener("click", () => {
  const paused = datum.statusForUser(userId).current.status === "paused";
  void page.attempt(() => (paused ? datum.resumeSync(userId) : datum.pauseSync(userId)));
});
page.onPress("second", async () => {
  await page.secondDevice.write(400);
  page.print("Another device added 400 tasks");
});
page.onPress("write", () => datum.manager("tasks").create({ title: "Written here", done: false }));
