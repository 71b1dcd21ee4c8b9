// The page of the manual options, and what each sends.

import { Datum, type SyncResult } from "datum-sync";

import type { Task } from "../device.ts";
import { find, setText } from "../dom.ts";
import { inBatches, pullOnly, pushOnly } from "../patterns/options.ts";
import source from "../patterns/options.ts?raw";
import { count, number } from "../words.ts";
import type { Sent } from "./line.ts";
import { Stage } from "./stage.ts";

const stage = new Stage("options", source);
const { userId } = stage;
const size = find<HTMLInputElement>(document, "[data-testid=size]");

const datum = await Datum.initialize({ name: stage.name, entities: { tasks: {} }, remote: stage.remote, initialUserId: userId });
const tasks = datum.manager<Task>("tasks");

async function show(): Promise<void> {
  const [here, waiting] = await Promise.all([tasks.count(), datum.pendingCount(userId)]);
  setText(find(document, "[data-testid=here]"), number(here));
  setText(find(document, "[data-testid=pending]"), number(waiting));
}

stage.line.heard = ({ what, body }: Sent) => {
  if (typeof body !== "object" || body === null) return;
  if (what === "push" && "operations" in body && Array.isArray(body.operations)) stage.say(`→ push, ${count(body.operations.length, "operation")}`);
  if (what === "pull" && "limit" in body) stage.say(`→ pull, at most ${number(Number(body.limit))} rows`);
};

const run = (what: string, sync: () => Promise<SyncResult>) => async (): Promise<void> => {
  const result = await sync();
  const done = result.wasSkipped ? `skipped, ${result.skipReason}` : `${number(result.pushedCount)} sent, ${number(result.pulledCount)} received`;
  stage.say(`${what}: ${done}`, result.isSuccess ? "good" : "warn");
  await show();
};

stage.press("pull", run("Pull only", () => pullOnly(datum, userId)));
stage.press("push", run("Push only", () => pushOnly(datum, userId)));
stage.press("batches", () => {
  const asked = size.valueAsNumber;
  return run(`In batches of ${asked}`, () => inBatches(datum, userId, asked))();
});
stage.press("write", async () => {
  await tasks.createMany(Array.from({ length: 120 }, (_, i) => ({ title: `Task ${i + 1}`, done: false })));
  await show();
});
stage.press("second", async () => {
  await stage.second.write(80);
  stage.say("Another device added 80 tasks");
});
stage.press("clear", async () => {
  await datum.clearUserData(userId);
  stage.say("This device has forgotten everything");
  await show();
});
void stage.attempt(show);
