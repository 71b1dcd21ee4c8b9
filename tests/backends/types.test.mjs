// The types of `datum-sync/supabase` in an app under `tsc --strict`: with a client of a typed database, and what they refuse.
import assert from "node:assert/strict";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../e2e/lib/files.mjs";
import { test } from "../e2e/lib/test.mjs";
import { loadPackage } from "./lib/package.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const OPTIONS = { target: "es2022", lib: ["ES2022", "DOM", "DOM.Iterable"], module: "esnext", moduleResolution: "bundler", types: [], strict: true, exactOptionalPropertyTypes: true, noEmit: true };

const APP = `
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { Datum, type Entity, type RemoteAdapter } from "datum-sync";
import { connectAuth, signedInUser, supabaseRemote, type AuthOptions } from "datum-sync/supabase";

interface Task extends Entity { title: string; done: boolean }
interface Database {
  public: {
    Tables: { tasks: { Row: { id: string; title: string }; Insert: { title: string }; Update: { title?: string }; Relationships: [] } };
    Views: {};
    Functions: {};
    Enums: {};
  };
}
const typed = createClient<Database>("https://x.supabase.co", "key");
const plain = createClient("https://x.supabase.co", "key");
const other: SupabaseClient<any, any, any> = createClient<Database, "public">("https://x.supabase.co", "key");
for (const client of [typed, plain, other]) void client;
const remote: RemoteAdapter = supabaseRemote(typed);
const datum = await Datum.initialize<{ tasks: Task }>({ entities: { tasks: {} }, remote, initialUserId: () => signedInUser(typed) });
const loose = await Datum.initialize({ entities: { tasks: {} }, remote: supabaseRemote(plain, { userId: async () => null }) });
const options: AuthOptions = { flush: 1_000, strategy: (previous, next) => (previous === "visitor" && next ? "adopt" : "keepLocal"), onSignedIn: (user, result) => console.log(user, result?.pulledCount), onSignedOut: (user, { unsynced }) => console.log(user, unsynced.length) };
const end: () => void = connectAuth(datum, typed, options);
connectAuth(loose, other);
end();
`;

const WRONG = `
import { createClient } from "@supabase/supabase-js";
import { supabaseRemote, connectAuth, type AuthOptions } from "datum-sync/supabase";
// @ts-expect-error: an adapter needs a client.
supabaseRemote();
// @ts-expect-error: a url is no client.
supabaseRemote("https://x.supabase.co");
// @ts-expect-error: there is no such option.
supabaseRemote(createClient("https://x.supabase.co", "key"), { table: "tasks" });
// @ts-expect-error: milliseconds.
const options: AuthOptions = { flush: "5 s" };
// @ts-expect-error: the instance comes first.
connectAuth(createClient("https://x.supabase.co", "key"), options);
`;

test("the types fit clients of typed and untyped databases, and refuse what cannot work", async () => {
  const { root } = await loadPackage();
  await symlink(here("node_modules/@supabase"), join(root, "node_modules/@supabase"));
  await writeFile(join(root, "app.ts"), APP);
  await writeFile(join(root, "wrong.ts"), WRONG);
  const check = async (skipLibCheck) => {
    await writeFile(join(root, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...OPTIONS, skipLibCheck }, include: ["*.ts"] }));
    return run(here("../e2e/node_modules/.bin/tsc"), ["--project", root]).catch(({ message }) => message);
  };
  assert.equal(await check(true), "");
  // The types of supabase-js itself name packages that an app does not need; those of this package name nothing else.
  const all = await check(false);
  assert.deepEqual(all.split("\n").filter((line) => line.includes("datum-sync/")), []);
});
