// B11: what single requests cost as there is more: rows of the user, rows of others, shared spaces, idle streams.
import { Agent, request } from "node:http";
import { deviceOf } from "../lib/device.mjs";
import { idOf } from "../lib/data.mjs";
import { median } from "../lib/stats.mjs";

const REQUESTS = { fresh: "pull of 100 new rows", idle: "idle pull", middle: "a page of 250 amid the history", first: "first page of 100 of a snapshot", push: "push of 20" };
/** The rows of each of the others. */
const ROWS_OF_EACH = 1_000;
/** The rows of the user, where something else grows. */
const OWN_ROWS = 1_000;

/** What grows: how far, in a whole and in a quick run; how it is called; and what makes so much of it, and returns what ends it. */
const KINDS = {
  stored: { sizes: [1_000, 10_000, 100_000], quick: [500, 2_000, 5_000], words: (size) => `${size} stored`, make: async () => {} },
  others: { sizes: [0, 100_000, 1_000_000], quick: [0, 2_000], words: (size) => `${size} rows of others`, make: others },
  spaces: { sizes: [1, 10, 100], quick: [1, 5], words: (size) => (size === 1 ? "1 space" : `${size} spaces`), make: spaces },
  streams: { sizes: [0, 1_000], quick: [0, 50], words: (size) => `${size} idle streams`, make: streams },
};

/**
 * Measures single requests against servers of several sizes, to `most` at most. Every size has its own server. The requests rotate between them, so that other load on the
 * machine affects all of them.
 */
export async function growth({ report, quick }, who, kind, open, most) {
  const { sizes: whole, quick: few, words, make } = KINDS[kind];
  const sizes = (quick ? few : whole).filter((size) => size <= most);
  const agent = new Agent({ keepAlive: true });
  const ends = [];
  const found = new Map();
  try {
    for (const size of sizes) {
      const started = await open(`${kind}-${size}`);
      ends.unshift(...started.map((server) => server.stop));
      const [server] = started;
      const end = await make(server, size, agent);
      if (end) ends.unshift(end);
      found.set(size, { requests: await requestsOf(server, agent, kind === "stored" ? size : OWN_ROWS), times: Object.fromEntries(Object.keys(REQUESTS).map((key) => [key, []])) });
    }
    for (let round = -3; round < (quick ? 10 : 150); round += 1) {
      for (const { requests, times } of found.values()) {
        for (const [key, ask] of Object.entries(requests)) {
          const ms = await ask();
          // The first three rounds are warm-up.
          if (round >= 0) times[key].push(ms);
        }
      }
    }
  } finally {
    agent.destroy();
    for (const end of ends) await end();
  }
  for (const [key, what] of Object.entries(REQUESTS)) {
    const p50 = sizes.map((size) => median(found.get(size).times[key]));
    report.progress("B11", 1, 1, who, `${what}, ${sizes.map((size, at) => `${words(size)}: ${p50[at].toFixed(2)} ms`).join(", ")}`);
    for (const size of sizes) report.row("B11", who, `${what}, ${words(size)}`, "ms", found.get(size).times[key], true);
    // A factor of two would be growth; less is noise. The few requests of a quick run say nothing, and a push waits for the disk.
    if (key !== "push" && !quick) report.check("B11", `${what}, ${who}: ${words(sizes.at(-1))} against ${words(sizes[0])}`, p50.at(-1) / p50[0], kind === "spaces" ? 3 : 1.5, "max");
  }
}

/** The requests of a user with so many rows, by key; each returns how long it took. */
async function requestsOf(server, agent, rows) {
  const reader = await deviceOf(server, agent, "reader", 1);
  // Another user, so that the number of the reader's rows stays the same.
  const writer = await deviceOf(server, agent, "writer", 2);
  await server.seed("reader", rows - 100);
  const cursors = [];
  for (let more = true; more; cursors.push(reader.cursor)) ({ more } = await reader.pull(250));
  await server.seed("reader", rows, rows - 100);
  const pull = async (cursor, limit, expected = limit) => {
    reader.cursor = cursor;
    const before = reader.rows;
    const { ms } = await reader.pull(limit);
    if (reader.rows - before !== expected) throw new Error(`a page of ${limit} had ${reader.rows - before} rows, not ${expected}`);
    return ms;
  };
  await pull(cursors.at(-1), 100);
  const end = reader.cursor;
  return {
    fresh: () => pull(cursors.at(-1), 100),
    idle: () => pull(end, 100, 0),
    middle: () => pull(cursors[Math.floor((cursors.length - 1) / 2)], 250),
    first: () => pull(null, 100),
    push: () => writer.push(),
  };
}

/** Rows of other users, 1,000 each. */
async function others(server, count) {
  const users = Array.from({ length: count / ROWS_OF_EACH }, (_, at) => `other-${at}`);
  // Two at a time, as there are processors.
  const work = async () => {
    for (let user = users.pop(); user !== undefined; user = users.pop()) await server.seed(user, ROWS_OF_EACH);
  };
  await Promise.all([work(), work()]);
}

/** Spaces of another user in which the reader and the writer are, with nothing else in them. */
async function spaces(server, count) {
  for (let at = 0; at < count; at += 1) {
    const space = idOf(5_000_000 + at);
    const member = (user) => ({ opId: `member-${at}-${user}`, entity: "$member", id: `${space}/${user}`, space, kind: "create", baseVersion: null, data: { role: "writer" }, after: [`space-${at}`] });
    const made = { opId: `space-${at}`, entity: "$space", id: space, space, kind: "create", baseVersion: null, data: { name: `Space ${at}` } };
    await server.apply("owner", [made, member("reader"), member("writer")]);
  }
}

/** Streams of so many other users, which hear nothing. */
async function streams(server, count) {
  const open = [];
  const own = new Agent({ maxSockets: Infinity });
  for (let at = 0; at < count; at += 1) {
    const headers = { authorization: await server.token(`listener-${at}`), accept: "text/event-stream" };
    const stream = await new Promise((resolve, reject) => {
      const asking = request(server.pathOf("stream"), { agent: own, headers }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`a stream was answered ${response.statusCode}`));
        response.once("data", () => resolve(asking));
        response.on("error", () => {});
        response.resume();
      });
      asking.on("error", reject);
      asking.end();
    });
    stream.on("error", () => {});
    open.push(stream);
  }
  return async () => {
    for (const stream of open) stream.destroy();
    own.destroy();
  };
}
