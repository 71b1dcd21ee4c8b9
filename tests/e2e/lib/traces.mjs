// Traces of what the tests do, which `cargo xtask test` replays natively afterwards. `DATUM_TRACES` is the folder for them.
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

const FOLDER = process.env.DATUM_TRACES;
/** The tests whose apps are traced. The others count requests and files, or stop what a trace needs. */
const TRACED = ["sync", "tabs", "transfer"];
const NAME = basename(process.argv[1] ?? "", ".test.mjs");
const PATIENCE_MS = 5_000;

/** Whether the apps of this file keep a trace. */
export const isTraced = FOLDER !== undefined && TRACED.includes(NAME);

let count = 0;

const inPage = async () => {
  const { datum } = window.app ?? {};
  return datum?.exportTrace && (await datum.exportTrace()).text();
};

/** Saves what a page has traced; nothing if it is no app, has no user, or does not answer. */
export async function saveTrace(page) {
  if (!isTraced || page.isClosed()) return;
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE_MS)));
  const text = await Promise.race([page.evaluate(inPage).catch(() => {}), late]);
  clearTimeout(timer);
  if (!text) return;
  await mkdir(FOLDER, { recursive: true });
  count += 1;
  await writeFile(join(FOLDER, `${NAME}-${count}.ndjson`), text);
}

/** Has a browser save the traces of its pages before it closes. */
export function tracing(browser) {
  if (!isTraced) return browser;
  const close = browser.close.bind(browser);
  browser.close = async (...given) => {
    for (const context of browser.contexts()) for (const page of context.pages()) await saveTrace(page);
    return close(...given);
  };
  return browser;
}
