// Guide page: manual sync with options, and the requests that each makes.

import { Datum, type SyncResult } from "datum-sync";

import type { Task } from "../device.ts";
import { find, setText } from "../dom.ts";
import { inBatches, pullOnly, pushOnly } from "../patterns/options.ts";
import source from "../patterns/options.ts?raw";
import { count, number } from "../messages.ts";
import type { SimRequest } from "./network-sim.ts";
import { GuidePage } from "./page.ts";

const page = new GuidePage("options", source);
const { userId } = page;
const size = find<HTMLInputElement>(document, "[data-testid=size]");

const datum = await Datum.initialize({ name: page.name, entities: { tasks: {} }, remote: page.remote, initialUserId: userId });
const tasks = datum.manager<Task>("tasks");

async function show(): Promise<void> {
  const [here, waiting] = await Promise.all([tasks.count(), datum.pendingCount(userId)]);
  setText(find(document, "[data-testid=here]"), number(here));
  setText(find(document, "[data-testid=pending]"), number(waiting));
}

page.networkSim.onRequest = ({ endpoint, body }: SimRequest) => {
  if (typeof body !== "object" || body === null) return;
  if (endpoint === "push" && "operations" in body && Array.isArray(body.operations)) page.print(`→ push, ${count(body.operations.length, "operation")}`);
  if (endpoint === "pull" && "limit" in body) page.print(`→ pull, at most ${number(Number(body.limit))} rows`);
};

const run = (what: string, sync: () => Promise<SyncResult>) => async (): Promise<void> => {
  const result = await sync();
  const done = result.wasSkipped ? `skipped, ${result.skipReason}` : `${number(result.pushedCount)} sent, ${number(result.pulledCount)} received`;
  page.print(`${what}: ${done}`, result.isSuccess ? "good" : "warn");
  await show();
};

page.onPress("pull", run("Pull only", () => pullOnly(datum, userId)));
page.onPress("push", run("Push only", () => pushOnly(datum, userId)));
page.onPress("batches", () => {
  const asked = size.valueAsNumber;
  return run(`In batches of ${asked}`, () => inBatches(datum, userId, asked))();
});
page.onPress("write", async () => {
  await tasks.createMany(Array.from({ length: 120 }, (_, i) => ({ title: `Task ${i + 1}`, done: false })));
  await show();
});
page.onPress("second", async () => {
  await page.secondDevice.write(80);
  page.print("Another device added 80 tasks");
});
page.onPress("clear", async () => {
  await datum.clearUserData(userId);
  page.print("This device was cleared");
  await show();
});
void page.attempt(show);
