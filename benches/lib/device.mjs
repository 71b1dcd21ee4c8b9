// A simulated device of B11: it pushes and pulls as one does, without the engine, and knows what was acknowledged.
import { request } from "node:http";
import { idOf, taskOf } from "./data.mjs";

/** How many rows a push has. */
export const BATCH = 20;
/** What a device comes back after. */
const BUSY = [429, 503, 504];

/** One device: connection, cursor, acknowledged and received rows. */
export class Device {
  cursor = null;
  acknowledged = new Set();
  seen = new Set();
  times = { push: [], pull: [] };
  rows = 0;
  operations = 0;
  /** How often the server was busy. */
  refused = 0;

  constructor(server, agent, user, authorization, number) {
    Object.assign(this, { server, agent, user: server.userOf(user), authorization, number, next: 0 });
  }

  async push(count = BATCH) {
    const operations = Array.from({ length: count }, () => {
      const index = this.number * 1_000_000 + this.next++;
      const { id: _, ...data } = taskOf(index);
      return { opId: `op-${index}`, entity: "tasks", id: idOf(index), kind: "create", baseVersion: null, data };
    });
    const { ms, reply } = await this.post("push", { clientId: `device-${this.number}`, userId: this.user, schema: 0, operations });
    for (const [at, verdict] of reply.results.entries()) {
      if (verdict.status !== "applied") throw new Error(JSON.stringify(verdict));
      this.acknowledged.add(operations[at].id);
    }
    this.operations += operations.length;
    return ms;
  }

  async pull(limit = 1_000) {
    const { ms, reply } = await this.post("pull", { clientId: `device-${this.number}`, userId: this.user, schema: 0, cursor: this.cursor, limit });
    this.cursor = reply.cursor;
    this.rows += reply.changes.length;
    for (const { id } of reply.changes) this.seen.add(id);
    return { ms, more: reply.more };
  }

  async drain() {
    while ((await this.pull(10_000)).more);
  }

  /** Sends a request, as often as the server says that it is busy. The time is that of all of it, as a user sees it. */
  async post(path, value) {
    const body = Buffer.from(JSON.stringify(value));
    const started = performance.now();
    for (;;) {
      const { status, text } = await this.#send(path, body);
      if (status === 200) return { ms: performance.now() - started, reply: JSON.parse(text) };
      if (!BUSY.includes(status)) throw new Error(`${path} answered ${status}: ${text}`);
      this.refused += 1;
      await new Promise((resolve) => setTimeout(resolve, JSON.parse(text).retryAfterMs ?? 1_000));
    }
  }

  #send(path, body) {
    const headers = { authorization: this.authorization, "content-type": "application/json", "content-length": body.length };
    return new Promise((resolve, reject) => {
      const asking = request(this.server.pathOf(path), { method: "POST", agent: this.agent, headers }, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode, text: Buffer.concat(parts).toString() }));
      });
      asking.on("error", reject);
      asking.end(body);
    });
  }
}

/** A device of a user of a server. `number` is another for each. */
export const deviceOf = async (server, agent, user, number) => new Device(server, agent, user, await server.token(user), number);
