// The installed Chromium, headless, and pages whose errors fail the test.
import { chromium } from "playwright-core";
import { chromiumProgram } from "./environment.mjs";

/** Starts Chromium. Without a sandbox: root and containers have none, and the pages are our own. */
export const launch = (options = {}) =>
  chromium.launch({
    ...options,
    executablePath: chromiumProgram(),
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

/** A page in a context of its own: a device. `errors` holds what it threw and what it logged as an error. */
export async function device(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(`uncaught: ${error.stack ?? error}`));
  page.on("console", (message) => {
    // The browser itself logs each request that fails, which offline ones must.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) errors.push(`console: ${message.text()}`);
  });
  return { context, page, errors };
}
