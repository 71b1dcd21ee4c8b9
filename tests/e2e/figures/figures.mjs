// Measures the main operations in headless Chromium against the real server in release mode.
//
// First pull: 10,000 tasks (3.2 MB), durable at the end, against a bare fetch and JSON.parse of the same requests, in
// interleaved rounds. Then the cost of an idle cycle and of one create.
//
//   node figures.mjs [--rounds N] [--tasks N] [--json FILE]
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { device, launch } from "../lib/browser.mjs";
import { installPackage } from "../lib/package.mjs";
import { client, startServer } from "../lib/server.mjs";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "7" }, tasks: { type: "string", default: "10000" }, json: { type: "string" } } });
const rounds = Number(values.rounds);
const count = Number(values.tasks);
const USER = "figures";
const PAGE = `<!doctype html><meta charset="utf-8"><title>figures</title>
<script type="importmap">{ "imports": { "datum-sync": "./datum-sync/index.js" } }</script>
<script type="module" src="./page.js"></script>`;

const installed = await installPackage();
let server, browser;
try {
  const page = await makePage(installed);
  server = await startServer({ page });
  const remote = await client(server.url, USER);
  await seed(remote);
  browser = await launch();
  const it = await device(browser);
  it.page.setDefaultTimeout(120_000);
  await it.page.goto(`${server.url}/`);
  await it.page.waitForFunction(() => window.figures);
  const authorization = remote.headers.authorization;

  await it.page.evaluate((options) => window.figures.firstPull(options), { authorization, round: "warm" });
  const pulls = [];
  const bares = [];
  for (let round = 0; round < rounds; round++) {
    // The order alternates, so that neither always finds a warm cache.
    const order = round % 2 === 0 ? ["pull", "bare"] : ["bare", "pull"];
    for (const what of order) {
      if (what === "pull") pulls.push(await it.page.evaluate((options) => window.figures.firstPull(options), { authorization, round }));
      else bares.push(await it.page.evaluate((options) => window.figures.bare(options), { authorization }));
    }
  }
  const idle = await it.page.evaluate((options) => window.figures.idle(options), { authorization });
  const create = await it.page.evaluate((options) => window.figures.create(options), { authorization });
  if (it.errors.length > 0) throw new Error(it.errors.join("\n"));
  const wrong = pulls.find((pull) => pull.rows !== count) ?? bares.find((bare) => bare.rows !== count);
  if (wrong) throw new Error(`a round had ${wrong.rows} of ${count} rows`);

  const [pull, bare] = [pulls, bares].map((list) => median(list.map((one) => one.ms)));
  const figures = {
    tasks: count,
    rounds,
    bytes: bares[0].bytes,
    requests: pulls[0].requests,
    firstPull: { medianMs: round1(pull), allMs: pulls.map((one) => round1(one.ms)), transactions: pulls[0].transactions },
    bareFetch: { medianMs: round1(bare), allMs: bares.map((one) => round1(one.ms)) },
    ratio: Math.round((pull / bare) * 100) / 100,
    idleCycle: idle,
    create,
  };
  if (values.json) await writeFile(values.json, JSON.stringify(figures, null, 2));
  console.log(`
first pull of ${count} tasks, ${(figures.bytes / 1e6).toFixed(1)} MB in ${figures.requests.pull} pages, durable   median ${figures.firstPull.medianMs} ms   ${figures.firstPull.allMs.join(" ")}
bare fetch + JSON.parse of the same requests                    median ${figures.bareFetch.medianMs} ms   ${figures.bareFetch.allMs.join(" ")}
ratio ${figures.ratio}
write transactions of a first pull: ${figures.firstPull.transactions}
an idle cycle: ${requestText(idle.requests)}, ${idle.transactions} write transactions
one create: ${create.transactions} write transactions, ${requestText(create.requests)}`);
} finally {
  await browser?.close();
  await server?.stop();
  await installed.remove();
}

function requestText(requests) {
  const parts = Object.entries(requests).map(([name, number]) => `${number} /${name}`);
  return parts.length > 0 ? parts.join(", ") : "no request";
}

/** Creates the page. The sync server serves it: one origin, no preflight requests. */
async function makePage({ root, copyTo }) {
  const page = join(root, "page");
  await mkdir(page);
  await copyTo(page);
  await cp(new URL("page.js", import.meta.url), join(page, "page.js"));
  await writeFile(join(page, "index.html"), PAGE);
  return page;
}

/** Fills the server with tasks of about 320 bytes. */
async function seed(remote) {
  const batch = 500;
  for (let first = 0; first < count; first += batch) {
    const operations = Array.from({ length: Math.min(batch, count - first) }, (_, offset) => {
      const number = first + offset;
      const id = `task-${String(number).padStart(6, "0")}`;
      const at = new Date(1_700_000_000_000 + number * 1_000).toISOString();
      const title = `Task number ${number}: ${"call the supplier about the order ".repeat(3).trim()}`;
      const data = { id, userId: USER, createdAt: at, modifiedAt: at, version: 0, isDeleted: false, title, done: number % 3 === 0, priority: number % 5, tags: ["work", `list-${number % 20}`] };
      return { opId: `seed-${number}`, entity: "task", id, kind: "create", baseVersion: null, data };
    });
    const reply = await remote.push(operations);
    const bad = reply.results.find((verdict) => verdict.status !== "applied");
    if (bad) throw new Error(`the server rejected the seed: ${JSON.stringify(bad)}`);
  }
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function round1(number) {
  return Math.round(number * 10) / 10;
}
