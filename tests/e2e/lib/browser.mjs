// Headless Chromium, and pages that record their errors.
import { chromium } from "playwright-core";
import { chromiumProgram } from "./environment.mjs";
import { within } from "./test.mjs";
import { tracing } from "./traces.mjs";

/** How long a page may take to answer. Playwright waits for a page's promise without end. */
const ANSWER_MS = 90_000;

/** Starts Chromium, without a sandbox: it does not work for root or in containers. */
export const launch = async (options = {}) =>
  tracing(
    await chromium.launch({
      ...options,
      executablePath: chromiumProgram(),
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    }),
  );

function limited(page) {
  page.setDefaultTimeout(30_000);
  const evaluate = page.evaluate.bind(page);
  page.evaluate = (work, ...given) => within(ANSWER_MS, String(work).slice(0, 300), evaluate(work, ...given));
  return page;
}

/** How a page says that it stands still. */
const STALL = "the page stands still for ";

/** Runs in each page: notes each part of the engine that is loaded while the page stands still. */
function noteStalls(stall) {
  const { open } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url, ...more) {
    if (more[0] === false) console.debug(`${stall}${url}: ${new Error().stack}`);
    return open.call(this, method, url, ...more);
  };
}

/**
 * Opens a page in its own context: a device. `errors` collects uncaught and logged errors of its pages, `stalls`
 * what they stood still for.
 */
export async function device(browser, withPage = true) {
  const context = await browser.newContext();
  const [errors, stalls] = [[], []];
  await context.addInitScript(noteStalls, STALL);
  const newPage = context.newPage.bind(context);
  context.newPage = async () => {
    const page = limited(await newPage());
    page.on("pageerror", (error) => errors.push(`uncaught: ${error.stack ?? error}`));
    page.on("console", (message) => {
      if (message.text().startsWith(STALL)) stalls.push(message.text());
      // The browser logs every failed request, and requests of an offline page must fail.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) errors.push(`console: ${message.text()}`);
    });
    return page;
  };
  return { context, errors, stalls, page: withPage ? await context.newPage() : undefined };
}

/**
 * Resolves when an async predicate in the page is true. Not by `waitForFunction`: to it, the promise that such a
 * predicate returns is true at once.
 */
export const eventually = (page, predicate, argument) =>
  page.evaluate(`(async (argument) => {
    const predicate = ${predicate};
    const end = performance.now() + 30_000;
    while (!(await predicate(argument))) {
      if (performance.now() > end) throw new Error("not within 30 s: " + predicate);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })(${JSON.stringify(argument)})`);
