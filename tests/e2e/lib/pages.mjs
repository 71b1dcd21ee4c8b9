// Pages in any engine, with one interface: Chromium by Playwright, the others by WebDriver.
import { device, launch } from "./browser.mjs";
import { drive } from "./webdriver.mjs";

// In the page's own realm, and with its undefined, which JSON has not.
const PLAY = async ([text, given, isCall]) => {
  const found = window.eval(`(${text})`);
  const value = await (isCall ? found(given ?? undefined) : found);
  return JSON.stringify({ value, errors: window.app?.errors ?? [] }, (_, value) => (value === undefined ? { isUndefined: true } : value));
};

function revived(value) {
  if (typeof value !== "object" || value === null) return value;
  if (value.isUndefined) return undefined;
  for (const key of Object.keys(value)) value[key] = revived(value[key]);
  return value;
}

const pageOf = (tab, errors) => ({
  async evaluate(work, given = null) {
    const told = JSON.parse(await tab.run(PLAY, [String(work), given, typeof work === "function"]));
    errors.push(...told.errors.filter((error) => !errors.includes(error)));
    return revived(told.value);
  },
  waitForFunction: (condition, given = null) => tab.until(condition, given),
  goto: tab.go,
  reload: tab.reload,
  close: tab.close,
});

/**
 * Starts an engine. `device()` is a `context` that opens pages, and the `errors` that they have logged so far. In
 * Chromium each has storage of its own; in the others it is that of the origin.
 */
export async function openEngine(name) {
  if (name === "chromium") {
    const browser = await launch();
    return { device: () => device(browser, false), stop: () => browser.close() };
  }
  const driver = await drive(name);
  return {
    async device() {
      const [open, errors] = [new Set(), []];
      const context = {
        async newPage() {
          const page = pageOf(await driver.open("about:blank"), errors);
          open.add(page);
          return { ...page, close: () => open.delete(page) && page.close() };
        },
        async close() {
          for (const page of open) await page.close();
          open.clear();
        },
      };
      return { context, errors };
    },
    stop: () => driver.stop(),
  };
}
