// The conformance kit over `supabaseRemote`: the SQL kit's functions pass it, and plain tables as far as they promise.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "../e2e/lib/test.mjs";
import { addUser, library, newClient, signIn } from "./lib/devices.mjs";
import { startProject } from "./lib/project.mjs";

const { checkRemoteAdapter } = await import(pathToFileURL(join(library.installed, "conformance", "index.js")));

/** A table in Datum's shape, in which the run writes. */
const NOTES = `
create table public.notes(
  id uuid primary key, user_id uuid not null, title text, note text,
  created_at timestamptz not null default now(), modified_at timestamptz not null default now(), version integer not null default 1, is_deleted boolean not null default false);
alter table public.notes enable row level security;
create policy mine on public.notes to authenticated using (user_id = (select auth.uid()));
grant all on public.notes to authenticated;`;

/** Checks the adapters of two new users. */
async function check(project, options, more = {}) {
  const session = async (name) => {
    await addUser(project, name);
    const client = newClient(project);
    const userId = await signIn(client, name);
    return { userId, adapter: library.supabaseRemote(client, options), client };
  };
  const [a, b] = [await session("ann@example.test"), await session("bob@example.test")];
  const report = await checkRemoteAdapter(a.adapter, { userId: a.userId, other: b, limit: 150_000, ...more });
  for (const { client } of [a, b]) client.realtime.disconnect();
  return report;
}

/** What columns cannot hold. */
const COLUMNS = ["values.nul", "values.types", "values.keys", "values.ids"];

test("the SQL kit's functions pass, but for what columns cannot hold", async () => {
  const report = await check(await startProject(), {}, { without: COLUMNS });
  assert.deepEqual([report.failures.map(({ id }) => id), report.stopped, report.rowsLeft], [[], undefined, 0], report.text);
});

test("plain tables pass as far as they promise", async () => {
  const project = await startProject({ isPlain: true, migrations: [NOTES] });
  // There is no memory of operations: the row says whether a write was done, and a later one hides it. Deleting what is gone writes its mark again.
  const without = [...COLUMNS, "replays.create", "replays.update", "replays.patch", "replays.delete", "replays.batch", "deletes.again"];
  const report = await check(project, { tables: { entities: { notes: {} }, metadata: null, overlap: 1_000 } }, { entity: "notes", without });
  assert.deepEqual([report.failures.map(({ id }) => id), report.stopped, report.rowsLeft], [[], undefined, 0], report.text);
});
