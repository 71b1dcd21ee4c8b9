// The page of the initial sync: an app that is started again and again.

import type { Datum } from "datum-sync";

import type { Task } from "../device.ts";
import { coalesce, find, setText } from "../dom.ts";
import { initialSync, openApp } from "../patterns/initial-sync.ts";
import source from "../patterns/initial-sync.ts?raw";
import { showTasks, Stage } from "./stage.ts";

const stage = new Stage("initial-sync", source);
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
  const userId = signedIn.checked ? stage.userId : null;
  datum = await openApp(stage.remote, userId, stage.name);
  setText(state, userId === null ? "The app is open; nobody is signed in" : "The app is open");
  await show(); // What this device has, before any request.
  await initialSync(datum, userId, stage.log);
  await show();
});

stage.press("start", start);
signedIn.addEventListener("change", () => void stage.attempt(start));
stage.press("second", async () => {
  stage.say(`Another device added “${await stage.second.write()}”`);
});
stage.press("clear", async () => {
  await datum?.clearUserData(stage.userId);
  stage.say("This device has forgotten everything");
  await show();
});
void stage.attempt(async () => {
  await stage.second.seed();
  await start();
});
