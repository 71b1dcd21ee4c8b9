// B11: sync servers under load, over loopback, without a browser.
//
// Clients behave like devices: push, pull what is new, repeat. Four share a user. The load generator, the server and the
// database share the machine, so throughput is that of all together.
import { Agent } from "node:http";
import { startPostgres } from "../../tests/backends/lib/postgres.mjs";
import { freePort } from "../../tests/e2e/lib/ports.mjs";
import { deviceOf } from "../lib/device.mjs";
import { behindPostgrest, inNode, onFile, onPostgres } from "../lib/servers.mjs";
import { median, percentile } from "../lib/stats.mjs";
import { guarded } from "./common.mjs";
import { growth } from "./growth.mjs";

const CLIENTS = [1, 8, 64, 512];

export const b11 = {
  id: "B11",
  title: "sync servers: pushes of 20 creates, pulls of what is new, and what either costs as there is more",
  async run(bench) {
    if (bench.who(["datum"]).length === 0) return;
    await measure(bench, "server", ["stored", "others", "spaces", "streams"], (name) => onFile(bench, name));
    await measure(bench, "node", ["stored", "streams"], (name) => inNode(bench, name));
    const port = await freePort();
    const cluster = await guarded(bench.report, "B11 PostgreSQL", () => startPostgres(port, { fsync: "on", max_connections: "100" }));
    if (!cluster) return;
    try {
      await measure(bench, "postgres", ["stored", "others", "spaces", "streams"], (name) => onPostgres(bench, cluster, name));
      await measure(bench, "prepared", ["stored"], (name) => onPostgres(bench, cluster, name, 1, ["--prepared-statements"]));
      await measure(bench, "postgres2", [], (name) => onPostgres(bench, cluster, name, 2));
      // It takes its time for each row.
      await measure(bench, "postgrest", ["stored"], (name) => behindPostgrest(cluster, name), 10_000);
    } finally {
      await cluster.stop();
    }
  },
};

/** Measures servers that `open` starts on a new database: under load, and as there is more of each of `kinds`, to `most` at most. */
async function measure(bench, who, kinds, open, most = Infinity) {
  const { report, quick } = bench;
  const rounds = Math.min(bench.rounds, 2);
  const found = Object.fromEntries(CLIENTS.map((clients) => [clients, []]));
  let lost = 0;
  for (let round = 0; round < rounds; round += 1) {
    for (const clients of CLIENTS) {
      const result = await guarded(report, `B11 ${who}, ${clients} clients`, () => onServers(open, `load-${round}-${clients}`, (servers) => load(servers, clients, quick ? 500 : 3_000)));
      if (!result) continue;
      found[clients].push(result);
      lost += result.lost;
      if (result.lost > 0) report.mistake(`B11: ${result.lost} acknowledged operations are missing with ${clients} clients on ${who}`);
      const shown = (what) => `${what} p50 ${result[what].p50.toFixed(1)} ms, p99 ${result[what].p99.toFixed(1)} ms`;
      report.progress("B11", round + 1, rounds, who, `${clients} clients: ${result.operations.toFixed(0)} operations/s, ${shown("push")}, ${shown("pull")}, ${result.refused} refused as busy`);
    }
  }
  for (const clients of CLIENTS) {
    const list = found[clients];
    const word = clients === 1 ? "1 client" : `${clients} clients`;
    report.row("B11", who, `operations pushed a second, ${word}`, "ops/s", list.map((one) => one.operations), true);
    report.row("B11", who, `rows pulled a second, ${word}`, "rows/s", list.map((one) => one.rows), true);
    report.row("B11", who, `requests that were told to come again, ${word}`, "", list.map((one) => one.refused));
    for (const what of ["push", "pull"]) {
      for (const share of ["p50", "p99"]) report.row("B11", who, `${what} ${share}, ${word}`, "ms", list.map((one) => one[what][share]), true);
    }
  }
  if (CLIENTS.some((clients) => found[clients].length > 0)) report.check("B11", `acknowledged operations that are not there afterwards, ${who}`, lost, 0, "max");
  for (const kind of kinds) await guarded(report, `B11 ${who}, ${kind}`, () => growth(bench, who, kind, open, most));
}

/** Runs `work` with servers on a new database. */
async function onServers(open, name, work) {
  const servers = await open(name);
  try {
    return await work(servers);
  } finally {
    for (const server of servers) await server.stop();
  }
}

/** `clients` devices push and pull for `duration` milliseconds. */
async function load(servers, clients, duration) {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const devices = [];
  for (let number = 0; number < clients; number += 1) {
    devices.push(await deviceOf(servers[number % servers.length], agent, `load-${Math.floor(number / 4)}`, number));
  }
  // Opens connections and prepares statements before the measurement.
  await Promise.all(
    devices.map(async (device) => {
      await device.push(1);
      await device.pull();
      device.rows = device.operations = 0;
    }),
  );
  const started = performance.now();
  const until = started + duration;
  await Promise.all(
    devices.map(async (device) => {
      while (performance.now() < until) {
        device.times.push.push(await device.push());
        device.times.pull.push((await device.pull()).ms);
      }
    }),
  );
  const seconds = (performance.now() - started) / 1_000;
  const sum = (of) => devices.reduce((total, device) => total + of(device), 0);
  const { operations, rows } = { operations: sum((device) => device.operations) / seconds, rows: sum((device) => device.rows) / seconds };

  // Every operation acknowledged to one device of a user must have reached all devices of that user.
  for (const device of devices) await device.drain();
  let lost = 0;
  for (const device of devices) {
    for (const other of devices.filter((other) => other.user === device.user)) {
      for (const id of other.acknowledged) if (!device.seen.has(id)) lost += 1;
    }
  }
  agent.destroy();
  const shares = (what) => {
    const all = devices.flatMap((device) => device.times[what]);
    return { p50: median(all), p99: percentile(all, 0.99) };
  };
  return { operations, rows, refused: sum((device) => device.refused), push: shares("push"), pull: shares("pull"), lost };
}
