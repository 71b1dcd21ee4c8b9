// The page of fresh data: the everyday sync and the forced one, side by side.

import { Datum, type SyncResult } from "datum-sync";

import type { Task } from "../device.ts";
import { find, make } from "../dom.ts";
import { freshData, isVerified, newData } from "../patterns/fresh-data.ts";
import source from "../patterns/fresh-data.ts?raw";
import { number, size, time } from "../words.ts";
import { showTasks, Stage } from "./stage.ts";

const stage = new Stage("fresh-data", source);
const { userId } = stage;
const list = find(document, "[data-testid=tasks]");
const results = find(document, "[data-testid=results]");

const datum = await Datum.initialize({ name: stage.name, entities: { tasks: {} }, remote: stage.remote, initialUserId: userId });
const tasks = datum.manager<Task>("tasks");

async function show(): Promise<void> {
  showTasks(list, await tasks.readAll());
  const local = await datum.getSyncMetadata(userId);
  const known = find(document, "[data-testid=known]");
  known.textContent =
    local?.lastSuccessfulSyncTime === undefined ? "Nothing: it would start from the beginning" : `Synced at ${time(local.lastSuccessfulSyncTime)}, ${number(local.entityCounts["tasks"]?.count ?? 0)} tasks`;
}

function record(what: string, result: SyncResult, verified: boolean): void {
  const cells = [number(result.pulledCount), number(result.pushedCount), size(result.bytesPulled), verified ? "yes" : "no"];
  results.prepend(make("tr", {}, make("th", { scope: "row" }, what), ...cells.map((text) => make("td", {}, text))));
  while (results.children.length > 6) results.lastElementChild?.remove();
}

const run = (what: string, sync: typeof freshData) => async (): Promise<void> => {
  const result = await sync(datum, userId);
  record(what, result, await isVerified(datum, userId));
  stage.say(result.isSuccess ? `${what}: ${number(result.pulledCount)} rows were new here, ${size(result.bytesPulled)} fetched` : `${what}: ${result.error?.message ?? "not done"}`, result.isSuccess ? "good" : "warn");
  await show();
};

stage.press("sync", run("Sync", newData));
stage.press("fresh", run("Fresh data", freshData));
stage.press("forget", async () => {
  await datum.clearSyncMetadata(userId);
  stage.say("What was synced is forgotten; no task was touched");
  await show();
});
stage.press("write", async () => {
  await tasks.create({ title: "Written here, not sent yet", done: false });
  await show();
});
stage.press("second", async () => {
  stage.say(`Another device added “${await stage.second.write()}”`);
});
void stage.attempt(async () => {
  await stage.second.seed(40);
  await show();
  await run("Sync", newData)();
});
