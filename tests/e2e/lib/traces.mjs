// Traces of what the tests do: `cargo xtask test` runs them once more for that, and replays the traces natively. `DATUM_TRACES`
// is the folder for them; without it, the tests have the package as it is.
//
// With it, they install the package with two changes: each config asks for a trace, and a page gives the traces of its
// instances, those that it has closed as well. Nothing in the tests knows of it.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const FOLDER = process.env.DATUM_TRACES;
const NAME = basename(process.argv[1] ?? "", ".test.mjs");
/** The files whose apps are not traced, and why. */
const UNTRACED = {
  counts: "it counts the transactions and the calls between JavaScript and the engine, and a trace makes more",
  crash: "it kills the browser, and nothing is left to ask",
  early: "it looks at instances before the later parts are there, and a trace loads them first",
  loading: "it compares the files of bundles with those of the package",
  parts: "it looks at instances before the later parts are there, and a trace loads them first",
  runners: "its apps run in the runners of their own tests and in Node, where no page can be asked",
};
const PATIENCE_MS = 8_000;

/** Whether the apps of this file keep a trace. */
export const isTraced = FOLDER !== undefined && !Object.hasOwn(UNTRACED, NAME);
/** Whether this file does not run where traces are kept. */
export const isLeftOut = FOLDER !== undefined && !isTraced;

/** Before the config's data is read: asks for a trace that has room for all that a test does. */
const READING = "this.data=JSON.parse(this.json)";
const TRACE = `{"trace":{"maxBytes":268435456}`;
const asking = `this.data=JSON.parse(this.json=(t=>t[0]!=="{"||t.includes('"trace":')?t:'${TRACE}'+(t==="{}"?"}":","+t.slice(1)))(this.json))`;

/** Behind the module, where `Datum` has this name. */
const giving = (Datum) => `
;{ const all = globalThis.datumTraces ??= { open: [], closed: [] };
const { close, exportTrace } = ${Datum}.prototype;
const text = (datum) => exportTrace.call(datum).then((file) => file.text(), (error) => ({ code: error.code }));
all.open.push(() => ${Datum}.instances.map(text));
${Datum}.prototype.close = function (...given) {
  if (${Datum}.instances.includes(this)) all.closed.push(text(this));
  return close.apply(this, given);
}; }
`;

let changed;
/** Returns the package to install: a changed one, if the apps of this file keep a trace. */
export function withTraces(tarball) {
  if (!isTraced) return tarball;
  return (changed ??= change(tarball));
}

function change(tarball) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "datum-traced-")));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  execFileSync("tar", ["-xzf", tarball, "-C", folder]);
  const path = join(folder, "package", "index.js");
  const source = readFileSync(path, "utf8");
  const name = /([\w$]+) as Datum\b/.exec(source)?.[1];
  if (!name || source.split(READING).length !== 2) throw new Error("the package's index.js has another shape now, and tests/e2e/lib/traces.mjs must follow");
  writeFileSync(path, source.replace(READING, () => asking) + giving(name));
  const to = join(folder, basename(tarball));
  execFileSync("tar", ["-czf", to, "-C", folder, "package"]);
  return to;
}

const inPage = async () => {
  const all = window.datumTraces;
  if (!all) return [];
  return Promise.all([...all.closed, ...all.open.flatMap((list) => list())]);
};

let count = 0;
/** Notes that this file has pages: `cargo xtask test` asks for a trace of each that has. */
function note(text) {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, `${NAME}.pages`), text, { flag: "a" });
}

/** Saves what a page has traced, by a function that runs another one there. Nothing if it does not answer. */
export async function saveTraces(evaluate) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE_MS)));
  const texts = await Promise.race([Promise.resolve(evaluate(inPage)).catch(() => {}), late]);
  clearTimeout(timer);
  if (texts === undefined) note("no trace: unanswered\n");
  for (const text of texts ?? []) {
    if (typeof text !== "string") {
      note(`no trace: ${text?.code}\n`);
      continue;
    }
    count += 1;
    writeFileSync(join(FOLDER, `${NAME}-${count}.ndjson`), text);
  }
}

const savePage = (page) => (page.isClosed() ? undefined : saveTraces((work) => page.evaluate(work)));

/** Has a browser save the traces of its pages before it closes. */
export function tracing(browser) {
  if (!isTraced) return browser;
  note("");
  const close = browser.close.bind(browser);
  browser.close = async (...given) => {
    for (const context of browser.contexts()) for (const page of context.pages()) await savePage(page);
    return close(...given);
  };
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (...given) => tracingContext(await newContext(...given));
  return browser;
}

function tracingContext(context) {
  const close = context.close.bind(context);
  context.close = async (...given) => {
    for (const page of context.pages()) await savePage(page);
    return close(...given);
  };
  const newPage = context.newPage.bind(context);
  context.newPage = async () => {
    const page = await newPage();
    const closePage = page.close.bind(page);
    page.close = async (...given) => {
      await savePage(page);
      return closePage(...given);
    };
    return page;
  };
  return context;
}
