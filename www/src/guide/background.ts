// Guide page: background sync. The list stays current without a button.

import { find, setText } from "../dom.ts";
import { followTasks, nextSync, openApp, setAutoSync } from "../patterns/background.ts";
import source from "../patterns/background.ts?raw";
import { count } from "../messages.ts";
import { showTasks, GuidePage } from "./page.ts";

/** Short enough to watch; the default is 15 minutes. */
const INTERVAL = 4_000;

const page = new GuidePage("background", source);
const { userId } = page;
const list = find(document, "[data-testid=tasks]");
const auto = find<HTMLInputElement>(document, "[data-testid=auto]");

const datum = await openApp(page.remote, userId, INTERVAL);
const tasks = datum.manager("tasks");

void page.attempt(() => followTasks(datum, (all) => showTasks(list, all)));
const feed = datum.statusForUser(userId);
void page.attempt(async () => {
  // The feed has more snapshots than finished cycles: each cycle is counted once.
  const ended = new Set<string>();
  for await (const { status, lastCompletedAt, syncedCount, errors } of feed) {
    if (lastCompletedAt === undefined || ended.has(lastCompletedAt) || status === "syncing") continue;
    ended.add(lastCompletedAt);
    setText(find(document, "[data-testid=cycles]"), String(ended.size));
    if (status === "failed") page.print(`Failed (${errors.at(-1)?.code ?? "unknown"}): will be retried`, "warn");
    else if (syncedCount > 0) page.print(`Synced automatically: ${count(syncedCount, "item")}`, "good");
  }
});
/** When the next cycle begins. One that runs may send what is written now, whatever is scheduled. */
function whenNext(): string {
  if (feed.current.status === "syncing") return "now";
  const next = nextSync(datum, userId);
  return next === null ? "not scheduled" : `in ${Math.max(0, Math.ceil((Date.parse(next) - Date.now()) / 1000))} s`;
}
setInterval(() => setText(find(document, "[data-testid=next]"), whenNext()), 250);

auto.addEventListener("change", () => {
  setAutoSync(datum, userId, auto.checked, INTERVAL);
  page.print(auto.checked ? "Syncs automatically" : "Syncs only on request");
});
page.onPress("write", () => tasks.create({ title: "Written here", done: false }));
page.onPress("second", async () => {
  page.print(`Another device added “${await page.secondDevice.write()}”`);
});
void page.attempt(() => page.secondDevice.seed());
