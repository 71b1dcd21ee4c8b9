// What the pages of a profile talk to: the package's files, and for each user a remote in memory, behind HTTP.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { pathToFileURL } from "node:url";

const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const JSON_TYPE = { "content-type": "application/json" };

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const bytes = Buffer.concat(parts);
  if (bytes.length === 0) return {};
  return new Response(request.headers["content-encoding"] === "gzip" ? new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")) : bytes).json();
}

/** Returns a reply with nothing that a remote may leave out. */
function plain({ changes, results, ...reply }) {
  const pick = (from, names) => Object.fromEntries(names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]));
  if (results) return { results: results.map((verdict) => pick(verdict, ["opId", "status", "version", "row"])) };
  if (changes) return { changes: changes.map((change) => pick(change, ["entity", "id", "version", "deleted", "data"])), ...pick(reply, ["cursor", "more"]) };
  return reply;
}

/**
 * Serves the package in a folder. `remoteOf(user)` is the remote of a user: each has one of their own, so that pages of
 * different users do not meet. A user whose name begins with "plain" has one that says only what it must. Answers of a remote with `isCut` end too early. `isIdle()` is false while an answer is on its way.
 */
export async function serve(folder) {
  const { MemoryRemote } = await import(pathToFileURL(join(folder, "testing.js")));
  const remotes = new Map();
  const remoteOf = (user) => {
    if (!remotes.has(user)) remotes.set(user, new MemoryRemote());
    return remotes.get(user);
  };
  let answering = 0;

  async function answer(request, user, path) {
    const remote = remoteOf(user);
    const given = { userId: user, ...(await bodyOf(request)) };
    switch (path.split("/").at(-1)) {
      case "pull":
        return remote.pull(given);
      case "push":
        return remote.push(given);
      case "health":
        return { status: "ok" };
      case "metadata": {
        if (request.method === "PUT") return (await remote.putSyncMetadata({ ...given.metadata, userId: user })) ?? {};
        return { metadata: await remote.getSyncMetadata(user) };
      }
      default:
        return undefined;
    }
  }

  function stream(user, response) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("event: hello\ndata: {}\n\n");
    response.on("close", remoteOf(user).subscribe(user, () => response.write("event: change\ndata: {}\n\n")));
  }

  async function respond(request, response) {
    const url = new URL(request.url, "http://x");
    const path = normalize(url.pathname);
    if (path.startsWith("/sync/")) {
      // An `EventSource` sends no headers.
      const user = request.headers.authorization ?? url.search.slice(1);
      if (path.endsWith("/stream")) return stream(user, response);
      const reply = await answer(request, user, path);
      const said = user.startsWith("plain") && reply !== undefined ? plain(reply) : reply;
      response.writeHead(said === undefined ? 404 : 200, JSON_TYPE).end(JSON.stringify(said ?? {}).slice(0, remoteOf(user).isCut ? -2 : undefined));
    } else if (path === "/") {
      response.writeHead(200, { "content-type": "text/html" }).end('<!doctype html><meta charset="utf-8"><title>profile</title>');
    } else {
      const bytes = await readFile(join(folder, path));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(bytes);
    }
  }

  const server = createServer(async (request, response) => {
    answering += 1;
    try {
      await respond(request, response);
    } catch (error) {
      response.writeHead(error.status ?? 404, JSON_TYPE).end(JSON.stringify({ code: error.code, message: String(error.message) }));
    } finally {
      answering -= 1;
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    remoteOf,
    isIdle: () => answering === 0,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
