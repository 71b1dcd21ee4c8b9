import { atOnce, chapter, counting, server } from "../check.js";
import type { Device, Op } from "../device.js";

const TWICE = "An answer that gets lost is the everyday case on phones: what is sent again is done twice, or becomes a conflict of a device with itself.";

/** Sends an operation that was applied once more. It must be answered as then, and write nothing. */
async function again(a: Device, op: Op, version: number): Promise<void> {
  const mark = await a.mark();
  const verdict = await a.one(op);
  a.expect(verdict.status === "applied", `\`applied\` for the ${op.kind} that was sent again`, verdict);
  a.expect(verdict.version === version, `the version that it had the first time, ${version}`, verdict);
  a.expect(!(await a.since(mark)).has(op.id), "nothing written", `the ${op.kind} was written a second time`);
}

/** Sending anything twice changes nothing. */
export const replays = chapter("replays", {
  create: [
    "A create that is sent again is done once, also after a later edit",
    { costs: TWICE, section: "5.1" },
    async ({ a }) => {
      const row = await a.row();
      await again(a, row.op, row.version);
      await a.update(row, "newer");
      await again(a, row.op, row.version);
    },
  ],
  update: [
    "An update that is sent again is done once, also after a later edit",
    { costs: TWICE, section: "5.1" },
    async ({ a }) => {
      const row = await a.update(await a.row(), "updated");
      await again(a, row.op, row.version);
      await a.update(row, "newer");
      await again(a, row.op, row.version);
    },
  ],
  patch: [
    "A patch that is sent again does not undo a later one",
    { costs: `${TWICE} A summed field counts twice.`, section: "5.1" },
    async ({ a }) => {
      const row = await a.row();
      const patch = (version: number, text: string) => a.op("patch", row.id, version, { [a.form.fields[0]]: text });
      const [first] = await a.write(patch(row.version, "first"));
      await a.write(patch(first!.version, "second"));
      await again(a, first!.op, first!.version);
    },
  ],
  delete: [
    "A delete that is sent again does not delete what was created since",
    { costs: `${TWICE} A row that was created again disappears.`, section: "5.1" },
    async ({ a }) => {
      const row = await a.row();
      const gone = await a.remove(row);
      await again(a, gone.op, gone.version);
      await a.write(a.op("create", row.id, null, a.fields("again")));
      await again(a, gone.op, gone.version);
    },
  ],
  batch: [
    "A batch of which a part was applied is done to the end when it is sent again",
    { costs: TWICE, section: "5.1" },
    async ({ a }) => {
      const operations = counting(6).map((at) => a.op("create", a.newId(), null, a.fields(`row ${at}`)));
      const first = await a.write(...operations.slice(0, 3));
      const mark = await a.mark();
      const second = await a.write(...operations);
      a.expect(first.every(({ version }, at) => second[at]!.version === version), "the first three with their versions", second.map(({ version }) => version));
      const rows = await a.since(mark);
      a.expect(operations.slice(3).every(({ id }) => rows.has(id)) && !operations.slice(0, 3).some(({ id }) => rows.has(id)), "the last three rows, and not the first three", [...rows.keys()]);
    },
  ],
  inOnePush: [
    "An operation that is twice in one push is done once",
    { costs: TWICE, section: "5.1" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const op = a.op("create", a.newId(), null, a.fields("twice"));
      const [one, two] = await a.push([op, op]);
      a.expect(one.status === "applied" && two.status === "applied" && one.version === two.version, "`applied` twice, with one version", [one, two]);
    },
  ],
  otherRow: [
    "An operation's id that is used for another row is rejected",
    { costs: "A write is taken for done that never was.", section: "5.1" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const row = await a.row();
      const verdict = await a.one({ ...a.op("create", a.newId(), null, a.fields("another")), opId: row.op.opId });
      a.expect(verdict.status === "rejected" && verdict.code === "opIdReused", "`rejected` with the code `opIdReused`", verdict);
    },
  ],
  gone: [
    "A create that is sent again after its row was deleted says so",
    { costs: "A device whose answer was lost keeps a row that nobody else has.", section: "5", rests: ["replays.create"] },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const row = await a.row();
      await a.remove(row);
      const verdict = await a.one(row.op);
      a.expect(verdict.status === "applied" && verdict.version === row.version, `\`applied\` with the version ${row.version}`, verdict);
      if (verdict.deleted !== true) return "It does not say `deleted`, which is optional: a device that pulls from the beginning next keeps the row until its next full pull.";
    },
  ],
  sameMoment: [
    "The same batch twice at the same moment is done once",
    { costs: `${TWICE} Two tabs, or a request that a proxy repeats, do so.`, section: "5" },
    async ({ a }) => {
      let [twice, different] = [0, 0];
      for (const _round of counting(6)) {
        const operations = counting(5).map((at) => a.op("create", a.newId(), null, a.fields(`row ${at}`)));
        const mark = await a.mark();
        const answers = await atOnce(counting(4), () => a.another().push(operations));
        const { changes } = await a.drain(mark);
        operations.forEach(({ id }, at) => {
          const found = new Set(changes.filter((change) => change.id === id).map(({ version }) => version as number));
          const told = new Set(answers.map((verdicts) => (verdicts[at].status === "applied" ? (verdicts[at].version as number) : verdicts[at].status)));
          if (found.size > 1) twice++;
          if (told.size > 1) different++;
        });
      }
      a.expect(twice === 0, "each row written once", `${twice} of 30 rows were written more than once`);
      a.expect(different === 0, "the same verdict for each of them", `${different} of 30 operations were answered differently`);
    },
  ],
  lost: [
    "A push whose connection is cut is done once when it is sent again",
    { costs: TWICE, section: "5" },
    async ({ a }) => {
      for (const round of counting(6)) {
        const mark = await a.mark();
        const operations = counting(4).map((at) => a.op("create", a.newId(), null, a.fields(`cut ${round} ${at}`)));
        await a.loseReply(operations);
        await a.write(...operations);
        const { changes } = await a.drain(mark);
        for (const { id } of operations) {
          const versions = new Set(changes.filter((change) => change.id === id).map(({ version }) => version));
          a.expect(versions.size === 1, "each row once", `the row ${id} with ${versions.size} versions`);
        }
      }
    },
  ],
});
