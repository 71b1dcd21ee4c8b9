// The guide, used by keyboard: each page does what its pattern promises, and shows the code that runs.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { device, launch } from "./lib/browser.mjs";
import { patternSources, shown } from "./lib/patterns.mjs";
import { startServer } from "./lib/server.mjs";
import { buildSite } from "./lib/site.mjs";

const sources = await patternSources();
let browser, server, site;

before(async () => {
  site = await buildSite();
  server = await startServer({ page: site.dist });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await site?.remove();
});

/** Opens a page, runs `walk`, and fails if the page has logged an error. */
async function visit(name, walk) {
  const it = await device(browser);
  const { page } = it;
  await page.goto(`${server.url}/guide/${name}/?user=reader`);
  await walk(reader(page), it);
  assert.deepEqual(it.errors, []);
  await it.context.close();
}

/** A reader's actions on a page, and what they see. */
function reader(page) {
  const at = (testid) => page.getByTestId(testid);
  const focused = () => page.evaluate(() => document.activeElement?.dataset["testid"] ?? "");
  const reach = async (testid) => {
    for (let presses = 0; (await focused()) !== testid; presses += 1) {
      assert.ok(presses < 80, `Tab leads to ${testid}`);
      await page.keyboard.press("Tab");
    }
  };
  // A press before the engine is open would be lost.
  const isReady = (testid) => at(testid).and(page.locator("[data-ready]")).waitFor({ state: "attached" });
  const sees = (testid, text) => at(testid).filter({ hasText: text, visible: true }).first().waitFor();
  return {
    at,
    reach,
    sees,
    logs: (text) => at("log").locator("p").filter({ hasText: text }).last().waitFor(),
    logged: () => at("log").locator("p span").allInnerTexts(),
    begins: async (testid) => {
      await isReady(testid);
      await reach(testid);
      await page.keyboard.press("Enter");
    },
    /** Presses a button, and waits until its work is done. */
    presses: async (testid) => {
      await isReady(testid);
      await at(testid).and(page.locator(":not([aria-busy])")).waitFor();
      await reach(testid);
      await page.keyboard.press("Enter");
      await at(testid).and(page.locator(":not([aria-busy])")).waitFor({ state: "attached" });
    },
    ticks: async (testid) => {
      await reach(testid);
      await page.keyboard.press("Space");
    },
    tasks: () => at("tasks").locator("li > span").allInnerTexts(),
  };
}

test("every page has its own address, shows the module that runs, and links to the others and to the demo", async () => {
  const { page, errors, context } = await device(browser);
  // A user of its own: pages are left in the middle of their first writes, and other tests would find half of what they make.
  await page.goto(`${server.url}/guide/?user=visitor`);
  const chapters = await page.locator(".contents a").evaluateAll((links) => links.map((link) => link.pathname.split("/").at(-2)));
  assert.deepEqual([...chapters].sort(), [...sources.keys()]);
  for (const name of chapters) {
    // Without the trailing slash, as people type it.
    await page.goto(`${server.url}/guide/${name}?user=visitor`);
    assert.equal(await page.locator("#code-text").innerText(), shown(sources.get(name)), name);
    assert.equal(await page.locator(".chapters a").count(), chapters.length + 1);
    assert.equal(new URL(await page.locator(".chapters [aria-current=page]").getAttribute("href"), page.url()).pathname, `/guide/${name}/`);
  }
  await page.getByTestId("demo").click();
  await page.getByTestId("device-a").waitFor();
  await page.getByTestId("guide").click();
  await page.locator(".contents").waitFor();
  assert.deepEqual(errors, []);
  await context.close();
});

test("no page is wider than a narrow window", async () => {
  const { page, context } = await device(browser);
  await page.setViewportSize({ width: 360, height: 740 });
  for (const name of ["", ...[...sources.keys()].map((name) => `${name}/`)]) {
    await page.goto(`${server.url}/guide/${name}?user=narrow`);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, `guide/${name}`);
  }
  await context.close();
});

test("initial sync: one pull at the start, and an app that continues if it fails", () =>
  visit("initial-sync", async (i, { page }) => {
    await i.logs("Initial sync completed: 3 items");
    await i.presses("second");
    await i.presses("start");
    await i.logs("Initial sync completed: 1 items");
    const all = await i.tasks();
    assert.equal(all.length, 4);

    await i.ticks("network");
    await i.presses("start");
    await i.logs("Initial sync failed, but app continues: network");
    assert.deepEqual(await i.tasks(), all, "local data shows without a network");
    await i.ticks("network");
    await i.presses("clear");
    await i.sees("tasks", "Nothing here yet");
    await i.presses("start");
    await i.logs("Initial sync completed: 4 items");

    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await i.ticks("signed-in");
    await i.sees("app", "nobody is signed in");
    await i.presses("start");
    assert.deepEqual(asked.filter((url) => url.includes("/sync/")), [], "no request without a signed-in user");
    assert.match((await i.logged()).at(-1), /^Initial sync completed: 4 items$/, "and no attempt");
  }));

test("relogin: 'Syncing latest data…' first, then the latest data", () =>
  visit("login", async (i, { page }) => {
    await page.waitForFunction(() => document.documentElement.dataset["ready"]);
    await i.begins("sign-in-ada");
    await i.sees("waiting", "Syncing latest data…");
    await i.sees("whose", "Ada's tasks");
    const first = await i.tasks();
    assert.equal(first.length, 2);

    await i.presses("sign-out");
    await i.at("sign-in-ada").waitFor();
    await i.presses("second");
    await i.begins("sign-in-ada");
    await i.sees("waiting", "Syncing latest data…");
    await i.sees("whose", "Ada's tasks");
    assert.equal((await i.tasks()).length, 3, "with what the other device wrote meanwhile");
    const adas = await i.tasks();

    await i.presses("sign-out");
    await i.presses("sign-in-ben");
    await i.sees("whose", "Ben's tasks");
    assert.equal((await i.tasks()).length, 2, "nothing of Ada's");

    await i.presses("sign-out");
    await i.ticks("network");
    await i.presses("sign-in-ada");
    await i.sees("note", "from last time");
    assert.deepEqual(await i.tasks(), adas, "the waiting screen ends without a network too");

    await i.presses("write");
    await i.sees("tasks", "waiting");
    await i.presses("sign-out");
    await i.sees("unsent", "1 change on this device will be sent at the next sign-in");
    await i.ticks("network");
    await i.presses("sign-in-ada");
    await i.sees("whose", "Ada's tasks");
    assert.equal((await i.tasks())[0], "Written on the tablet");
    await i.at("tasks").getByText("waiting").waitFor({ state: "hidden" });
  }));

test("metadata: first visit or return, which side is newer, and unresolved conflicts", () =>
  visit("metadata", async (i) => {
    await i.sees("welcome", "First time setup");
    await i.sees("compare", "This device has never synced");
    await i.presses("sync");
    await i.sees("compare", "Data is in sync");
    await i.presses("return");
    await i.sees("welcome", "Welcome back! Your devices: 1");
    await i.presses("recent");
    await i.logs("skipped");

    await i.presses("second");
    await i.sees("compare", "Remote has newer data");
    await i.presses("write");
    await i.sees("compare", "Both have newer data");
    await i.presses("sync");
    await i.sees("compare", "Data is in sync");
    await i.presses("write");
    await i.sees("compare", "Local has newer data");
    assert.equal(await i.at("devices").locator("li").count(), 2);

    await i.presses("disagree");
    await i.sees("conflict", "1 conflict to resolve");
    await i.begins("mine");
    await i.logs("Decided: “Named on this device”");
    await i.at("conflict").waitFor({ state: "hidden" });
    await i.presses("disagree");
    await i.sees("conflict", "1 conflict to resolve");
    await i.begins("theirs");
    await i.logs("Decided: “Named on the other device”");
    await i.at("conflict").waitFor({ state: "hidden" });
    await i.sees("compare", "Data is in sync");

    await i.presses("custom");
    await i.presses("sync");
    await i.at("fields").locator("tr", { hasText: "customMetadata" }).getByRole("cell", { name: "1.4.0" }).nth(1).waitFor();

    await i.presses("new-user");
    await i.sees("welcome", "First time setup");
  }));

test("fresh data: everything is pulled again, pending writes survive, and the result is verified", () =>
  visit("fresh-data", async (i, { page }) => {
    const asked = [];
    page.on("request", (request) => /\/sync\/v1\/p/.test(request.url()) && asked.push(request.url().split("/").at(-1)));
    const last = async () => (await i.at("results").locator("tr").first().innerText()).split(/\s*\t\s*/);
    await i.logs("Sync: 40 rows were new here");
    const first = await last();
    await i.presses("sync");
    assert.notEqual((await last())[3], first[3], "an ordinary sync fetches next to nothing");
    await i.presses("write");
    asked.length = 0;
    await i.presses("fresh");
    assert.deepEqual(asked.filter((what, n) => what !== asked[n - 1]).slice(0, 2), ["pull", "push"], "pull first, then push");
    const [what, , sent, fetched, verified] = await last();
    assert.deepEqual([what, sent, verified], ["Fresh data", "1", "yes"]);
    assert.equal(fetched, first[3], "all of it again");

    await i.presses("forget");
    await i.sees("known", "Nothing");
    await i.sees("tasks", "and 35 more");
    await i.presses("fresh");
    await i.sees("known", "41 tasks");
  }));

test("status: indeterminate until progress is real, never backwards, and the end is never missed", () =>
  visit("status", async (i) => {
    await i.sees("status", "idle");
    await i.presses("second");
    await i.presses("write");
    await i.begins("sync");
    await i.at("progress").waitFor();
    await i.sees("status", "completed");
    await i.at("progress").waitFor({ state: "hidden" });
    const lines = (await i.logged()).filter((line) => line.startsWith("syncing"));
    assert.match(lines[0], /no figure yet/);
    const figures = lines.map((line) => Number(/(\d+) %/.exec(line)?.[1] ?? 0));
    assert.deepEqual(figures, [...figures].sort((a, b) => a - b));
    assert.ok(new Set(figures).size > 3, `it moves: ${figures}`);

    await i.presses("second");
    await i.begins("sync");
    await i.sees("sync", "Stop");
    await i.begins("sync");
    await i.sees("status", "cancelled");
    await i.ticks("pause");
    await i.sees("status", "paused");
    await i.ticks("pause");
    await i.begins("sync");
    await i.sees("status", "completed");
  }));

test("background sync: other devices' writes arrive and local writes are sent automatically", () =>
  visit("background", async (i) => {
    await i.sees("tasks", "Water the plants");
    await i.presses("second");
    await i.sees("tasks", "Return the book");
    await i.logs("Synced automatically: 1 item");
    await i.presses("write");
    await i.at("tasks").locator("li[data-waiting=false]").filter({ hasText: "Written here" }).waitFor();

    await i.ticks("auto");
    await i.sees("next", "not scheduled");
    await i.presses("write");
    await i.sees("tasks", "waiting");
    await i.ticks("auto");
    await i.sees("next", "in ");
    await i.at("tasks").getByText("waiting").waitFor({ state: "hidden" });
  }));

test("options: one direction only, and the requested batch size", () =>
  visit("options", async (i) => {
    await i.presses("write");
    await i.sees("pending", "120");
    await i.presses("second");
    await i.logs("Another device added 80 tasks");
    await i.presses("pull");
    await i.logs("Pull only: 0 sent, 80 received");
    await i.sees("pending", "120");
    await i.presses("push");
    await i.logs("→ push, 120 operations");
    await i.logs("Push only: 120 sent, 0 received");
    await i.presses("push");
    await i.logs("Push only: skipped, nothingToPush");

    await i.presses("write");
    await i.sees("pending", "120");
    await i.presses("batches");
    await i.logs("In batches of 50: 120 sent");
    const requests = (await i.logged()).filter((line) => line.startsWith("→"));
    const batches = requests.slice(requests.indexOf("→ push, 120 operations") + 1);
    assert.deepEqual(batches.slice(0, 4), ["→ push, 50 operations", "→ push, 50 operations", "→ push, 20 operations", "→ pull, at most 50 rows"]);
    assert.deepEqual(new Set(batches.slice(4)), new Set(["→ pull, at most 50 rows"]), "by default push first, then pull");
  }));

test("errors: every outcome of a sync has a message, and none breaks the next sync", () =>
  visit("errors", async (i, { context }) => {
    const outcomes = [
      ["well", /^Sync completed: 1 items$/],
      ["refused", /^Sync failed: 1 errors$/],
      ["network", /^Sync error \(network\): .* It can be tried again\.$/],
      ["down", /^Sync error \(serverError\): .* It can be tried again\.$/],
      ["portal", /^Sync error \(network\): .*login page/],
      ["expired", /^Sync completed/],
      ["unauthorized", /^Please sign in again$/],
      ["slow", /^Sync error \(timeout\): /],
      ["stopped", /^Sync stopped$/],
      ["paused", /^Not now: paused$/],
      ["well", /^Sync completed: 1 items$/],
    ];
    for (const [name, expected] of outcomes) {
      await i.presses(name);
      const said = await i.at(`outcome-${name}`).innerText();
      assert.match(said, expected, name);
      assert.equal(await i.at("notice").innerText(), said);
      assert.equal(await i.at("loading").isVisible(), false, "the loading state has ended");
    }
    await i.logs("Rejected: There is a task with this title.");
    await context.setOffline(true);
    await i.presses("well");
    assert.equal(await i.at("outcome-well").innerText(), "Not now: offline");
    await context.setOffline(false);
    await i.presses("well");
    assert.match(await i.at("outcome-well").innerText(), /^Sync completed/);
  }));

test("devtools: the panel tells why a write waits and what both sides have, and mends both", () =>
  visit("devtools", async (i, { page }) => {
    await i.presses("pause");
    await i.presses("write");
    await i.sees("pending", "1");
    await i.presses("open");
    await page.getByRole("tab", { name: "Status", selected: true }).focus();
    await page.keyboard.press("ArrowRight");
    await page.getByRole("tab", { name: "Outbox 1", selected: true }).waitFor();
    await page.getByRole("listbox", { name: "Pending operations" }).focus();
    await page.keyboard.press("ArrowDown");
    await page.getByText("Sync is paused.").waitFor();
    await page.getByRole("button", { name: "Resume sync" }).press("Enter");
    await i.sees("pending", "0");
    await page.keyboard.press("Escape");
    await i.presses("conflict");
    await i.presses("open");
    await page.getByRole("tab", { name: "Conflicts 1" }).click();
    await page.getByRole("row", { name: "title" }).getByText("Renamed by another device").waitFor();
    await page.getByRole("button", { name: "Take theirs" }).press("Enter");
    await page.getByText("No conflict waits").waitFor();
  }));

test("sharing: pending edits of a removed member become dead letters, which they may keep", () =>
  visit("sharing", async (i, { page }) => {
    const lists = (who) => i.at(`${who}-list`).locator(".task-title").allInnerTexts();
    const role = (button) => i.at(button).and(page.locator("[aria-pressed=true]")).waitFor();
    const adds = async (who, title) => {
      await i.at(`${who}-form`).waitFor();
      await i.reach(`${who}-new`);
      await page.keyboard.type(title);
      await page.keyboard.press("Enter");
    };
    await i.sees("ada-role", "owns “Groceries”");
    await i.sees("ben-list", "Nothing is shared with Ben.");
    await role("let-none");

    await i.presses("let-write");
    await i.logs("Ben: spaceJoined");
    await i.sees("ben-role", "may write “Groceries”");
    await adds("ben", "Apples");
    await i.sees("ada-list", "Apples");
    await adds("ada", "Tea");
    await i.sees("ben-list", "Tea");
    assert.deepEqual(await lists("ada"), ["Bread", "Milk", "Apples", "Tea"]);
    assert.deepEqual(await lists("ben"), await lists("ada"));

    await i.presses("let-read");
    await role("let-read");
    await i.logs("Ben: roleChanged, Ben may only read");
    await adds("ben", "Cake");
    await i.logs("Ben: readOnly, refused on the device");
    await i.presses("let-write");
    await i.logs("Ben: roleChanged, Ben may write");

    await i.ticks("ben-network");
    await i.at("ben-new").fill("");
    await adds("ben", "Chocolate");
    await i.sees("ben-role", "1 change waiting");
    await i.at("ben-list").getByRole("checkbox", { name: "Milk" }).press("Space");
    await i.sees("ben-role", "2 changes waiting");
    await i.presses("let-none");
    await role("let-none");
    await page.waitForFunction(() => !document.querySelector("[data-testid=ada-role]").textContent.includes("waiting"));
    assert.ok((await lists("ben")).includes("Chocolate"), "he has not heard of it");
    await i.ticks("ben-network");
    await i.logs("Ben: spaceLeft");
    await i.sees("ben-list", "Nothing is shared with Ben.");
    assert.deepEqual(await lists("ben"), []);
    assert.deepEqual(await i.at("ben-letters").locator("li").allInnerTexts().then((lines) => lines.map((line) => line.split(/\s+/))), [["“Chocolate”", "notMember"], ["“Milk”", "notMember"]]);
    await i.presses("ben-keep");
    await i.sees("ben-own", "Chocolate");
    await i.at("ben-letters").waitFor({ state: "hidden" });
    assert.deepEqual(await lists("ada"), ["Bread", "Milk", "Apples", "Tea"], "and the list has none of it");

    await page.reload();
    await i.sees("ben-own", "Chocolate");
    await i.sees("ada-role", "owns “Groceries”");
    await i.presses("let-read");
    await i.sees("ben-role", "may only read “Groceries”");
  }));
