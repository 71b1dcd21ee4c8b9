// The page of login and relogin: two users share a device, one after the other.

import { Datum } from "datum-sync";

import type { Task } from "../device.ts";
import { find, make, setText } from "../dom.ts";
import { onSignedIn, onSignedOut, type Screens } from "../patterns/login.ts";
import source from "../patterns/login.ts?raw";
import { count } from "../words.ts";
import { showTasks, Stage } from "./stage.ts";

const stage = new Stage("login", source);
const people = ["Ada", "Ben"] as const;
const idOf = (name: string): string => `${stage.userId}/${name.toLowerCase()}`;
const nameOf = (userId: string): string => people.find((name) => idOf(name) === userId) ?? userId;

const screens = {
  login: find(document, "[data-screen=login]"),
  waiting: find(document, "[data-screen=waiting]"),
  tasks: find(document, "[data-screen=tasks]"),
};
const list = find(document, "[data-testid=tasks]");
const slow = find<HTMLInputElement>(document, "[data-testid=slow]");

/** Shows one screen, and takes the focus along if it was on the one before. */
function turnTo(name: keyof typeof screens): void {
  if (!screens[name].hidden) return;
  const had = Object.values(screens).some((screen) => screen.contains(document.activeElement));
  for (const [key, screen] of Object.entries(screens)) screen.hidden = key !== name;
  if (had) find(screens[name], "h3, p").focus();
}

const datum = await Datum.initialize({ name: stage.name, entities: { tasks: {} }, remote: stage.remote });
const tasks = datum.manager<Task>("tasks");

const app: Screens = {
  login(unsent) {
    setText(find(document, "[data-testid=unsent]"), unsent === 0 ? "" : `${count(unsent, "change")} on this device will be sent at the next sign-in.`);
    turnTo("login");
  },
  waiting(text, progress) {
    turnTo("waiting");
    setText(find(screens.waiting, "[data-testid=waiting]"), text);
    setText(find(screens.waiting, "[data-testid=percent]"), progress === null ? "" : `${Math.round(progress * 100)} %`);
  },
  tasks(userId) {
    const { status } = datum.statusForUser(userId).current;
    stage.say(`The sync of ${nameOf(userId)} is over: ${status}`, status === "completed" ? "good" : "warn");
    void stage.attempt(async () => {
      setText(find(screens.tasks, "[data-testid=whose]"), `${nameOf(userId)}'s tasks`);
      setText(find(screens.tasks, "[data-testid=note]"), status === "completed" ? "" : "Not current: this is from last time.");
      showTasks(list, await tasks.readAll());
      turnTo("tasks");
    });
  },
};

for (const name of people) {
  stage.press(`sign-in-${name.toLowerCase()}`, async () => {
    stage.session.userId = idOf(name);
    stage.line.delay = slow.checked ? 700 : 0;
    await onSignedIn(datum, idOf(name), app);
  });
  find(document, `[data-testid=sign-in-${name.toLowerCase()}]`).prepend(make("span", { class: "face", "aria-hidden": "true" }, name.charAt(0)));
}
stage.press("write", async () => {
  await tasks.create({ title: "Written on the tablet", done: false });
  showTasks(list, await tasks.readAll());
});
stage.press("sign-out", async () => {
  if (datum.currentUserId !== null) await onSignedOut(datum, datum.currentUserId, app);
});
stage.press("second", async () => {
  const second = await stage.secondOf(stage.session.userId);
  stage.say(`${nameOf(second.userId)}'s other device added “${await second.write()}”`);
});
void stage.attempt(async () => {
  for (const name of people.toReversed()) await (await stage.secondOf(idOf(name))).seed(2);
  stage.session.userId = idOf("Ada");
  document.documentElement.dataset["ready"] = "true";
});
