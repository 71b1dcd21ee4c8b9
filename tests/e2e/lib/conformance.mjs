// The conformance kit of the packed package, and a real server to check.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { installPackage } from "./package.mjs";
import { client, startServer } from "./server.mjs";

export async function startKit() {
  const [installed, server] = await Promise.all([installPackage(), startServer()]);
  const file = (name) => join(installed.root, "node_modules", "datum-sync", name);
  const load = (name) => import(pathToFileURL(file(name)));
  const kit = await load("conformance/index.js");
  let people = 0;
  /** A new user's token. */
  const token = async () => {
    const { headers } = await client(server.url, `person-${++people}`);
    return headers.authorization.replace("Bearer ", "");
  };
  return {
    kit,
    server,
    root: installed.root,
    file,
    load,
    /** Checks the server behind an address, as two new users. */
    check: async (url, options = {}) => kit.checkServer({ url, token: await token(), tokenB: await token(), entity: ["tasks", "lists"], ...options }),
    async stop() {
      await server.stop();
      await installed.remove();
    },
  };
}
