// Guide page: sync metadata. What this device and the server know, and how an app uses it.

import { Datum, type SyncMetadata } from "datum-sync";

import type { Task } from "../device.ts";
import { coalesce, find, make, setText } from "../dom.ts";
import { compare, conflictAlert, decide, deviceList, syncAndAsk, syncIfOlderThan, setAppVersion, welcome } from "../patterns/metadata.ts";
import source from "../patterns/metadata.ts?raw";
import { describeResult, time } from "../messages.ts";
import { GuidePage } from "./page.ts";

const page = new GuidePage("metadata", source);
const at = (testid: string): HTMLElement => find(document, `[data-testid=${testid}]`);

let userId = page.userId;
let datum: Datum;

async function open(): Promise<void> {
  page.session.userId = userId;
  datum = await Datum.initialize({ name: page.name, entities: { tasks: {} }, remote: page.remote, initialUserId: userId });
  setText(at("welcome"), await welcome(datum, userId));
  setText(at("who"), `Signed in as ${userId}`);
  await show();
}

const show = coalesce(async () => {
  const [local, remote, compared] = await Promise.all([datum.getSyncMetadata(userId), datum.getRemoteSyncMetadata(userId), compare(datum, userId)]);
  setText(at("compare"), compared);
  const alert = conflictAlert(local);
  setText(find(at("conflict"), "span"), alert ?? "");
  at("conflict").hidden = alert === null;
  at("devices").replaceChildren(
    ...deviceList(remote, local).map((device) =>
      make("li", {}, make("code", { title: device.id }, device.id.slice(-8)), make("span", {}, device.isThis ? "this device" : "another device"), make("time", { datetime: device.lastSync }, time(device.lastSync))),
    ),
  );
  at("fields").replaceChildren(...fields.map(([name, read]) => row(name, local && read(local), remote && read(remote))));
});

/** All fields of the metadata. */
const fields: [string, (metadata: SyncMetadata) => unknown][] = [
  ["syncStatus", (m) => m.syncStatus],
  ["lastSyncTime", (m) => m.lastSyncTime && time(m.lastSyncTime)],
  ["lastSuccessfulSyncTime", (m) => m.lastSuccessfulSyncTime && time(m.lastSuccessfulSyncTime)],
  ["dataHash", (m) => m.dataHash?.slice(0, 8)],
  ["deviceId", (m) => m.deviceId?.slice(-8)],
  ["deviceCount", (m) => m.deviceCount],
  ["entityCounts", (m) => Object.entries(m.entityCounts).map(([entity, { count }]) => `${entity}: ${count}`).join(", ")],
  ["conflictCount", (m) => m.conflictCount],
  ["retryCount", (m) => m.retryCount],
  ["errorMessage", (m) => m.errorMessage],
  ["syncDuration", (m) => m.syncDuration !== undefined && `${m.syncDuration} ms`],
  ["customMetadata", (m) => m.customMetadata && JSON.stringify(m.customMetadata)],
];

function row(name: string, local: unknown, remote: unknown): HTMLElement {
  const cell = (value: unknown): HTMLElement => make("td", {}, value === undefined || value === null || value === false || value === "" ? "–" : String(value));
  return make("tr", {}, make("th", { scope: "row" }, make("code", {}, name)), cell(local), cell(remote));
}

page.onPress("new-user", async () => {
  await datum.close();
  userId = `${page.userId}/${crypto.randomUUID().slice(0, 8)}`;
  await open();
  page.print(at("welcome").textContent ?? "");
});
page.onPress("return", async () => {
  await datum.close();
  await open();
  page.print(at("welcome").textContent ?? "");
});
page.onPress("sync", async () => {
  page.print(describeResult(await datum.synchronize(userId)), "good");
  await show();
});
page.onPress("recent", async () => {
  const result = await syncIfOlderThan(datum, userId, 60_000);
  page.print(result === null ? "Synced less than a minute ago: skipped" : describeResult(result), "good");
  await show();
});
page.onPress("custom", async () => {
  await setAppVersion(datum, userId, "1.4.0");
  page.print("The app's own fields are stored; the next sync sends them");
  await show();
});
page.onPress("second", async () => {
  page.print(`Another device added “${await (await page.secondDeviceOf(userId)).write()}”`);
  await show();
});
page.onPress("write", async () => {
  await datum.manager<Task>("tasks").create({ title: "Written here", done: false });
  await show();
});
/** The task that both devices have renamed. */
let disputed = "";
page.onPress("disagree", async () => {
  const tasks = datum.manager<Task>("tasks");
  const second = await page.secondDeviceOf(userId);
  await second.seed(1);
  await datum.synchronize(userId);
  const task = (await tasks.readAll()).find(({ title }) => !title.startsWith("Named"));
  if (!task) return;
  disputed = task.id;
  await second.rename(task.id, "Named on the other device");
  await tasks.patch(task.id, { title: "Named on this device" });
  await syncAndAsk(datum, userId);
  page.print("Both devices renamed the same task; you decide which name stays", "warn");
  await show();
});
for (const [button, side] of [["mine", "local"], ["theirs", "remote"]] as const) {
  page.onPress(button, async () => {
    await decide(datum, userId, side);
    const task = await datum.manager<Task>("tasks").read(disputed);
    page.print(`Decided: “${task?.title ?? ""}”`, "good");
    at("disagree").focus(); // The pressed button is about to be hidden.
    await show();
  });
}
void page.attempt(open);
