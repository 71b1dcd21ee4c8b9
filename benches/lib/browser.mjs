// Headless Chromium with a profile on disk: in an incognito context IndexedDB is in memory, and nothing would be durable.
// Each measurement has its own origin (NAME.localhost), so that storage, cache and process are new. Its data is removed
// afterwards.
import { chromium } from "playwright-core";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP *.localhost 127.0.0.1",
  // Lets pages collect the warm-up's garbage before a measurement.
  "--js-flags=--expose-gc",
];
/** Errors that are not failures; LokiJS logs the second one whenever it creates a database. */
const HARMLESS = ["Failed to load resource", "Deleting database failed because it's blocked"];
/** Long enough for the slowest measurement, PouchDB with 100,000 documents. */
const LIMIT = 15 * 60_000;

export async function launch(profile) {
  const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM, headless: true, args: ARGS, handleSIGINT: false, handleSIGTERM: false });
  const control = context.pages()[0] ?? (await context.newPage());
  const cdp = await context.newCDPSession(control);
  const { product } = await cdp.send("Browser.getVersion");
  let serial = 0;
  return {
    version: product.replace("HeadlessChrome", "Chromium").replace("Chrome/", "Chromium/").replace("/", " "),
    close: () => context.close(),
    /** Returns a new origin on the server at `url`. */
    origin(url, name) {
      serial += 1;
      const at = new URL(url);
      at.hostname = `${name}-${serial}.localhost`;
      return at.origin;
    },
    /** Opens a page; `errors` collects its errors. */
    async visit(origin) {
      const page = await context.newPage();
      page.setDefaultTimeout(LIMIT);
      const errors = [];
      page.on("pageerror", (error) => errors.push(`uncaught: ${error.stack ?? error}`));
      page.on("console", (message) => {
        if (message.type() === "error" && !HARMLESS.some((text) => message.text().startsWith(text))) errors.push(`console: ${message.text()}`);
      });
      await page.goto(`${origin}/`);
      await page.waitForFunction(() => window.bench);
      return {
        page,
        errors,
        run: (what, options) => page.evaluate(([what, options]) => window.bench[what](options), [what, options]),
        session: () => context.newCDPSession(page),
        /** Returns a function that kills the page's process at once: what is not written by then is lost. */
        async crasher() {
          const session = await context.newCDPSession(page);
          return async () => {
            const crashed = page.waitForEvent("crash");
            session.send("Page.crash").catch(() => {});
            await crashed;
            await page.close();
          };
        },
        close: () => page.close(),
      };
    },
    /** Removes all data of an origin. */
    forget: (origin) => cdp.send("Storage.clearDataForOrigin", { origin, storageTypes: "all" }),
  };
}
