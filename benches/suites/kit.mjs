// B12: a first pull and a push over the SQL kit behind PostgREST, beside datum-server. Nothing is cached: both answer live.
// Measured only if it is named, since it needs PostgreSQL and the packages of tests/backends.
import { randomUUID } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { createServer } from "node:net";
import { factsOf, tasks } from "../lib/data.mjs";
import { inTurns, ms, onFreshOrigin, verify } from "./common.mjs";

const TABLE = `
  create table public.tasks (id uuid primary key, user_id uuid not null, title text not null, done boolean not null, priority int not null,
    tags text[] not null, created_at timestamptz not null, modified_at timestamptz not null);
  alter table public.tasks enable row level security;
  create policy own on public.tasks to authenticated using (user_id = auth.uid());
  select datum.attach('public.tasks');`;

export const b12 = {
  id: "B12",
  title: "over the SQL kit: a first pull and a push, live, beside datum-server",
  async run(bench) {
    const who = bench.who(["datum", "kit"]);
    if (who.length === 0) return;
    const kit = await startKit();
    try {
      await firstPull(bench, who, kit);
      await push(bench, who, kit);
    } finally {
      await kit.stop();
    }
  },
};

async function firstPull(bench, who, kit) {
  const { report, quick, remote } = bench;
  const count = quick ? 1_000 : 10_000;
  const users = { datum: "kit-pull", kit: randomUUID() };
  const seed = { datum: () => remote.seed(users.datum, count), kit: () => kit.seed(users.kit, count) };
  for (const one of who) await seed[one]();
  const found = await inTurns({ report, id: "B12", rounds: bench.rounds, who, say: ms }, (one) =>
    onFreshOrigin(bench, one, async (visit) => {
      // Both pull everything once before, into another database.
      const result = await visit.run("pull", { who: one, warm: count, options: await optionsOf(bench, kit, one, users[one]) });
      verify(await visit.run("facts"), count, 0, one);
      return result.ms;
    }),
  );
  for (const one of who) report.row("B12", one, `first pull of ${count} tasks`, "ms", found[one], true);
}

async function push(bench, who, kit) {
  const { report, quick, remote } = bench;
  const [warm, count] = quick ? [10, 100] : [100, 1_000];
  const found = await inTurns({ report, id: "B12", rounds: bench.rounds, who, say: ms }, (one, round) =>
    onFreshOrigin(bench, one, async (visit) => {
      // A row's id is one for all users of a table, so each round begins with an empty one.
      if (one === "kit") await kit.empty();
      const user = one === "kit" ? randomUUID() : `kit-push-${round}`;
      const result = await visit.run("push", { who: one, warm, count, options: await optionsOf(bench, kit, one, user) });
      const pending = await visit.run("pending");
      if (pending) throw new Error(`${pending} operations are still pending after the push`);
      verify(factsOf(await (one === "kit" ? kit : remote).rows(user)), warm + count, 0, `the server after ${one}`);
      return result;
    }),
  );
  for (const one of who) report.row("B12", one, `push of ${count} creates`, "ms", found[one], true);
}

const optionsOf = async ({ remote }, kit, who, user) =>
  who === "kit" ? { url: kit.url, anonKey: kit.anonKey, token: kit.token(user), user } : { url: remote.url, user, authorization: await remote.token(user) };

async function startKit() {
  const { SECRET, startBackend } = await import("../../tests/backends/lib/backend.mjs");
  const { sign } = await import("../../tests/backends/gateway/token.mjs");
  const ports = { postgres: await freePort(), postgrest: await freePort(), gateway: await freePort() };
  const backend = await startBackend({ ports, migrations: [await sql(), TABLE], settings: { fsync: "on" } });
  return {
    url: backend.url,
    anonKey: backend.anonKey,
    stop: backend.stop,
    token: (user) => sign({ sub: user, role: "authenticated", exp: Math.floor(Date.now() / 1_000) + 86_400 }, SECRET),
    empty: () => backend.query("truncate public.tasks"),
    async seed(user, count) {
      const rows = tasks(count).map(({ createdAt, modifiedAt, ...task }) => ({ ...task, user_id: user, created_at: createdAt, modified_at: modifiedAt }));
      await backend.query("insert into public.tasks select * from json_populate_recordset(null::public.tasks, $1)", [JSON.stringify(rows)]);
    },
    async rows(user) {
      const { rows } = await backend.query("select id, title, done, priority, tags, created_at from public.tasks where user_id = $1", [user]);
      return rows.map(({ created_at, ...row }) => ({ ...row, createdAt: created_at.toISOString() }));
    },
  };
}

/** The SQL kit as it is shipped: its files in the order of their names. */
async function sql() {
  const folder = new URL("../../server/sql/kit/", import.meta.url);
  const files = (await readdir(folder)).sort().map((name) => readFile(new URL(name, folder), "utf8"));
  return (await Promise.all(files)).join("\n");
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
