// The guide's page about Supabase, used against a project: connect, sign in, write offline, sign out in another tab.
import assert from "node:assert/strict";
import { before, test } from "../e2e/lib/test.mjs";
import { device, launch } from "../e2e/lib/browser.mjs";
import { drive, engines } from "../e2e/lib/webdriver.mjs";
import { buildSite } from "../e2e/lib/site.mjs";
import { serveFolder } from "../e2e/lib/static.mjs";
import { atEnd } from "./lib/cleanup.mjs";
import { kit } from "./lib/kit.mjs";
import { startProject } from "./lib/project.mjs";

const PICTURES = process.env.DATUM_PICTURES;
let project, host, browser;
before(async () => {
  const site = await buildSite();
  atEnd(site.remove);
  host = await serveFolder(site.dist);
  atEnd(host.stop);
  project = await startProject();
  browser = await launch();
  atEnd(() => browser.close());
});

async function picture(page, name) {
  if (PICTURES === undefined) return;
  for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [400, "light"], [400, "dark"]]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForTimeout(400);
    await page.screenshot({ path: `${PICTURES}/${name}-${width}-${scheme}.png`, fullPage: true });
  }
}

const rows = async () => (await project.query("select count(*)::int from public.tasks")).rows[0].count;

test("a reader connects a project, makes an account, writes offline, and signs out in another tab", async () => {
  const { page, context, errors } = await device(browser);
  const at = (testid) => page.getByTestId(testid);
  const presses = async (testid) => {
    await at(testid).and(page.locator("[data-ready]:not([aria-busy])")).waitFor();
    await at(testid).focus();
    await page.keyboard.press("Enter");
    await at(testid).and(page.locator(":not([aria-busy])")).waitFor({ state: "attached" });
  };
  const logs = (text) => at("log").locator("p").filter({ hasText: text }).last().waitFor();
  await page.goto(`${host.url}/guide/supabase/`);
  await picture(page, "project");
  await at("url").fill(project.url);
  await at("key").fill(project.anonKey);
  await presses("connect");
  await at("email").waitFor();
  await picture(page, "login");
  await at("email").fill("reader@example.test");
  await at("password").fill("correct horse");
  await presses("sign-up");
  await logs("everything is here");
  await presses("write");
  await logs("Sent 1");
  assert.equal(await rows(), 1);

  await at("network").click();
  await presses("write");
  await at("tasks").locator("small", { hasText: "waiting" }).waitFor();
  await picture(page, "tasks");
  await at("network").click();
  await logs("Sent 1, received");
  for (const end = Date.now() + 20_000; (await rows()) < 2 && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(await rows(), 2);
  await project.query("update public.tasks set title = 'By SQL'");
  await at("tasks").locator("span", { hasText: "By SQL" }).first().waitFor();

  const other = await context.newPage();
  // What the reader has entered is known to this tab only.
  await other.goto(`${host.url}/guide/supabase/?project=${encodeURIComponent(project.url)}&key=${project.anonKey}`);
  await other.getByTestId("tasks").locator("span", { hasText: "By SQL" }).first().waitFor();
  await other.getByTestId("sign-out").click();
  for (const one of [other, page]) await one.getByTestId("log").locator("p").filter({ hasText: "Signed out" }).waitFor();
  await at("email").waitFor();
  await at("email").fill("reader@example.test");
  await at("password").fill("wrong");
  await presses("sign-in");
  await logs("Invalid login credentials");
  await at("password").fill("correct horse");
  await at("password").press("Enter");
  await at("tasks").locator("span", { hasText: "By SQL" }).first().waitFor();
  assert.deepEqual(errors, []);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0);
});

test("what is wrong with a project is said, and can be mended, by keyboard alone", async () => {
  const bare = await startProject({ isPlain: true, migrations: ["create table public.tasks(id uuid primary key default gen_random_uuid(), user_id uuid default auth.uid(), title text not null, done boolean)"] });
  const { page, errors } = await device(browser);
  const at = (testid) => page.getByTestId(testid);
  const logs = (text) => at("log").locator("p").filter({ hasText: text }).last().waitFor();
  const reach = async (testid) => {
    for (let n = 0; (await page.evaluate(() => document.activeElement?.dataset.testid)) !== testid; n++) {
      assert.ok(n < 80, `Tab leads to ${testid}`);
      await page.keyboard.press("Tab");
    }
  };
  const types = async (testid, text) => {
    await reach(testid);
    await page.keyboard.press("Control+A");
    await page.keyboard.press("Delete");
    await page.keyboard.type(text);
  };
  const presses = async (testid) => {
    await at(testid).and(page.locator("[data-ready]:not([aria-busy])")).waitFor();
    await reach(testid);
    await page.keyboard.press("Enter");
  };
  const connects = async (url, key) => {
    await types("url", url);
    await types("key", key);
    await page.keyboard.press("Enter");
  };
  await page.goto(`${host.url}/guide/supabase/`);
  await connects("", "");
  await logs("Enter the address and the key of your project");
  await connects("my project", "key");
  await logs("Invalid");
  await picture(page, "wrong-project");
  await connects(bare.url, "sb_publishable_wrong");
  await at("email").waitFor();
  await types("email", "reader@example.test");
  await types("password", "correct horse");
  await page.keyboard.press("Enter");
  await logs("Invalid API key");
  await picture(page, "wrong-key");
  const loaded = page.waitForEvent("load");
  await presses("another");
  await loaded;
  await connects(bare.url, bare.anonKey);
  await at("email").waitFor();
  await types("email", "reader@example.test");
  await types("password", "correct horse");
  await presses("sign-up");
  await logs("Run the SQL kit's migration");
  await picture(page, "no-kit");
  await page.setViewportSize({ width: 1280, height: 900 });
  await presses("write");
  await bare.migrate(kit());
  await bare.migrate("select datum.attach('public.tasks')");
  await bare.reload();
  await presses("write");
  await logs("Sent 2");
  await bare.gateway.faults.add({ on: /rest\/v1/, kind: "refuse", times: 1_000 });
  await presses("write");
  await presses("sign-out");
  await at("unsent").filter({ hasText: "1 change on this device" }).waitFor();
  await picture(page, "unsent");
  assert.deepEqual(errors, []);
});

for (const engine of engines().filter((name) => name !== "chromium")) {
  test(`${engine}: a reader connects a project, makes an account, writes, and signs out in another tab`, async () => {
    const driver = await drive(engine);
    atEnd(driver.stop);
    const open = async () => {
      const page = await driver.open(`${host.url}/guide/supabase/?project=${encodeURIComponent(project.url)}&key=${project.anonKey}`);
      // By WebDriver, one tab is visible at a time, or none, and the others rest.
      await page.run(() => {
        Object.defineProperty(document, "visibilityState", { value: "visible" });
        Object.defineProperty(document, "hidden", { value: false });
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
      });
      return page;
    };
    const shows = (page, testid, text) => page.until(([testid, text]) => [...document.querySelectorAll(`[data-testid=${testid}]`)].some((one) => one.checkVisibility() && one.textContent.includes(text)), [testid, text]);
    const presses = async (page, testid) => {
      await page.until((testid) => document.querySelector(`[data-testid=${testid}][data-ready]:not([aria-busy])`) !== null, testid);
      await page.run((testid) => void document.querySelector(`[data-testid=${testid}]`).click(), testid);
    };
    const page = await open();
    await shows(page, "login-form", "Sign in");
    await page.run((email) => {
      const fill = (testid, value) => void (document.querySelector(`[data-testid=${testid}]`).value = value);
      fill("email", email);
      fill("password", "correct horse");
    }, `${engine}@example.test`);
    await presses(page, "sign-up");
    await shows(page, "log", "everything is here");
    await presses(page, "write");
    await shows(page, "tasks", "Written at");
    await shows(page, "log", "Sent 1");
    const other = await open();
    await shows(other, "tasks", "Written at");
    await presses(other, "sign-out");
    await shows(other, "log", "Signed out");
    await shows(page, "login-form", "Sign in");
  });
}
