// The page of background sync: nothing is pressed, and the list is current.

import { find, setText } from "../dom.ts";
import { followTasks, nextSync, openApp, setAutoSync } from "../patterns/background.ts";
import source from "../patterns/background.ts?raw";
import { count } from "../words.ts";
import { showTasks, Stage } from "./stage.ts";

/** An app's is a quarter of an hour; nobody waits that long to see it. */
const INTERVAL = 4_000;

const stage = new Stage("background", source);
const { userId } = stage;
const list = find(document, "[data-testid=tasks]");
const auto = find<HTMLInputElement>(document, "[data-testid=auto]");

const datum = await openApp(stage.remote, userId, INTERVAL);
const tasks = datum.manager("tasks");

void stage.attempt(() => followTasks(datum, (all) => showTasks(list, all)));
void stage.attempt(async () => {
  // A snapshot comes with each change, not only with the end of a cycle.
  const ended = new Set<string>();
  for await (const { status, lastCompletedAt, syncedCount, errors } of datum.statusForUser(userId)) {
    if (lastCompletedAt === undefined || ended.has(lastCompletedAt) || status === "syncing") continue;
    ended.add(lastCompletedAt);
    setText(find(document, "[data-testid=cycles]"), String(ended.size));
    if (status === "failed") stage.say(`Failed (${errors.at(-1)?.code ?? "unknown"}): it is tried again`, "warn");
    else if (syncedCount > 0) stage.say(`Synced by itself: ${count(syncedCount, "item")}`, "good");
  }
});
setInterval(() => {
  const next = nextSync(datum, userId);
  const seconds = next === null ? null : Math.max(0, Math.ceil((Date.parse(next) - Date.now()) / 1000));
  setText(find(document, "[data-testid=next]"), seconds === null ? "not by itself" : `in ${seconds} s`);
}, 250);

auto.addEventListener("change", () => {
  setAutoSync(datum, userId, auto.checked, INTERVAL);
  stage.say(auto.checked ? "Syncs by itself" : "Syncs only when asked");
});
stage.press("write", () => tasks.create({ title: "Written here", done: false }));
stage.press("second", async () => {
  stage.say(`Another device added “${await stage.second.write()}”`);
});
void stage.attempt(() => stage.second.seed());
