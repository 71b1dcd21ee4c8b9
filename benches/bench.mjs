// Compares datum-sync with its peers. `cargo xtask bench` builds what this needs and runs it.
//
//   node bench.mjs [--only B1,B3] [--who datum,dexie] [--rounds N] [--quick] [--json FILE] [--charts FOLDER]
//   node bench.mjs --from FILE --charts FOLDER       draws charts of an earlier run
//
// Environment: DATUM_SERVER and CHROMIUM are programs, DATUM_TARBALL is the packed package, DATUM_ENGINES the engines for
// the first pull (chromium,firefox,webkit), FIREFOX and MINIBROWSER their programs. A missed target is only printed; a wrong
// result sets exit code 1.
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { cpus, release, tmpdir, totalmem, type } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "./lib/browser.mjs";
import { buildPages, contestants, versions } from "./lib/build.mjs";
import { draw } from "./lib/chart.mjs";
import { start } from "../tests/e2e/lib/child.mjs";
import { startRemote } from "./lib/remote.mjs";
import { names, Report } from "./lib/report.mjs";
import { b1, b2 } from "./suites/pull.mjs";
import { b3, b4 } from "./suites/writes.mjs";
import { b5, b9 } from "./suites/remote.mjs";
import { b6 } from "./suites/open.mjs";
import { b7, b8 } from "./suites/queries.mjs";
import { b10 } from "./suites/size.mjs";
import { b11 } from "./suites/server.mjs";
import { b12 } from "./suites/kit.mjs";

// Goes through "exit", where all child processes are ended.
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]]) process.on(signal, () => process.exit(code));

const SUITES = [b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12];
/** Measured only if it is named. */
const ON_REQUEST = new Set([b12.id]);
const text = { type: "string" };
const { values } = parseArgs({ options: { only: text, who: text, rounds: text, quick: { type: "boolean", default: false }, json: text, charts: text, from: text } });

if (values.from) await charts(JSON.parse(await readFile(values.from, "utf8")), values.charts ?? "charts");
else await measure();

async function measure() {
  const quick = values.quick;
  const ids = picked(values.only, SUITES.map((suite) => suite.id), "--only").filter((id) => values.only !== undefined || !ON_REQUEST.has(id));
  const suites = ids.map((id) => SUITES.find((suite) => suite.id === id));
  const known = ids.includes(b12.id) ? [...contestants, "kit"] : contestants;
  const who = picked(values.who, known, "--who");
  const rounds = Number(values.rounds ?? (quick ? 1 : 7));
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error("--rounds takes a whole number from 1");

  const folder = await realpath(await mkdtemp(join(tmpdir(), "datum-bench-")));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const report = new Report();
  const ends = [];
  const began = Date.now();
  try {
    const dist = join(folder, "dist");
    const profile = join(folder, "profile");
    await mkdir(profile);
    const engines = (process.env.DATUM_ENGINES ?? "").split(",").filter((engine) => engine !== "" && engine !== "chromium");
    const bench = { engines, folder, quick, report, rounds, who: (able) => able.filter((one) => who.includes(one)) };
    await buildPages(dist, new Set(who));
    bench.remote = await startRemote(folder, { page: dist });
    ends.unshift(bench.remote.stop);
    const origin = await start(process.execPath, [fileURLToPath(new URL("lib/origin.mjs", import.meta.url)), dist, bench.remote.url]);
    ends.unshift(origin.stop);
    bench.url = origin.url;
    bench.browser = await launch(profile);
    ends.unshift(bench.browser.close);

    const machine = describe(bench.browser.version);
    const installed = await versions();
    console.log(`${machine}\n${Object.entries(installed).map(([one, version]) => `${names[one]} ${version}`).join(", ")}`);
    if (quick) console.log("A quick run with little data and few rounds: it shows that everything works, but its times mean nothing.");
    for (const suite of suites) {
      console.log(`\n${suite.id}  ${suite.title}`);
      const started = Date.now();
      await suite.run(bench);
      report.table(suite.id, suite.title);
      console.log(`  ${suite.id} took ${((Date.now() - started) / 1000).toFixed(0)} s`);
    }
    const result = { date: new Date().toISOString(), machine, rows: report.rows, checks: report.checks };
    summary(report, began);
    if (values.json) await writeFile(values.json, `${JSON.stringify(result, null, 1)}\n`);
    if (values.charts) await charts(result, values.charts);
  } finally {
    for (const end of ends) await end();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  if (report.wrong.length > 0) process.exitCode = 1;
}

function summary({ checks, wrong }, began) {
  const missed = checks.filter((check) => !check.met);
  console.log(`\n${checks.length - missed.length} of ${checks.length} targets are met, in ${((Date.now() - began) / 60_000).toFixed(1)} minutes.`);
  for (const { id, name, value, bar, direction } of missed) console.log(`  missed: ${id} ${name}: ${value}, ${direction === "max" ? "at most" : "at least"} ${bar}`);
  for (const text of wrong) console.log(`  WRONG: ${text}`);
}

async function charts(result, folder) {
  const written = await draw(result, resolve(folder));
  console.log(`${written.length} charts in ${folder}: ${written.join(", ")}`);
}

/** Returns the words of a comma-separated list, or all known ones. */
function picked(list, known, option) {
  if (list === undefined) return known;
  const asked = list.split(",").map((word) => word.trim());
  const other = asked.find((word) => !known.includes(word));
  if (other !== undefined) throw new Error(`${option}: ${other} is not one of ${known.join(", ")}`);
  return known.filter((word) => asked.includes(word));
}

/** Describes the machine without naming it. */
function describe(browser) {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpu.model.replace(/\s+/g, " ").trim()}, ${cpus().length} cores, ${memory} GiB, ${type()} ${release().split("-")[0]}, ${browser}, Node.js ${process.versions.node}`;
}
