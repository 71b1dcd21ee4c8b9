import { atOnce, chapter, counting, server } from "../check.js";
import type { Device, Written } from "../device.js";
import type { Any } from "../target.js";

const OVERWRITES = "What one device wrote is overwritten by another that has never seen it.";

/** An operation on a row that has moved on conflicts, shows it, and leaves it as it is. */
async function isRefused(a: Device, row: Written, kind: string, data: unknown): Promise<void> {
  const now = await a.update(row, "newer");
  const mark = await a.mark();
  const verdict = await a.one(a.op(kind, row.id, row.version, data));
  a.expect(verdict.status === "conflict", "`conflict`", verdict);
  a.expect(verdict.version === now.version, `\`conflict\` with the current version ${now.version}`, verdict);
  a.expect(verdict.row?.[a.form.fields[0]] === "newer", "`conflict` with `row`, the current data", verdict);
  a.expect(!(await a.since(mark)).has(row.id), "nothing written", `${kind} against an old version conflicted, and the row was written all the same`);
}

/** Whether writes are conditional. */
export const conflicts = chapter("conflicts", {
  create: [
    "What is created is pulled as it was sent",
    { costs: "What a device writes does not reach the others.", section: "5.1" },
    async ({ a }) => {
      const mark = await a.mark();
      const fields = a.fields("created", "both");
      const [row] = await a.write(a.op("create", a.newId(), null, fields));
      const found = (await a.since(mark)).get(row!.id);
      a.expect(a.has(found, "created") && found.data[a.form.fields[1]] === "both", "the row with its fields", found);
      a.expect(found.version === row!.version, `the version of the verdict, ${row!.version}`, found);
    },
  ],
  growing: [
    "Each write of a row has a greater version, over a deletion too",
    { costs: "Devices take newer rows for older ones, and ignore them.", section: "2" },
    async ({ a }) => {
      let row = await a.row("first");
      const steps: [string, () => Promise<Written>][] = [
        ["update", () => a.update(row, "second")],
        ["delete", () => a.remove(row)],
        ["create", async () => (await a.write(a.op("create", row.id, null, a.fields("third"))))[0]!],
      ];
      for (const [kind, step] of steps) {
        const next = await step();
        a.expect(next.version > row.version, `a version above ${row.version} for the ${kind}`);
        row = next;
      }
    },
  ],
  createdAlready: [
    "Creating what already stands is applied, and writes nothing",
    { costs: "A create whose answer was lost becomes a conflict with itself.", section: "5.1" },
    async ({ a }) => {
      const fields = a.fields("stands");
      const [row] = await a.write(a.op("create", a.newId(), null, fields));
      const mark = await a.mark();
      const verdict = await a.one(a.op("create", row!.id, null, fields));
      a.expect(verdict.status === "applied" && verdict.version === row!.version, `\`applied\` with the version ${row!.version}`, verdict);
      a.expect(!(await a.since(mark)).has(row!.id), "nothing new in a pull");
    },
  ],
  createOver: [
    "Creating over another row conflicts, and shows it",
    { costs: OVERWRITES, section: "5.1" },
    async ({ a }) => {
      const row = await a.row("theirs");
      const mark = await a.mark();
      const verdict = await a.one(a.op("create", row.id, null, a.fields("ours")));
      a.expect(verdict.status === "conflict" && verdict.row?.[a.form.fields[0]] === "theirs", "`conflict` with `row`, the current data", verdict);
      a.expect(!(await a.since(mark)).has(row.id), "nothing written");
    },
  ],
  staleUpdate: [
    "An update against an old version conflicts, and shows the current row",
    { costs: OVERWRITES, section: "5.1" },
    async ({ a }) => isRefused(a, await a.row(), "update", a.fields("older")),
  ],
  stalePatch: [
    "A patch against an old version conflicts, and shows the current row",
    { costs: OVERWRITES, section: "5.1" },
    async ({ a }) => isRefused(a, await a.row(), "patch", { [a.form.fields[1]]: "older" }),
  ],
  staleDelete: [
    "A delete against an old version conflicts, and shows the current row",
    { costs: "A device deletes what another has edited since, and nobody is asked.", section: "5.1" },
    async ({ a }) => isRefused(a, await a.row(), "delete", undefined),
  ],
  ahead: [
    "A write against a version that does not exist yet conflicts",
    { costs: "Writes against another history, of a backup or another server, are taken.", section: "5.1" },
    async ({ a }) => {
      const row = await a.row();
      const verdict = await a.one(a.op("update", row.id, row.version + 1_000_000, a.fields("ahead")));
      a.expect(verdict.status === "conflict", "`conflict`", verdict);
    },
  ],
  decidedAgain: [
    "A conflict is not remembered as done: sent again, it is decided again",
    { costs: "A device believes that a write is stored which is not.", section: "5.2" },
    async ({ a }) => {
      const row = await a.row();
      await a.update(row, "newer");
      const op = a.op("update", row.id, row.version, a.fields("older"));
      for (const turn of ["the first", "the second"]) {
        const verdict = await a.one(op);
        a.expect(verdict.status === "conflict", `\`conflict\` ${turn} time`, verdict);
      }
    },
  ],
  patch: [
    "A patch replaces the fields that it names, and keeps the others",
    { costs: "An edit of one field loses the others.", section: "5.1" },
    async ({ a }) => {
      const row = await a.row("kept");
      const mark = await a.mark();
      await a.write(a.op("patch", row.id, row.version, { [a.form.fields[1]]: "patched", modifiedAt: new Date().toISOString() }));
      const found = (await a.since(mark)).get(row.id);
      a.expect(a.has(found, "kept") && found.data[a.form.fields[1]] === "patched", `"${a.form.fields[0]}": "kept" and "${a.form.fields[1]}": "patched"`, found);
    },
  ],
  patchNothing: [
    "A patch of a row that is not there conflicts without a row",
    { costs: "Rows appear that have some of their fields only.", section: "5.1" },
    async ({ a }) => {
      const mark = await a.mark();
      const op = a.op("patch", a.newId(), 1, { [a.form.fields[0]]: "of nothing" });
      const verdict = await a.one(op);
      a.expect(verdict.status === "conflict" && (verdict.row ?? null) === null, "`conflict` with `row` null", verdict);
      a.expect(!(await a.since(mark)).has(op.id), "no row");
    },
  ],
  superseded: [
    "An operation that a later one includes does nothing when it arrives late",
    { costs: "A request that was delayed undoes what was written after it.", section: "5.1" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const row = await a.row();
      const late = a.op("update", row.id, row.version, a.fields("late"));
      const gone = await a.write({ ...a.op("delete", row.id, row.version), supersedes: [late.opId] });
      const verdict = await a.one({ ...late, baseVersion: gone[0]!.version });
      a.expect(verdict.status === "conflict", "`conflict`: it was superseded", verdict);
    },
  ],
  delayed: [
    "A create that has conflicted does nothing when it arrives again after its row was deleted",
    { costs: "A request that was delayed brings back what was deleted, beside what the user has decided since.", section: "5.1" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const row = await a.row("theirs");
      const op = a.op("create", row.id, null, a.fields("ours"));
      const first = await a.one(op);
      a.expect(first.status === "conflict", "`conflict`", first);
      await a.remove(row);
      const late = await a.one(op);
      a.expect(late.status === "conflict", "`conflict`: the same operation has conflicted before", late);
    },
  ],
  sameMoment: [
    "Of devices that update one row at the same moment, one is first",
    { costs: `${OVERWRITES} It happens where the version is read and written in two steps.`, section: "5" },
    async ({ a }) => {
      let [lost, rounds] = [0, 6];
      for (const round of counting(rounds)) {
        const row = await a.row(`round ${round}`);
        const verdicts = await atOnce(counting(6), async (at) => {
          const device = a.another();
          return device.one(device.op("update", row.id, row.version, device.fields(`device ${at}`)));
        });
        lost += Math.max(0, verdicts.filter(({ status }) => status === "applied").length - 1);
        a.expect(verdicts.some(({ status }) => status === "applied"), "one `applied`", verdicts as Any);
      }
      a.expect(lost === 0, "one `applied` and five `conflict` in each of six rounds", `${lost} writes more were \`applied\`, over a version that they had not seen`);
    },
  ],
  createdAtOnce: [
    "Of devices that create one row at the same moment, one is first",
    { costs: OVERWRITES, section: "5" },
    async ({ a }) => {
      for (const _round of counting(4)) {
        const id = a.newId();
        const verdicts = await atOnce(counting(6), async (at) => {
          const device = a.another();
          return device.one(device.op("create", id, null, device.fields(`device ${at}`)));
        });
        const applied = verdicts.filter(({ status }) => status === "applied").length;
        a.expect(applied === 1, "one `applied` and five `conflict`", `${applied} \`applied\`: ${JSON.stringify(verdicts)}`);
      }
    },
  ],
});
