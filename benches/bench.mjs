// Measures datum-sync beside its peers: `cargo xtask bench` builds what it needs and runs this.
//
//   node bench.mjs [--only B1,B3] [--who datum,dexie] [--rounds N] [--quick] [--json FILE] [--charts FOLDER]
//   node bench.mjs --from FILE --charts FOLDER       charts of an earlier run, nothing measured
//
// DATUM_SERVER and CHROMIUM name the two programs, DATUM_TARBALL the packed package under test; DATUM_ENGINES the engines
// that the first pull is measured in (chromium,firefox,webkit), FIREFOX and MINIBROWSER their programs. A bar that is
// missed is printed; a result that is wrong makes the exit code 1.
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { cpus, release, tmpdir, totalmem, type } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "./lib/browser.mjs";
import { buildPages, contestants, versions } from "./lib/build.mjs";
import { draw } from "./lib/chart.mjs";
import { start } from "./lib/child.mjs";
import { startRemote } from "./lib/remote.mjs";
import { names, Report } from "./lib/report.mjs";
import { b1, b2 } from "./rows/pull.mjs";
import { b3, b4 } from "./rows/writes.mjs";
import { b5, b9 } from "./rows/remote.mjs";
import { b6 } from "./rows/open.mjs";
import { b10 } from "./rows/size.mjs";
import { b11 } from "./rows/server.mjs";

// By way of "exit", where everything that was started is ended.
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]]) process.on(signal, () => process.exit(code));

const ROWS = [b1, b2, b3, b4, b5, b6, b9, b10, b11];
const text = { type: "string" };
const { values } = parseArgs({ options: { only: text, who: text, rounds: text, quick: { type: "boolean", default: false }, json: text, charts: text, from: text } });

if (values.from) await charts(JSON.parse(await readFile(values.from, "utf8")), values.charts ?? "charts");
else await measure();

async function measure() {
  const quick = values.quick;
  const rows = picked(values.only, ROWS.map((row) => row.id), "--only").map((id) => ROWS.find((row) => row.id === id));
  const who = picked(values.who, contestants, "--who");
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
    // The last row needs no browser, and the one before it nothing at all; the browser says its version in any case.
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
    if (quick) console.log("A quick run: few rows, few rounds. It shows that everything works; its times mean nothing.");
    for (const row of rows) {
      console.log(`\n${row.id}  ${row.title}`);
      const started = Date.now();
      await row.run(bench);
      report.table(row.id, row.title);
      console.log(`  ${row.id} took ${((Date.now() - started) / 1000).toFixed(0)} s`);
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
  console.log(`\n${checks.length - missed.length} of ${checks.length} bars are met, in ${((Date.now() - began) / 60_000).toFixed(1)} minutes.`);
  for (const { id, name, value, bar, direction } of missed) console.log(`  missed: ${id} ${name}: ${value}, ${direction === "max" ? "at most" : "at least"} ${bar}`);
  for (const text of wrong) console.log(`  WRONG: ${text}`);
}

async function charts(result, folder) {
  const written = await draw(result, resolve(folder));
  console.log(`${written.length} charts in ${folder}: ${written.join(", ")}`);
}

/** The words of a list that are known, or all of them. */
function picked(list, known, option) {
  if (list === undefined) return known;
  const asked = list.split(",").map((word) => word.trim());
  const other = asked.find((word) => !known.includes(word));
  if (other !== undefined) throw new Error(`${option} knows ${known.join(", ")}; not ${other}`);
  return known.filter((word) => asked.includes(word));
}

/** The machine in words: nothing that names it. */
function describe(browser) {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpu.model.replace(/\s+/g, " ").trim()}, ${cpus().length} cores, ${memory} GiB, ${type()} ${release().split("-")[0]}, ${browser}, Node.js ${process.versions.node}`;
}
