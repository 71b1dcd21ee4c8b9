// Figures of the main job, in one headless Chromium run against the real server in release mode.
//
// First pull: 10,000 tasks (3.2 MB), durable at the end, against a bare fetch and JSON.parse of the
// very same requests, in interleaved rounds. Then what a cycle with nothing to do, and one create, cost.
//
//   node figures.mjs [--rounds N] [--tasks N] [--json FILE]
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { device, launch } from "../lib/browser.mjs";
import { tarball } from "../lib/environment.mjs";
import { npm, temporaryFolder } from "../lib/files.mjs";
import { client, startServer } from "../lib/server.mjs";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "7" }, tasks: { type: "string", default: "10000" }, json: { type: "string" } } });
const rounds = Number(values.rounds);
const count = Number(values.tasks);
const USER = "figures";
const PAGE = `<!doctype html><meta charset="utf-8"><title>figures</title>
<script type="importmap">{ "imports": { "datum-sync": "./datum-sync/index.js" } }</script>
<script type="module" src="./page.js"></script>`;

const folder = await temporaryFolder();
let server, browser;
try {
  const page = await makePage(folder.path);
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
    // Which goes first changes with each round, so that neither always finds a warm cache.
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
  if (wrong) throw new Error(`a round met ${wrong.rows} of ${count} rows`);

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
an idle cycle: ${say(idle.requests)}, ${idle.transactions} write transactions
one create: ${create.transactions} write transactions, ${say(create.requests)}`);
} finally {
  await browser?.close();
  await server?.stop();
  await folder.remove();
}

function say(requests) {
  const parts = Object.entries(requests).map(([name, number]) => `${number} /${name}`);
  return parts.length > 0 ? parts.join(", ") : "no request";
}

/** The package's files and the page that measures, served by the sync server itself: one origin, no preflights. */
async function makePage(root) {
  await writeFile(join(root, "package.json"), `{ "private": true }`);
  await npm(["install", tarball()], root);
  const page = join(root, "page");
  await mkdir(page);
  await cp(join(root, "node_modules", "datum-sync"), join(page, "datum-sync"), { recursive: true });
  await cp(new URL("page.js", import.meta.url), join(page, "page.js"));
  await writeFile(join(page, "index.html"), PAGE);
  return page;
}

/** Tasks of about 320 bytes each in a page, as a task app has them. */
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
    if (bad) throw new Error(`the server did not take the seed: ${JSON.stringify(bad)}`);
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
