// The pages of www/frameworks, used by keyboard: the same list in each framework, over the real server.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "./lib/test.mjs";
import { device, launch } from "./lib/browser.mjs";
import { client, startServer } from "./lib/server.mjs";
import { buildSite } from "./lib/site.mjs";

const SOURCES = { react: "react.tsx", vue: "vue.vue", svelte: "svelte.svelte", solid: "solid.tsx" };
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

for (const [framework, source] of Object.entries(SOURCES)) {
  test(`${framework}: tasks are listed, added, completed and deleted by keyboard, in two tabs, and belong to their user`, async () => {
    const { context, page, errors } = await device(browser);
    const at = (testid) => page.getByTestId(testid);
    const app = page.locator("#app");
    const titles = () => at("title").allInnerTexts();
    const reach = async (locator) => {
      for (let presses = 0; !(await locator.evaluate((element) => element === document.activeElement)); presses += 1) {
        assert.ok(presses < 60, "Tab leads there");
        await page.keyboard.press("Tab");
      }
    };
    const user = `of-${framework}`;
    await page.goto(`${server.url}/frameworks/${framework}/?user=${user}`);
    assert.equal(await page.locator("#code-text").innerText(), (await readFile(new URL(`../../www/src/frameworks/${source}`, import.meta.url), "utf8")).trim());
    await app.getByText("Nothing here yet.").waitFor();
    await page.getByRole("heading", { name: "Ada", exact: true }).waitFor();

    await reach(at("new-task"));
    for (const title of ["Buy milk", "Call Ben"]) {
      await page.keyboard.type(title);
      await page.keyboard.press("Enter");
      await at("task").filter({ hasText: title }).waitFor();
      await page.waitForFunction(() => document.querySelector("[data-testid=new-task]").value === "");
    }
    await app.getByText("2 open").waitFor();
    const other = await context.newPage();
    await other.goto(`${server.url}/frameworks/${framework}/?user=${user}`);
    await other.getByTestId("task").filter({ hasText: "Call Ben" }).waitFor();

    const milk = at("task").filter({ hasText: "Buy milk" });
    await reach(milk.getByTestId("done"));
    await page.keyboard.press("Space");
    await app.getByText("1 open").waitFor();
    await other.getByText("1 open").waitFor();
    assert.ok(await other.getByTestId("task").filter({ hasText: "Buy milk" }).getByTestId("done").isChecked());
    await reach(at("task").filter({ hasText: "Call Ben" }).getByTestId("delete"));
    await page.keyboard.press("Enter");
    await at("task").filter({ hasText: "Call Ben" }).waitFor({ state: "detached" });
    assert.ok(await at("new-task").evaluate((element) => element === document.activeElement), "the focus is not lost");
    await other.getByTestId("task").filter({ hasText: "Call Ben" }).waitFor({ state: "detached" });
    await other.close();

    await page.locator("[data-testid=status][data-state=completed]").waitFor();
    await page.locator(".waiting[data-count='0']").waitFor();
    const { pullAll } = await client(server.url, `${user}/ada`);
    assert.deepEqual((await pullAll()).filter(({ deleted }) => !deleted).map(({ data }) => [data.title, data.done]), [["Buy milk", true]]);

    await reach(at("user-Ben"));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Ben", exact: true }).waitFor();
    await app.getByText("Nothing here yet.").waitFor();
    assert.deepEqual([await titles(), await at("user-Ben").getAttribute("aria-pressed")], [[], "true"]);
    await reach(at("user-Ada"));
    await page.keyboard.press("Enter");
    await milk.waitFor();
    assert.deepEqual(errors, []);
    await page.setViewportSize({ width: 360, height: 740 });
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, "no page is wider than a narrow window");
    await context.close();
  });
}
