// What the pages sync with: the reference server, or with `DATUM_BACKEND=supabase` a Supabase project on this machine, under the SQL kit.
import { client, startServer } from "./server.mjs";

/** True if the pages sync with Supabase. */
export const isSupabase = process.env.DATUM_BACKEND === "supabase";

/** For a test that cannot run over Supabase: its options, with the reason. */
export const notOverSupabase = (reason, options = {}) => ({ ...options, skip: isSupabase ? reason : false });

/**
 * Starts it. `id(name)` is the id of the user of that name, `client(user)` talks to it without the engine, and `rows(user)` are the titles that it
 * has. `prepare(folder)` puts what a page needs into a folder, `head` goes into its HTML, and after `script(url)`
 * the page has a function `open(user, options)`, which resolves with a remote through that address.
 */
export async function startTarget() {
  const target = isSupabase ? await (await import("./supabase.mjs")).startSupabase() : await startReference();
  const rows = async (user) => (await (await target.client(user)).pullAll()).filter(({ deleted, entity }) => !deleted && !entity.startsWith("$")).map(({ data }) => data.title).sort();
  return { ...target, rows };
}

async function startReference() {
  const server = await startServer();
  return {
    url: server.url,
    stop: server.stop,
    id: (name) => name,
    client: (user) => client(server.url, user),
    prepare: async () => {},
    head: "",
    script: (url) => `
let token;
const open = async (user, options) => ({
  url: "${url}",
  headers: async (reason) => {
    if (reason === "unauthorized" || !token) {
      const reply = await fetch("${url}/dev/token", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ userId: user }) });
      token = (await reply.json()).token;
    }
    return { Authorization: "Bearer " + token };
  },
  ...options,
});`,
  };
}
