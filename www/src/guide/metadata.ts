// The page of sync metadata: what this device and the server know, and what an app makes of it.

import { Datum, type SyncMetadata } from "datum-sync";

import type { Task } from "../device.ts";
import { coalesce, find, make, setText } from "../dom.ts";
import { compare, conflictAlert, decide, deviceList, syncAndAsk, syncIfOlderThan, tellVersion, welcome } from "../patterns/metadata.ts";
import source from "../patterns/metadata.ts?raw";
import { aboutResult, time } from "../words.ts";
import { Stage } from "./stage.ts";

const stage = new Stage("metadata", source);
const at = (testid: string): HTMLElement => find(document, `[data-testid=${testid}]`);

let userId = stage.userId;
let datum: Datum;

async function open(): Promise<void> {
  stage.session.userId = userId;
  datum = await Datum.initialize({ name: stage.name, entities: { tasks: {} }, remote: stage.remote, initialUserId: userId });
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

/** Every field that there is. */
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

stage.press("new-user", async () => {
  await datum.close();
  userId = `${stage.userId}/${crypto.randomUUID().slice(0, 8)}`;
  await open();
  stage.say(at("welcome").textContent ?? "");
});
stage.press("return", async () => {
  await datum.close();
  await open();
  stage.say(at("welcome").textContent ?? "");
});
stage.press("sync", async () => {
  stage.say(aboutResult(await datum.synchronize(userId)), "good");
  await show();
});
stage.press("recent", async () => {
  const result = await syncIfOlderThan(datum, userId, 60_000);
  stage.say(result === null ? "Synced less than a minute ago: skipped" : aboutResult(result), "good");
  await show();
});
stage.press("custom", async () => {
  await tellVersion(datum, userId, "1.4.0");
  stage.say("The app's own fields are kept; the next sync tells the server");
  await show();
});
stage.press("second", async () => {
  stage.say(`Another device added “${await (await stage.secondOf(userId)).write()}”`);
  await show();
});
stage.press("write", async () => {
  await datum.manager<Task>("tasks").create({ title: "Written here", done: false });
  await show();
});
stage.press("disagree", async () => {
  const tasks = datum.manager<Task>("tasks");
  const second = await stage.secondOf(userId);
  await second.seed(1);
  await datum.synchronize(userId);
  const [task] = await tasks.readAll();
  if (!task) return;
  await second.rename(task.id, "Named on the other device");
  await tasks.patch(task.id, { title: "Named on this device" });
  await syncAndAsk(datum, userId);
  stage.say("Both devices renamed one task; nothing decides until you do", "warn");
  await show();
});
for (const [button, side] of [["mine", "local"], ["theirs", "remote"]] as const) {
  stage.press(button, async () => {
    await decide(datum, userId, side);
    const titles = (await datum.manager<Task>("tasks").readAll()).map(({ title }) => title);
    stage.say(`Decided: “${titles.find((title) => title.startsWith("Named")) ?? ""}”`, "good");
    at("disagree").focus(); // The alert goes, and its buttons with it.
    await show();
  });
}
void stage.attempt(open);
