// Guide page: the panel for developers. Trouble is made with the buttons, and told and mended by the panel.

import { Datum } from "datum-sync";
import type { Devtools } from "datum-sync/devtools";

import { find, setText } from "../dom.ts";
import { number } from "../messages.ts";
import { showDevtools } from "../patterns/devtools.ts";
import source from "../patterns/devtools.ts?raw";
import { GuidePage } from "./page.ts";

const page = new GuidePage("devtools", source);
const { userId } = page;
const datum = await Datum.initialize({ name: page.name, entities: { tasks: { conflictResolver: "ask" } }, remote: page.remote, initialUserId: userId });
const tasks = datum.manager("tasks");
let panel: Devtools | undefined;

page.onPress("open", async () => {
  if (panel) panel.element.open = true;
  else panel = await showDevtools(datum);
  page.print("The panel is open", "info");
});
page.onPress("write", async () => {
  const { title } = await tasks.create({ title: `Task of ${new Date().toLocaleTimeString()}`, done: false });
  page.print(`Written: ${String(title)}`, "info");
});
page.onPress("conflict", async () => {
  const { id } = await tasks.create({ title: "A task", done: false });
  await datum.synchronize(userId);
  await page.secondDevice.rename(id, "Renamed by another device");
  await tasks.patch(id, { title: "Renamed here" });
  await datum.synchronize(userId);
  page.print("Both devices have renamed one task", "warn");
});
page.onPress("pause", async () => {
  await datum.pauseSync(userId);
  page.print("Sync is paused", "warn");
});

void page.attempt(async () => {
  for await (const { pendingOperations } of datum.statusForUser(userId)) setText(find(document, "[data-testid=pending]"), number(pendingOperations));
});
