// Guide page: errors. A button for each way that a sync can end.

import { Datum } from "datum-sync";

import { find, make, setText } from "../dom.ts";
import { rejections, syncAndNotify, whileLoading, type Notice } from "../patterns/errors.ts";
import source from "../patterns/errors.ts?raw";
import type { SimRequest } from "./network-sim.ts";
import { GuidePage } from "./page.ts";

const page = new GuidePage("errors", source);
const { userId, networkSim, session } = page;
const datum = await Datum.initialize({ name: page.name, entities: { tasks: {} }, remote: page.remote, initialUserId: userId });
const tasks = datum.manager("tasks");

const loading = find(document, "[data-testid=loading]");
const notice = find(document, "[data-testid=notice]");

const syncOnce = (): Promise<Notice> => syncAndNotify(datum, userId);

const rejectPush = ({ endpoint, body }: SimRequest): Response | undefined => {
  if (endpoint !== "push") return undefined;
  const { operations } = body as { operations: { opId: string }[] };
  const results = operations.map(({ opId }) => ({ opId, status: "rejected", code: "titleTaken", message: "There is a task with this title." }));
  return Response.json({ results, serverTime: new Date().toISOString() });
};

/** The outcomes, and how to cause each. */
const cases: { name: string; label: string; run: () => Promise<Notice> }[] = [
  {
    name: "well",
    label: "All is well",
    async run() {
      await tasks.create({ title: "A task", done: false });
      return syncOnce();
    },
  },
  {
    name: "refused",
    label: "The server rejects a write",
    async run() {
      await tasks.create({ title: "A task", done: false });
      networkSim.respond = rejectPush;
      return syncOnce();
    },
  },
  {
    name: "network",
    label: "There is no network",
    run() {
      networkSim.network.on = false;
      return syncOnce();
    },
  },
  {
    name: "down",
    label: "The server is down",
    run() {
      networkSim.respond = () => new Response("", { status: 503 });
      return syncOnce();
    },
  },
  {
    name: "portal",
    label: "A login page answers instead",
    run() {
      networkSim.respond = () => new Response("<!doctype html><title>Welcome to our hotel</title>", { headers: { "Content-Type": "text/html" } });
      return syncOnce();
    },
  },
  {
    name: "expired",
    label: "The token has expired",
    async run() {
      await session.expire();
      return syncOnce();
    },
  },
  {
    name: "unauthorized",
    label: "… and is not renewed",
    async run() {
      session.renewable = false;
      await session.expire();
      return syncOnce();
    },
  },
  {
    name: "slow",
    label: "It takes too long",
    run() {
      networkSim.delay = 60_000;
      return syncAndNotify(datum, userId, { timeout: 1_000 });
    },
  },
  {
    name: "stopped",
    label: "The user cancels it",
    run() {
      networkSim.delay = 60_000;
      return syncAndNotify(datum, userId, { signal: AbortSignal.timeout(800) });
    },
  },
  {
    name: "paused",
    label: "Syncing is paused",
    async run() {
      await datum.pauseSync(userId);
      return syncOnce();
    },
  },
];

/** Undoes what a case has changed, so that the next one starts clean. */
async function reset(): Promise<void> {
  networkSim.network.on = true;
  networkSim.respond = undefined;
  networkSim.delay = 0;
  session.renewable = true;
  for (const { id, message } of await rejections(datum, userId)) {
    page.print(`Rejected: ${message}`, "warn");
    await datum.discardDeadLetter(id); // An app would let its user edit and retry it, or discard it.
  }
  if (datum.statusForUser(userId).current.status === "paused") await datum.resumeSync(userId);
}

const list = find(document, "[data-testid=cases]");
for (const { name, label, run } of cases) {
  const outcome = make("span", { class: "outcome", "data-testid": `outcome-${name}` });
  list.append(make("li", {}, make("button", { type: "button", class: "button small", "data-testid": name }, label), outcome));
  page.onPress(name, async () => {
    setText(outcome, "");
    const result = await whileLoading(
      (on) => (loading.hidden = !on),
      () => run().finally(reset),
    );
    outcome.dataset["tone"] = result.tone;
    setText(outcome, result.text);
    notice.dataset["tone"] = result.tone;
    setText(notice, result.text);
    page.print(result.text, result.tone === "note" ? "warn" : result.tone);
  });
}
