// B11: datum-server on SQLite and on PostgreSQL under load, over loopback, without a browser.
//
// Clients behave like devices: push, pull what is new, repeat. Four share a user. The load generator, the server and the
// database share the machine, so throughput is that of all together.
import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { idOf, taskOf } from "../lib/data.mjs";
import { startRemote } from "../lib/remote.mjs";
import { median, percentile } from "../lib/stats.mjs";
import { programs, startPostgres } from "../../tests/backends/lib/postgres.mjs";
import { guarded } from "./common.mjs";

const CLIENTS = [1, 8, 64];
const BATCH = 20;
const POSTGRES_PORT = 15_632;

export const b11 = {
  id: "B11",
  title: "datum-server on SQLite and PostgreSQL: pushes of 20 creates, pulls of what is new",
  async run(bench) {
    if (bench.who(["datum"]).length === 0) return;
    await measure(bench, "server", (name) => onFile(bench, name));
    const cluster = await guarded(bench.report, "B11 PostgreSQL", () => startPostgres(POSTGRES_PORT, { fsync: "on", max_connections: "100" }));
    if (!cluster) return;
    try {
      await measure(bench, "postgres", (name) => onPostgres(bench, cluster, name, 1));
      await measure(bench, "postgres2", (name) => onPostgres(bench, cluster, name, 2));
    } finally {
      await cluster.stop();
    }
  },
};

/** Measures servers that `open` starts on a new database. */
async function measure(bench, who, open) {
  const { report, quick } = bench;
  const rounds = Math.min(bench.rounds, 3);
  const found = Object.fromEntries(CLIENTS.map((clients) => [clients, []]));
  let lost = 0;
  for (let round = 0; round < rounds; round += 1) {
    for (const clients of CLIENTS) {
      const result = await guarded(report, `B11 ${who}, ${clients} clients`, () => onServers(open, `load-${round}-${clients}`, (servers) => load(servers, clients, quick ? 500 : 5_000)));
      if (!result) continue;
      found[clients].push(result);
      lost += result.lost;
      if (result.lost > 0) report.mistake(`B11: ${result.lost} acknowledged operations are missing with ${clients} clients on ${who}`);
      report.progress("B11", round + 1, rounds, who, `${clients} clients: ${result.operations.toFixed(0)} operations/s, push p50 ${result.push.p50.toFixed(1)} ms, pull p50 ${result.pull.p50.toFixed(1)} ms`);
    }
  }
  for (const clients of CLIENTS) {
    const list = found[clients];
    const word = clients === 1 ? "1 client" : `${clients} clients`;
    report.row("B11", who, `operations pushed a second, ${word}`, "ops/s", list.map((one) => one.operations), true);
    report.row("B11", who, `rows pulled a second, ${word}`, "rows/s", list.map((one) => one.rows), true);
    for (const what of ["push", "pull"]) {
      for (const share of ["p50", "p99"]) report.row("B11", who, `${what} ${share}, ${word}`, "ms", list.map((one) => one[what][share]), true);
    }
  }
  if (CLIENTS.some((clients) => found[clients].length > 0)) report.check("B11", `acknowledged operations that are not there afterwards, ${who}`, lost, 0, "max");

  const stored = quick ? [500, 2_000, 5_000] : [1_000, 10_000, 100_000];
  const growth = await guarded(report, `B11 ${who}, stored rows`, () => grow(open, stored, quick ? 10 : 200));
  if (!growth) return;
  for (const [key, words] of Object.entries(REQUESTS)) {
    const p50 = stored.map((rows) => median(growth.get(rows)[key]));
    report.progress("B11", 1, 1, who, `${words}, ${stored.map((rows, at) => `${rows} stored: ${p50[at].toFixed(2)} ms`).join(", ")}`);
    stored.forEach((rows) => report.row("B11", who, `${words}, ${rows} stored`, "ms", growth.get(rows)[key], true));
    // A factor of two would be growth; less is noise. On PostgreSQL a request is many short waits, which a busy machine
    // draws out, so there the few requests of a quick run say nothing.
    if (key !== "push" && !(quick && who !== "server")) report.check("B11", `${words}, ${who}: ${stored.at(-1)} rows stored against ${stored[0]}`, p50.at(-1) / p50[0], 1.5, "max");
  }
}

/** Starts a server on a new file. */
async function onFile(bench, name) {
  const folder = join(bench.folder, name);
  await mkdir(folder);
  return [await startRemote(folder)];
}

/** Starts servers on a new database of a cluster. */
async function onPostgres(bench, cluster, name, count) {
  const database = `${name}-${count}`;
  execFileSync(join(programs(), "createdb"), ["-h", "127.0.0.1", "-p", String(cluster.port), "-U", "supabase_admin", database]);
  const url = `${cluster.url.slice(0, cluster.url.lastIndexOf("/"))}/${database}`;
  const servers = [];
  for (let one = 0; one < count; one += 1) servers.push(await startRemote(bench.folder, { database: url }));
  return servers;
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

/** One device: connection, cursor, acknowledged and received rows. */
class Device {
  cursor = null;
  acknowledged = new Set();
  seen = new Set();
  times = { push: [], pull: [] };
  rows = 0;
  operations = 0;

  constructor(server, agent, user, authorization, number) {
    Object.assign(this, { server, agent, user, authorization, number, next: 0 });
  }

  async push(count = BATCH) {
    const operations = Array.from({ length: count }, () => {
      const index = this.number * 1_000_000 + this.next++;
      const { id: _, ...data } = taskOf(index);
      return { opId: `op-${index}`, entity: "tasks", id: idOf(index), kind: "create", baseVersion: null, data };
    });
    const { ms, reply } = await this.post("push", { clientId: `device-${this.number}`, userId: this.user, schema: 0, operations });
    for (const [at, verdict] of reply.results.entries()) {
      if (verdict.status !== "applied") throw new Error(JSON.stringify(verdict));
      this.acknowledged.add(operations[at].id);
    }
    this.operations += operations.length;
    return ms;
  }

  async pull(limit = 1_000) {
    const { ms, reply } = await this.post("pull", { clientId: `device-${this.number}`, userId: this.user, schema: 0, cursor: this.cursor, limit });
    this.cursor = reply.cursor;
    this.rows += reply.changes.length;
    for (const { id } of reply.changes) this.seen.add(id);
    return { ms, more: reply.more };
  }

  async drain() {
    while ((await this.pull(10_000)).more);
  }

  post(path, value) {
    const body = Buffer.from(JSON.stringify(value));
    const headers = { authorization: this.authorization, "content-type": "application/json", "content-length": body.length };
    return new Promise((resolve, reject) => {
      const started = performance.now();
      const asking = request(`${this.server.url}/sync/v1/${path}`, { method: "POST", agent: this.agent, headers }, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => {
          const ms = performance.now() - started;
          const text = Buffer.concat(parts).toString();
          if (response.statusCode === 200) resolve({ ms, reply: JSON.parse(text) });
          else reject(new Error(`${path} answered ${response.statusCode}: ${text}`));
        });
      });
      asking.on("error", reject);
      asking.end(body);
    });
  }
}

/** `clients` devices push and pull for `duration` milliseconds. */
async function load(servers, clients, duration) {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const devices = [];
  for (let number = 0; number < clients; number += 1) {
    const user = `load-${Math.floor(number / 4)}`;
    const server = servers[number % servers.length];
    devices.push(new Device(server, agent, user, await server.token(user), number));
  }
  // Opens connections and prepares statements before the measurement.
  for (const device of devices) {
    await device.push(1);
    await device.pull();
    device.rows = device.operations = 0;
  }
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
  return { operations, rows, push: shares("push"), pull: shares("pull"), lost };
}

const REQUESTS = { fresh: "pull of 100 new rows", middle: "a page of 250 amid the history", first: "first page of 100 of a snapshot", push: "push of 20" };

/**
 * Measures single requests against databases of several sizes, `times` times each. Every size has its own server. The
 * requests rotate between them, so that other load on the machine affects all of them.
 */
async function grow(open, stored, times) {
  const agent = new Agent({ keepAlive: true });
  const servers = [];
  try {
    const sizes = new Map();
    for (const rows of stored) {
      const started = await open(`grow-${rows}`);
      servers.push(...started);
      const [server] = started;
      const reader = new Device(server, agent, "reader", await server.token("reader"), 1);
      // Another user, so that the number of the reader's rows stays the same.
      const writer = new Device(server, agent, "writer", await server.token("writer"), 2);
      await server.seed("reader", rows - 100);
      const cursors = [];
      for (let more = true; more; cursors.push(reader.cursor)) ({ more } = await reader.pull(250));
      await server.seed("reader", rows, rows - 100);
      const pull = async (cursor, limit) => {
        reader.cursor = cursor;
        const before = reader.rows;
        const { ms } = await reader.pull(limit);
        if (reader.rows - before !== limit) throw new Error(`a page of ${limit} had ${reader.rows - before} rows`);
        return ms;
      };
      const requests = {
        fresh: () => pull(cursors.at(-1), 100),
        middle: () => pull(cursors[Math.floor((cursors.length - 1) / 2)], 250),
        first: () => pull(null, 100),
        push: () => writer.push(),
      };
      sizes.set(rows, { requests, times: Object.fromEntries(Object.keys(REQUESTS).map((key) => [key, []])) });
    }
    for (let round = -3; round < times; round += 1) {
      for (const { requests, times } of sizes.values()) {
        for (const [key, ask] of Object.entries(requests)) {
          const ms = await ask();
          // The first three rounds are warm-up.
          if (round >= 0) times[key].push(ms);
        }
      }
    }
    return new Map([...sizes].map(([rows, { times }]) => [rows, times]));
  } finally {
    agent.destroy();
    for (const server of servers) await server.stop();
  }
}
