// Devices in Node: the packed package over fake-indexeddb, and the real supabase-js, each with a storage of its own.
import "fake-indexeddb/auto";
import { createClient } from "@supabase/supabase-js";
import WebSocket from "ws";
import { within } from "../../e2e/lib/test.mjs";
import { atEnd } from "./cleanup.mjs";
import { loadPackage } from "./package.mjs";

const PASSWORD = "correct horse";
export const library = await loadPackage();
let count = 0;

/** A storage for one client's session. */
export function storage() {
  const values = new Map();
  return { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => void values.set(key, value), removeItem: (key) => void values.delete(key), values };
}

/** Makes a client of the project; of `auth`, what supabase-js takes. */
export function newClient(project, { auth = {}, ...options } = {}) {
  return createClient(project.url, project.anonKey, {
    ...options,
    auth: { storage: storage(), storageKey: `client-${++count}`, autoRefreshToken: false, detectSessionInUrl: false, ...auth },
    realtime: { transport: WebSocket, ...options.realtime },
  });
}

/** Adds a user to the project and returns the id. */
export const addUser = (project, email) => project.gateway.accounts.add(email, PASSWORD);

/** Signs a client in. */
export async function signIn(client, email) {
  const { data, error } = await client.auth.signInWithPassword({ email, password: PASSWORD });
  if (error) throw error;
  return data.user.id;
}

/** A device: a client, signed in unless `email` is null, and an instance. */
export async function newDevice(project, { email = "ada@example.test", client = newClient(project), userId, remote = {}, config = {} } = {}) {
  const user = email === null ? userId : (await addUser(project, email), await signIn(client, email));
  const datum = await library.Datum.initialize({
    name: `device-${++count}`,
    entities: { tasks: {} },
    remote: library.supabaseRemote(client, remote),
    ...(user === undefined ? {} : { initialUserId: user }),
    retry: { maxAttempts: 1 },
    ...config,
  });
  atEnd(async () => {
    await datum.close().catch(() => {});
    client.realtime.disconnect();
  });
  const tasks = datum.manager("tasks");
  return {
    datum,
    client,
    user,
    tasks,
    sync: (options) => datum.synchronize(user, options),
    /** The code with which a cycle fails. */
    failure: async (options) => datum.synchronize(user, options).then(() => "none", (error) => error.code),
    titles: async () => (await tasks.readAll()).map(({ title }) => title).sort(),
    waiting: () => datum.pendingCount(user),
  };
}

/** Resolves when the predicate is true. */
export async function until(what, predicate, ms = 15_000) {
  await within(ms, what, (async () => {
    while (!(await predicate())) await new Promise((resolve) => setTimeout(resolve, 20));
  })());
}
