import { chapter, server } from "../check.js";
import type { Device } from "../device.js";

const WRONG = "A device that comes with a cursor of another server, or a damaged one, misses rows and says that it is in sync. With 410 it pulls from the beginning.";

async function gone(a: Device, cursor: string, more: object = {}): Promise<string | undefined> {
  const answer = await a.ask("pull", { cursor, limit: 10, ...more });
  a.expect(answer.status === 410, "410");
  if (a.http === undefined) return undefined;
  a.expect(answer.code !== undefined, "410 with a `code`: without one a client takes the answer for a proxy's");
  return answer.code;
}

/** What a server says to cursors that are not its own. */
export const cursors = chapter("cursors", {
  old: [
    "A cursor from before many writes is still good",
    { costs: "Devices that were away pull everything again.", section: "4.3" },
    async ({ a }) => {
      const mark = await a.mark();
      const row = await a.row("written since");
      await a.create("more", "and more");
      a.expect((await a.since(mark)).has(row.id), "what was written since");
    },
  ],
  garbled: [
    "Text that is no cursor is 410",
    { costs: WRONG, section: "4.3" },
    async ({ a }) => {
      // A number may be a cursor: 0 is one of a backend that counts.
      for (const cursor of ["garbage", "null", "{}", "-1", "../../etc/passwd", "ä".repeat(300)]) await gone(a, cursor);
    },
  ],
  altered: [
    "A cursor of which a character was changed is 410",
    { costs: WRONG, section: "4.3" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const mark = await a.mark();
      for (const at of [0, Math.floor(mark.length / 2), mark.length - 1]) {
        await gone(a, mark.slice(0, at) + (mark[at] === "1" ? "2" : "1") + mark.slice(at + 1));
      }
      if (mark.length > 2) await gone(a, mark.slice(0, -2));
    },
  ],
  scope: [
    "A cursor of other `entities` is 410 `scopeChanged`",
    { costs: "Rows of the types that were left out before are never pulled.", section: "4.3" },
    async (bench) => {
      server(bench);
      const { a, entities } = bench;
      const { cursor } = await a.drain(null, 1_000, { entities: [entities[0]] });
      const code = await gone(a, cursor);
      a.expect(code === "scopeChanged", "410 with the code `scopeChanged`");
    },
  ],
  after: [
    "After a 410 a pull from the beginning works",
    { costs: "A device never recovers.", section: "4.3", rests: ["cursors.garbled"] },
    async ({ a }) => {
      const row = await a.row("still there");
      await gone(a, "garbage");
      a.expect((await a.drain(null)).changes.some(({ id }) => id === row.id), "every row");
    },
  ],
});
