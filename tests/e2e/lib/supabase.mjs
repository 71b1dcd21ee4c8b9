// A Supabase project under the SQL kit as what the pages sync with: `tasks` is a table, and other entity types are documents.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startBackend } from "../../backends/lib/backend.mjs";
import { kit } from "../../backends/lib/kit.mjs";
import { run } from "./files.mjs";
import { freePort } from "./ports.mjs";

const PASSWORD = "correct horse";
const tool = (path) => fileURLToPath(new URL(path, import.meta.url));

const TABLES = `
create table public.teams(id uuid primary key, name text not null);
create table public.members(team_id uuid not null references public.teams on delete cascade, user_id uuid not null, role text not null, primary key (team_id, user_id));
create function public.my_teams() returns setof uuid language sql stable security definer set search_path = '' as $$ select team_id from public.members where user_id = auth.uid() $$;
create table public.tasks(
  id text primary key, user_id uuid not null default auth.uid(), team_id uuid references public.teams on delete cascade,
  title text not null, done boolean, text text, noise text, created_at timestamptz not null default now(), modified_at timestamptz not null default now());
alter table public.teams enable row level security;
alter table public.members enable row level security;
alter table public.tasks enable row level security;
create policy mine on public.members for select to authenticated using (user_id = (select auth.uid()));
create policy mine on public.tasks to authenticated using (user_id = (select auth.uid()) or team_id in (select public.my_teams()));`;
const ATTACH = `
select datum.attach('public.tasks', owner => 'user_id', team => 'team_id');
select datum.membership('select team_id, role from public.members where user_id = auth.uid()');
select datum.documents(true);`;

/** The id of a user: the same uuid for the same name. */
function id(name) {
  if (name.length === 36) return name;
  const hex = createHash("sha256").update(name).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join("-");
}

/** Starts the project. */
export async function startSupabase() {
  const ports = { postgres: await freePort(), postgrest: await freePort(), gateway: await freePort() };
  const backend = await startBackend({ ports, migrations: [TABLES, kit(), ATTACH] });
  backend.gateway.accounts.newId = (email) => email.split("@")[0];
  const { url, anonKey, query } = backend;
  return {
    url,
    stop: backend.stop,
    id,
    /** Puts a user into a team, or changes their role; null takes them out. The team is made if there is none of that id. */
    async member(team, user, role) {
      await query("insert into public.teams(id, name) values ($1, 'Home') on conflict do nothing", [team]);
      if (role === null) await query("delete from public.members where team_id = $1 and user_id = $2", [team, id(user)]);
      else await query("insert into public.members values ($1, $2, $3) on conflict (team_id, user_id) do update set role = excluded.role", [team, id(user), role]);
    },
    client: (user) => client(url, anonKey, user),
    prepare: async (folder) => {
      const from = tool("../node_modules/@supabase/supabase-js/dist/index.mjs");
      await run(tool("../node_modules/.bin/esbuild"), [from, "--bundle", "--format=esm", "--platform=browser", "--log-level=error", `--outfile=${join(folder, "supabase-js.js")}`]);
    },
    head: `<script type="importmap">{ "imports": { "datum-sync": "./datum-sync/index.js" } }</script>`,
    script: (through) => `
import { createClient } from "./supabase-js.js";
import { supabaseRemote } from "./datum-sync/supabase/index.js";
const open = async (user, { url = "${through}", ...options } = {}) => {
  // In two engines, all tests have one storage.
  const supabase = createClient(url, "${anonKey}", { auth: { storageKey: "session-" + user } });
  const { data } = await supabase.auth.getSession();
  if (data.session === null) {
    const { error } = await supabase.auth.signUp({ email: user + "@example.test", password: "${PASSWORD}" });
    if (error) throw error;
  }
  return supabaseRemote(supabase, options);
};`,
    /** What an app of a bundler needs to open a remote by itself. */
    anonKey,
  };
}

/** Talks to the kit's functions as a user, without the engine. */
async function client(url, apikey, user) {
  const post = async (path, body, authorization = `Bearer ${apikey}`) => {
    const response = await fetch(`${url}${path}`, { method: "POST", headers: { apikey, authorization, "content-type": "application/json" }, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return response.json();
  };
  const { access_token: token } = await post("/auth/v1/signup", { email: `${id(user)}@example.test`, password: PASSWORD });
  const call = (name, body) => post(`/rest/v1/rpc/datum_${name}`, { clientId: `e2e-${user}`, userId: id(user), schema: 0, ...body }, `Bearer ${token}`);
  return {
    push: (operations) => call("push", { operations }),
    async pullAll() {
      const changes = [];
      for (let cursor = null; ; ) {
        const page = await call("pull", { cursor, limit: 1000 });
        changes.push(...page.changes);
        cursor = page.cursor;
        if (!page.more) return changes;
      }
    },
  };
}
