// Guide page: login and relogin. Two users take turns on one device.

import { Datum } from "datum-sync";

import type { Task } from "../device.ts";
import { find, make, setText } from "../dom.ts";
import { onSignedIn, onSignedOut, type Screens } from "../patterns/login.ts";
import source from "../patterns/login.ts?raw";
import { count } from "../messages.ts";
import { showTasks, GuidePage } from "./page.ts";

const page = new GuidePage("login", source);
const people = ["Ada", "Ben"] as const;
const idOf = (name: string): string => `${page.userId}/${name.toLowerCase()}`;
const nameOf = (userId: string): string => people.find((name) => idOf(name) === userId) ?? userId;

const screens = {
  login: find(document, "[data-screen=login]"),
  waiting: find(document, "[data-screen=waiting]"),
  tasks: find(document, "[data-screen=tasks]"),
};
const list = find(document, "[data-testid=tasks]");
const slow = find<HTMLInputElement>(document, "[data-testid=slow]");

/** Shows one screen. Moves the focus to it if the previous screen had the focus. */
function showScreen(name: keyof typeof screens): void {
  if (!screens[name].hidden) return;
  const hadFocus = Object.values(screens).some((screen) => screen.contains(document.activeElement));
  for (const [key, screen] of Object.entries(screens)) screen.hidden = key !== name;
  if (hadFocus) find(screens[name], "h3, p").focus();
}

const datum = await Datum.initialize({ name: page.name, entities: { tasks: {} }, remote: page.remote });
const tasks = datum.manager<Task>("tasks");

const app: Screens = {
  login(unsent) {
    setText(find(document, "[data-testid=unsent]"), unsent === 0 ? "" : `${count(unsent, "change")} on this device will be sent at the next sign-in.`);
    showScreen("login");
  },
  waiting(text, progress) {
    showScreen("waiting");
    setText(find(screens.waiting, "[data-testid=waiting]"), text);
    setText(find(screens.waiting, "[data-testid=percent]"), progress === null ? "" : `${Math.round(progress * 100)} %`);
  },
  tasks(userId) {
    const { status } = datum.statusForUser(userId).current;
    page.print(`${nameOf(userId)}'s sync ended: ${status}`, status === "completed" ? "good" : "warn");
    void page.attempt(async () => {
      setText(find(screens.tasks, "[data-testid=whose]"), `${nameOf(userId)}'s tasks`);
      setText(find(screens.tasks, "[data-testid=note]"), status === "completed" ? "" : "Not current: saved data from last time.");
      showTasks(list, await tasks.readAll());
      showScreen("tasks");
    });
  },
};

for (const name of people) {
  page.onPress(`sign-in-${name.toLowerCase()}`, async () => {
    page.session.userId = idOf(name);
    page.networkSim.delay = slow.checked ? 700 : 0;
    await onSignedIn(datum, idOf(name), app);
  });
  find(document, `[data-testid=sign-in-${name.toLowerCase()}]`).prepend(make("span", { class: "face", "aria-hidden": "true" }, name.charAt(0)));
}
page.onPress("write", async () => {
  await tasks.create({ title: "Written on the tablet", done: false });
  showTasks(list, await tasks.readAll());
});
page.onPress("sign-out", async () => {
  if (datum.currentUserId !== null) await onSignedOut(datum, datum.currentUserId, app);
});
page.onPress("second", async () => {
  const second = await page.secondDeviceOf(page.session.userId);
  page.print(`${nameOf(second.userId)}'s other device added “${await second.write()}”`);
});
void page.attempt(async () => {
  for (const name of people.toReversed()) await (await page.secondDeviceOf(idOf(name))).seed(2);
  page.session.userId = idOf("Ada");
  document.documentElement.dataset["ready"] = "true";
});
