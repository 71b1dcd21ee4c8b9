// The page of outcomes: each way that a sync can end, made to happen.

import { Datum } from "datum-sync";

import { find, make, setText } from "../dom.ts";
import { refusals, syncAndSay, whileLoading, type Notice } from "../patterns/errors.ts";
import source from "../patterns/errors.ts?raw";
import { Stage } from "./stage.ts";

const stage = new Stage("errors", source);
const { userId, line, session } = stage;
const datum = await Datum.initialize({ name: stage.name, entities: { tasks: {} }, remote: stage.remote, initialUserId: userId });
const tasks = datum.manager("tasks");

const loading = find(document, "[data-testid=loading]");
const notice = find(document, "[data-testid=notice]");

const plain = (): Promise<Notice> => syncAndSay(datum, userId);

const refuse = ({ what, body }: { what: string; body: unknown }): Response | undefined => {
  if (what !== "push") return undefined;
  const { operations } = body as { operations: { opId: string }[] };
  const results = operations.map(({ opId }) => ({ opId, status: "rejected", code: "titleTaken", message: "There is a task with this title." }));
  return Response.json({ results, serverTime: new Date().toISOString() });
};

/** What happens, and how it is made to happen. */
const cases: { name: string; label: string; run: () => Promise<Notice> }[] = [
  {
    name: "well",
    label: "All is well",
    async run() {
      await tasks.create({ title: "A task", done: false });
      return plain();
    },
  },
  {
    name: "refused",
    label: "The server refuses a write",
    async run() {
      await tasks.create({ title: "A task", done: false });
      line.answer = refuse;
      return plain();
    },
  },
  {
    name: "network",
    label: "The network is gone",
    run() {
      line.network.on = false;
      return plain();
    },
  },
  {
    name: "down",
    label: "The server is down",
    run() {
      line.answer = () => new Response("", { status: 503 });
      return plain();
    },
  },
  {
    name: "portal",
    label: "A login page answers instead",
    run() {
      line.answer = () => new Response("<!doctype html><title>Welcome to our hotel</title>", { headers: { "Content-Type": "text/html" } });
      return plain();
    },
  },
  {
    name: "expired",
    label: "The token has expired",
    async run() {
      await session.expire();
      return plain();
    },
  },
  {
    name: "unauthorized",
    label: "… and is not renewed",
    async run() {
      session.renewable = false;
      await session.expire();
      return plain();
    },
  },
  {
    name: "slow",
    label: "It takes too long",
    run() {
      line.delay = 60_000;
      return syncAndSay(datum, userId, { timeout: 1_000 });
    },
  },
  {
    name: "stopped",
    label: "The user stops it",
    run() {
      line.delay = 60_000;
      return syncAndSay(datum, userId, { signal: AbortSignal.timeout(800) });
    },
  },
  {
    name: "paused",
    label: "Syncing is paused",
    async run() {
      await datum.pauseSync(userId);
      return plain();
    },
  },
];

/** The world as it was: what one case broke does not break the next. */
async function mend(): Promise<void> {
  line.network.on = true;
  line.answer = undefined;
  line.delay = 0;
  session.renewable = true;
  for (const { id, message } of await refusals(datum, userId)) {
    stage.say(`Refused for good: ${message}`, "warn");
    await datum.discardDeadLetter(id); // An app lets its user edit and retry it, or give it up.
  }
  if (datum.statusForUser(userId).current.status === "paused") await datum.resumeSync(userId);
}

const list = find(document, "[data-testid=cases]");
for (const { name, label, run } of cases) {
  const said = make("span", { class: "said", "data-testid": `said-${name}` });
  list.append(make("li", {}, make("button", { type: "button", class: "button small", "data-testid": name }, label), said));
  stage.press(name, async () => {
    setText(said, "");
    const result = await whileLoading(
      (on) => (loading.hidden = !on),
      () => run().finally(mend),
    );
    said.dataset["tone"] = result.tone;
    setText(said, result.text);
    notice.dataset["tone"] = result.tone;
    setText(notice, result.text);
    stage.say(result.text, result.tone === "note" ? "warn" : result.tone);
  });
}
