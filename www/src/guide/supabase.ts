// Guide page: an app on Supabase. It runs against a project of the reader's own.

import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { Datum } from "datum-sync";

import { find, setText } from "../dom.ts";
import { count } from "../messages.ts";
import { openDatum, type Screens, type Task } from "../patterns/supabase.ts";
import source from "../patterns/supabase.ts?raw";
import { showTasks, GuidePage } from "./page.ts";

const KEY = "datum-guide-project";
const page = new GuidePage("supabase", source);
const at = <E extends HTMLElement>(testid: string): E => find<E>(document, `[data-testid=${testid}]`);
const [url, key] = [at<HTMLInputElement>("url"), at<HTMLInputElement>("key")];
const [email, password] = [at<HTMLInputElement>("email"), at<HTMLInputElement>("password")];
const screens = {
  project: find(document, "[data-screen=project]"),
  login: find(document, "[data-screen=login]"),
  tasks: find(document, "[data-screen=tasks]"),
};

/** Shows one screen. Moves the focus to it if the previous screen had the focus. */
function showScreen(name: keyof typeof screens): void {
  if (!screens[name].hidden) return;
  const hadFocus = Object.values(screens).some((screen) => screen.contains(document.activeElement));
  for (const [key, screen] of Object.entries(screens)) screen.hidden = key !== name;
  if (hadFocus) find(screens[name], "h3").focus();
}

// The user of the other pages: here it is the project's.
find(document, ".user").hidden = true;

let supabase: SupabaseClient | undefined;
let datum: Datum<{ tasks: Task }> | undefined;
let shown: string | undefined;

/** Keeps the list current for as long as the user is signed in. */
async function show(userId: string): Promise<void> {
  setText(at("whose"), "Your tasks");
  showScreen("tasks");
  if (shown === userId || datum === undefined) return;
  shown = userId;
  for await (const all of datum.manager("tasks").watchAll({ userId })) {
    if (shown !== userId) return;
    showTasks(at("tasks"), all);
  }
}

const app: Screens = {
  login(unsent) {
    shown = undefined;
    setText(at("unsent"), unsent === 0 ? "" : `${count(unsent, "change")} on this device will be sent at the next sign-in.`);
    page.print("Signed out", unsent === 0 ? "info" : "warn");
    showScreen("login");
  },
  tasks(userId, isCurrent) {
    page.print(isCurrent ? "Signed in, and everything is here" : "Signed in. Not current: saved data from last time", isCurrent ? "good" : "warn");
    void page.attempt(() => show(userId));
  },
};

async function connect(): Promise<void> {
  if (url.value.trim() === "" || key.value.trim() === "") throw new Error("Enter the address and the key of your project, from its dashboard under Connect.");
  if (datum !== undefined) return showScreen(datum.currentUserId === null ? "login" : "tasks");
  supabase = createClient(url.value.trim(), key.value.trim(), { global: { fetch: page.networkSim.fetch as typeof fetch } });
  datum = await openDatum(supabase, app, page.name);
  sessionStorage.setItem(KEY, JSON.stringify({ url: url.value, key: key.value }));
  setText(at("project"), new URL(url.value).host);
  void page.attempt(follow);
  if (datum.currentUserId === null) showScreen("login");
  else void page.attempt(() => show(datum?.currentUserId ?? ""));
}

/** Says what the engine does. */
async function follow(): Promise<void> {
  for await (const event of datum!.events({ type: ["syncCompleted", "syncFailed", "deadLetter"] as const })) {
    if (event.type === "syncFailed") page.print(event.error.message, "bad");
    else if (event.type === "deadLetter") page.print(`Refused (${event.deadLetter.code}): ${event.deadLetter.message}`, "bad");
    else if (event.result.syncedCount > 0) page.print(`Sent ${event.result.pushedCount}, received ${event.result.pulledCount}`, "good");
  }
}

/** Signs in, or makes the account first. */
async function enter(isNew: boolean): Promise<void> {
  const given = { email: email.value.trim(), password: password.value };
  const { error, data } = isNew ? await supabase!.auth.signUp(given) : await supabase!.auth.signInWithPassword(given);
  if (error) throw error;
  if (data.session === null) page.print("Open the link in the mail that Supabase has sent, then sign in", "warn");
}

/** A form whose button does the same as Enter in a field. */
function onSubmit(testid: string, button: string, work: () => Promise<unknown>): void {
  page.onPress(button, work);
  at<HTMLFormElement>(testid).addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter === null) at(button).click();
  });
}

onSubmit("project-form", "connect", connect);
onSubmit("login-form", "sign-in", () => enter(false));
page.onPress("sign-up", () => enter(true));
// With a new page, since this one's instance and client belong to the project.
page.onPress("another", async () => {
  sessionStorage.removeItem(KEY);
  location.assign(location.pathname);
});
page.onPress("sign-out", async () => {
  const { error } = await supabase!.auth.signOut();
  if (error) throw error;
});
page.onPress("write", async () => {
  await datum!.manager("tasks").create({ title: `Written at ${new Date().toLocaleTimeString()}`, done: false });
});

void page.attempt(async () => {
  const asked = new URLSearchParams(location.search);
  const known = JSON.parse(sessionStorage.getItem(KEY) ?? "{}") as { url?: string; key?: string };
  url.value = asked.get("project") ?? known.url ?? "";
  key.value = asked.get("key") ?? known.key ?? "";
  if (url.value !== "" && key.value !== "") await connect();
});
