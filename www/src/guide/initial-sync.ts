// Guide page: initial sync. An app that can be started again.

import type { Datum } from "datum-sync";

import type { Task } from "../device.ts";
import { coalesce, find, setText } from "../dom.ts";
import { initialSync, openApp } from "../patterns/initial-sync.ts";
import source from "../patterns/initial-sync.ts?raw";
import { showTasks, GuidePage } from "./page.ts";

const page = new GuidePage("initial-sync", source);
const list = find(document, "[data-testid=tasks]");
const signedIn = find<HTMLInputElement>(document, "[data-testid=signed-in]");
const state = find(document, "[data-testid=app]");
let datum: Datum | undefined;

async function show(): Promise<void> {
  if (!datum) return;
  showTasks(list, datum.currentUserId === null ? [] : await datum.manager<Task>("tasks").readAll());
}

const start = coalesce(async () => {
  await datum?.close();
  list.replaceChildren();
  const userId = signedIn.checked ? page.userId : null;
  datum = await openApp(page.remote, userId, page.name);
  setText(state, userId === null ? "The app is open; nobody is signed in" : "The app is open");
  await show(); // The local data, before any request.
  await initialSync(datum, userId, page.log);
  await show();
});

page.onPress("start", start);
signedIn.addEventListener("change", () => void page.attempt(start));
page.onPress("second", async () => {
  page.print(`Another device added “${await page.secondDevice.write()}”`);
});
page.onPress("clear", async () => {
  await datum?.clearUserData(page.userId);
  page.print("This device was cleared");
  await show();
});
void page.attempt(async () => {
  await page.secondDevice.seed();
  await start();
});
