// Guide page: fresh data. An ordinary sync and a forced one, side by side.

import { Datum, type SyncResult } from "datum-sync";

import type { Task } from "../device.ts";
import { find, make } from "../dom.ts";
import { freshData, isVerified, newData } from "../patterns/fresh-data.ts";
import source from "../patterns/fresh-data.ts?raw";
import { number, size, time } from "../messages.ts";
import { showTasks, GuidePage } from "./page.ts";

const page = new GuidePage("fresh-data", source);
const { userId } = page;
const list = find(document, "[data-testid=tasks]");
const results = find(document, "[data-testid=results]");

const datum = await Datum.initialize({ name: page.name, entities: { tasks: {} }, remote: page.remote, initialUserId: userId });
const tasks = datum.manager<Task>("tasks");

async function show(): Promise<void> {
  showTasks(list, await tasks.readAll());
  const local = await datum.getSyncMetadata(userId);
  const known = find(document, "[data-testid=known]");
  known.textContent =
    local?.lastSuccessfulSyncTime === undefined ? "Nothing; the next sync starts from the beginning" : `Synced at ${time(local.lastSuccessfulSyncTime)}, ${number(local.entityCounts["tasks"]?.count ?? 0)} tasks`;
}

function record(what: string, result: SyncResult, verified: boolean | undefined): void {
  const cells = [number(result.pulledCount), number(result.pushedCount), size(result.bytesPulled), verified === undefined ? "not known" : verified ? "yes" : "no"];
  results.prepend(make("tr", {}, make("th", { scope: "row" }, what), ...cells.map((text) => make("td", {}, text))));
  while (results.children.length > 6) results.lastElementChild?.remove();
}

const run = (what: string, sync: typeof freshData) => async (): Promise<void> => {
  const result = await sync(datum, userId);
  record(what, result, await isVerified(datum, userId));
  page.print(result.isSuccess ? `${what}: ${number(result.pulledCount)} rows were new here, ${size(result.bytesPulled)} fetched` : `${what}: ${result.error?.message ?? "skipped"}`, result.isSuccess ? "good" : "warn");
  await show();
};

page.onPress("sync", run("Sync", newData));
page.onPress("fresh", run("Fresh data", freshData));
page.onPress("forget", async () => {
  await datum.clearSyncMetadata(userId);
  page.print("The sync state was cleared; no task was changed");
  await show();
});
page.onPress("write", async () => {
  await tasks.create({ title: "Written here, not sent yet", done: false });
  await show();
});
page.onPress("second", async () => {
  page.print(`Another device added “${await page.secondDevice.write()}”`);
});
void page.attempt(async () => {
  await page.secondDevice.seed(40);
  await show();
  await run("Sync", newData)();
});
