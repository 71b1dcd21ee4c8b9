// Firefox and WebKit, with the driver of the end-to-end tests. WebDriver cannot clear an origin, so each measurement has its
// own browser with an empty profile.
import { drive } from "../../tests/e2e/lib/webdriver.mjs";

/** Opens the page at `url` in a new browser of this engine, and runs `work`. */
export async function visitIn(engine, url, work) {
  const browser = await drive(engine);
  try {
    const tab = await browser.open(`${url}/`);
    await tab.until(() => Boolean(window.bench));
    return await work({ run: (what, options = null) => tab.run(({ what, options }) => window.bench[what](options), { what, options }) });
  } finally {
    await browser.stop();
  }
}
