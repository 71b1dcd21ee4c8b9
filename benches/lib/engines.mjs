// The other engines, by the driver that the end-to-end tests have for them. There is no clearing of an origin here:
// each measurement has a browser of its own, on an empty profile.
import { drive } from "../../tests/e2e/lib/webdriver.mjs";

/** Opens the page at `url` in a fresh browser of this engine for `work`. */
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
