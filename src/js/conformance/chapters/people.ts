import { chapter, other } from "../check.js";
import { needs, notOffered, type Device } from "../device.js";
import type { Any } from "../target.js";

const LEAKS = "One user reads or changes what belongs to another.";

/** Two users. */
export const users = chapter("users", {
  rows: [
    "Nobody gets another user's rows",
    { costs: LEAKS, section: "1" },
    async (bench) => {
      const [a, b] = [bench.a, other(bench)];
      const mark = await b.mark();
      const row = await a.row("of the first user");
      b.expect(!(await b.since(mark)).has(row.id), "no row of the first user");
      b.expect(!(await b.drain(null)).changes.some(({ id }) => id === row.id), "no row of the first user in a pull from the beginning");
    },
  ],
  writes: [
    "Nobody changes another user's rows, or learns what is in them",
    { costs: LEAKS, section: "1" },
    async (bench) => {
      const [a, b] = [bench.a, other(bench)];
      const row = await a.row("secret of the first user");
      const mark = await a.mark();
      const operations: [string, unknown][] = [
        ["update", row.version],
        ["patch", row.version],
        ["create", null],
        ["delete", row.version],
      ];
      for (const [kind, base] of operations) {
        const answer = await b.ask("push", { operations: [b.op(kind, row.id, base, kind === "delete" ? undefined : b.fields("of the second user"))] });
        b.expect(!answer.text.includes("secret of the first user"), "an answer without the other user's data");
      }
      const found = (await a.since(mark)).get(row.id);
      a.expect(found === undefined, "the first user's row as it was", found);
      const { changes } = await a.drain(null);
      a.expect(a.has(changes.find(({ id }) => id === row.id), "secret of the first user"), "the first user's row as it was");
    },
  ],
  replay: [
    "Another user's operation is not known",
    { costs: LEAKS, section: "5.1" },
    async (bench) => {
      const [a, b] = [bench.a, other(bench)];
      const row = await a.row("of the first user");
      const mark = await b.mark();
      const answer = await b.ask("push", { operations: [row.op] });
      // Not by `replayed`: if the answer got lost, the operation was sent twice.
      if (answer.body?.results?.[0]?.status !== "applied") return;
      b.expect(b.has((await b.since(mark)).get(row.id), "of the first user"), "a row of the second user's own, since the operation is `applied`");
    },
  ],
  cursor: [
    "Another user's cursor is 410",
    { costs: "A device that changes its user misses rows.", section: "4.3", rests: ["cursors.garbled"] },
    async (bench) => {
      const [a, b] = [bench.a, other(bench)];
      const mark = await a.mark();
      const row = await a.row("of the first user");
      const answer = await b.ask("pull", { cursor: mark, limit: 10 });
      b.expect(!(answer.body?.changes ?? []).some(({ id }: Any) => id === row.id), "no rows of the first user");
      b.expect(answer.status === 410, "410");
    },
  ],
});

const NOT_SHARED = "People who share a list see different ones, or somebody who was removed reads on.";

interface Shared {
  a: Device;
  b: Device;
  userB: string;
  space: string;
}

/** Makes a space of the first user, does something with it, and ends it. */
export async function shared(bench: Parameters<typeof other>[0], work: (shared: Shared) => Promise<void>): Promise<void> {
  const { a } = bench;
  const page = await a.pull(null, 1, { spaces: true });
  if (!Array.isArray(page.spaces)) throw notOffered("Pages have no `spaces`: there is nothing to share.");
  const b = other(bench);
  const userB = b.party.userId;
  if (userB === undefined) throw needs("the second user's id: `--user-b`");
  const space = a.newId();
  const create = { ...a.op("create", space, null, { name: "conformance kit" }), entity: "$space", space };
  const made = await a.one(create);
  if (made.code === "unknownEntity" || made.code === "invalidOperation") throw notOffered(`Spaces are not made by devices here: ${made.message ?? made.code}`);
  a.expect(made.status === "applied", "`applied` for a new space", made);
  try {
    await work({ a, b, userB, space });
  } finally {
    for (let base: unknown = 1, turn = 0; turn < 3; turn++) {
      const verdict = await a.one({ ...a.op("delete", space, base), entity: "$space", space });
      if (verdict.status !== "conflict") break;
      base = verdict.version;
    }
  }
}

export const role = async ({ a, userB, space }: Shared, value: string) =>
  (await a.write({ ...a.op("create", `${space}/${userB}`, null, { role: value }), entity: "$member", space }))[0]!;
const listed = async (device: Device) => ((await device.pull(null, 1, { spaces: true })).spaces ?? []) as { id: string; role: string }[];
export const inSpace = (device: Device, space: string, text: string) => ({ ...device.op("create", device.newId(), null, device.fields(text)), space });

/** Shared spaces. */
export const spaces = chapter("spaces", {
  member: [
    "Who is invited gets the rows of a space, and who is removed does not",
    { costs: NOT_SHARED, section: "11.2", rests: ["users.rows"] },
    async (bench) =>
      shared(bench, async (it) => {
        const { a, b, space } = it;
        const [row] = await a.write(inSpace(a, space, "shared"));
        b.expect(!(await listed(b)).some(({ id }) => id === space), "no such space before the invitation");
        const member = await role(it, "reader");
        b.expect((await listed(b)).some(({ id, role: own }) => id === space && own === "reader"), "the space with the role `reader`");
        const found = (await b.drain(null)).changes.find(({ id }) => id === row!.id);
        b.expect(found?.space === space && b.has(found, "shared"), "the row, with its `space`", found ?? "no row");
        await a.write({ ...a.op("delete", member.id, member.version), entity: "$member", space });
        b.expect(!(await listed(b)).some(({ id }) => id === space), "no such space after the removal");
        b.expect(!(await b.drain(null)).changes.some((change) => change.space === space), "no rows of the space");
      }),
  ],
  roles: [
    "A reader does not write, a writer does not invite",
    { costs: "Roles mean nothing.", section: "11.4", rests: ["users.rows"] },
    async (bench) =>
      shared(bench, async (it) => {
        const { a, b, space, userB } = it;
        const member = await role(it, "reader");
        const refused = await b.one(inSpace(b, space, "of a reader"));
        b.expect(refused.status === "rejected" && refused.code === "readOnly", "`rejected` with the code `readOnly`", refused);
        await a.write({ ...a.op("update", member.id, member.version, { role: "writer" }), entity: "$member", space });
        b.expect((await b.one(inSpace(b, space, "of a writer"))).status === "applied", "`applied` for a writer");
        const invitation = { ...b.op("update", `${space}/${userB}`, member.version + 1, { role: "owner" }), entity: "$member", space };
        const verdict = await b.one(invitation);
        b.expect(verdict.status === "rejected" && verdict.code === "notOwner", "`rejected` with the code `notOwner`", verdict);
      }),
  ],
  strangers: [
    "A stranger gets the same answer about a space that is there and one that is not",
    { costs: LEAKS, section: "11.4", rests: ["users.rows"] },
    async (bench) =>
      shared(bench, async ({ a, b, space }) => {
        await a.write(inSpace(a, space, "secret"));
        for (const id of [space, a.newId()]) {
          const verdict = await b.one(inSpace(b, id, "of a stranger"));
          b.expect(verdict.status === "rejected" && verdict.code === "notMember", "`rejected` with the code `notMember`", verdict);
        }
      }),
  ],
});
