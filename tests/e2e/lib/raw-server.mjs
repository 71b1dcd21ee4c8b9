// A server that answers byte by byte what a test wants, also what no server may.
import { createServer } from "node:net";

/** Returns the head of an answer. */
export const head = (status, headers = {}) =>
  `HTTP/1.1 ${status}\r\n${Object.entries({ "content-type": "application/json", connection: "close", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;

/** Writes an answer whose length is said. */
export const say = (socket, text, { status = "200 OK", ...headers } = {}) => void socket.end(head(status, { "content-length": Buffer.byteLength(text), ...headers }) + text);

/** Writes again and again, for as long as somebody reads. */
export function pour(socket, bytes) {
  const more = () => {
    while (!socket.destroyed && socket.write(bytes));
    if (!socket.destroyed) socket.once("drain", more);
  };
  more();
}

/** Starts a server that calls `answer(socket, { method, path, body, count })` for each request; `count` is its number. */
export async function startRawServer(answer) {
  const sockets = new Set();
  const seen = [];
  const server = createServer((socket) => {
    let text = "";
    let isAnswered = false;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
      if (isAnswered || end < 0 || text.length < end + 4 + length) return;
      isAnswered = true;
      const [method, path] = text.split(" ");
      seen.push({ method, path });
      answer(socket, { method, path, body: text.slice(end + 4), count: seen.length });
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
