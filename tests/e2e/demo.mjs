// Uses the demo page in Chromium as a person would: adds two tasks on device A offline, goes online, syncs, sees them on
// device B, changes one there, and sees that on A. Prints both status feeds.
//
//   node demo.mjs --url http://127.0.0.1:PORT [--screenshot FILE]
import { parseArgs } from "node:util";
import { device, launch } from "./lib/browser.mjs";

const { values } = parseArgs({ options: { url: { type: "string" }, screenshot: { type: "string" } } });
const WAIT = 30_000;
let step = "open the page";

const browser = await launch();
const { page, errors } = await device(browser);
page.setDefaultTimeout(WAIT);
await page.setViewportSize({ width: 1280, height: 1000 });
try {
  await page.goto(`${values.url}/?user=demo-${process.pid}`);
  const [a, b] = ["device-a", "device-b"].map((id) => panel(page.getByTestId(id)));

  await run("device A goes offline and adds two tasks", async () => {
    await a.setNetwork(false);
    await a.add("Buy bread");
    await a.add("Call Ada");
    await a.shows(["Buy bread", "Call Ada"]);
    await a.waiting(2);
  });
  await run("device B adds one of its own, online", async () => {
    await b.add("Water the plants");
    await b.sync();
    await b.waiting(0);
  });
  await run("device A goes online and syncs: it has all three", async () => {
    await a.setNetwork(true);
    await a.sync();
    await a.waiting(0);
    await a.shows(["Buy bread", "Call Ada", "Water the plants"]);
  });
  await run("device B pulls fresh data: it has all three", async () => {
    await b.refresh();
    await b.shows(["Buy bread", "Call Ada", "Water the plants"]);
  });
  await run("device B ticks a task off, and A sees it", async () => {
    await b.root.getByTestId("task").filter({ hasText: "Call Ada" }).getByTestId("done").click();
    await b.sync();
    await b.waiting(0);
    await a.sync();
    await until(async () => a.root.getByTestId("task").filter({ hasText: "Call Ada" }).getByTestId("done").isChecked(), "the tick on device A");
  });
  await run("each device opens the panel for developers, which has both", async () => {
    await a.root.getByTestId("devtools").click();
    await page.getByRole("tab", { name: "Status" }).waitFor();
    await b.root.getByTestId("devtools").click();
    const shown = page.getByLabel("Instance").locator("option:checked");
    await until(async () => (await shown.textContent()) === "Device B", "device B in the panel");
    await page.getByRole("tab", { name: "Status" }).press("Escape");
    await page.getByRole("tab", { name: "Status" }).waitFor({ state: "detached" });
  });
  step = "read the feeds";
  for (const [name, it] of [["A", a], ["B", b]]) {
    const lines = await it.root.getByTestId("feed").getByRole("listitem").allInnerTexts();
    if (lines.length === 0) throw new Error(`the feed of device ${name} is empty`);
    console.log(`\nThe status feed of device ${name}:`);
    for (const line of lines) console.log(`  ${line.replace(/\s+/g, " ")}`);
  }
  if (errors.length > 0) throw new Error(`the page reported errors:\n${errors.join("\n")}`);
  console.log("\nThe demo works.");
} catch (error) {
  console.error(`\nThe demo failed at: ${step}\n${error.stack}`);
  for (const line of errors) console.error(line);
  for (const line of await page.getByTestId("toast").allInnerTexts().catch(() => [])) console.error(`the page said: ${line.replace(/\s+/g, " ")}`);
  process.exitCode = 1;
} finally {
  if (values.screenshot) await page.screenshot({ path: values.screenshot, fullPage: true }).catch((error) => console.error(`no screenshot: ${error}`));
  await browser.close();
}

/** Runs a step, and prints how long it took. */
async function run(what, work) {
  step = what;
  const started = performance.now();
  await work();
  console.log(`✓ ${what}  ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** A person's actions on one device. */
function panel(root) {
  const titles = async () => (await root.getByTestId("task").getByTestId("title").allInnerTexts()).map((title) => title.trim()).sort();
  const press = async (button) => {
    await root.getByTestId(button).click();
    await until(async () => (await root.getByTestId("status").innerText()).trim() === "completed", `the status "completed" after ${button}`);
  };
  return {
    root,
    async setNetwork(on) {
      const control = root.getByTestId("network");
      if ((await control.getAttribute("aria-checked")) !== String(on)) await control.click();
      await until(async () => (await control.getAttribute("aria-checked")) === String(on), `the network to be ${on ? "on" : "off"}`);
    },
    async add(title) {
      await root.getByTestId("new-task").fill(title);
      await root.getByTestId("add-task").click();
      await until(async () => (await titles()).includes(title), `the task ${title}`);
    },
    sync: () => press("sync"),
    refresh: () => press("refresh"),
    shows: (wanted) => until(async () => JSON.stringify(await titles()) === JSON.stringify([...wanted].sort()), `the tasks ${wanted.join(", ")}`),
    waiting: (count) => until(async () => (await root.getByTestId("pending").innerText()).trim() === String(count), `${count} pending operations`),
  };
}

/** Waits until a condition is true. */
async function until(condition, what) {
  const end = Date.now() + WAIT;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
