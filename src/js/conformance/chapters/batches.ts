import { chapter, counting, server } from "../check.js";
import { jsonOf } from "../target.js";

const BLOCKED = "One bad write holds up all others of the user, for ever.";

/** Pushes of many operations, of which some fail. */
export const batches = chapter("batches", {
  order: [
    "There is one verdict for each operation, in their order",
    { costs: "Devices take a write for stored that is not.", section: "5" },
    async ({ a }) => {
      const rows = await a.create(...counting(5).map((at) => `row ${at}`));
      const operations = rows.map((row, at) => a.op(at % 2 === 0 ? "update" : "delete", row.id, row.version, at % 2 === 0 ? a.fields("new") : undefined));
      const answer = await a.ask("push", { operations });
      const ids = (answer.body?.results as { opId: string }[] | undefined)?.map(({ opId }) => opId);
      a.expect(jsonOf(ids) === jsonOf(operations.map(({ opId }) => opId)), "verdicts in the order of the operations");
    },
  ],
  partial: [
    "A conflict in the middle of a batch does not stop the others",
    { costs: BLOCKED, section: "5", rests: ["conflicts.staleUpdate"] },
    async ({ a }) => {
      const row = await a.row();
      await a.update(row, "newer");
      const mark = await a.mark();
      const [before, after] = [a.op("create", a.newId(), null, a.fields("before")), a.op("create", a.newId(), null, a.fields("after"))];
      const verdicts = await a.push([before, a.op("update", row.id, row.version, a.fields("older")), after]);
      a.expect(verdicts.map(({ status }) => status as string).join() === "applied,conflict,applied", "applied, conflict, applied", verdicts);
      const rows = await a.since(mark);
      a.expect(rows.has(before.id) && rows.has(after.id), "both new rows", [...rows.keys()]);
    },
  ],
  bad: [
    "An operation that cannot be read is rejected alone",
    { costs: BLOCKED, section: "5.3" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const good = () => a.op("create", a.newId(), null, a.fields("good"));
      const bad: Record<string, unknown>[] = [{ kind: "unheardOf" }, { data: undefined }, { data: [1] }, { id: 5 }, { baseVersion: "1" }];
      for (const change of bad) {
        const mark = await a.mark();
        const [before, after] = [good(), good()];
        const verdicts = await a.push([before, { ...good(), ...change }, after]);
        a.expect(verdicts.map(({ status }) => status as string).join() === "applied,rejected,applied", "applied, rejected, applied", verdicts);
        // A transaction that ends with a failure takes back what it has said to be applied.
        const rows = await a.since(mark);
        a.expect(a.has(rows.get(before.id), "good") && a.has(rows.get(after.id), "good"), "both rows that were applied", [...rows.keys()]);
      }
    },
  ],
  after: [
    "What depends on an operation that failed is not done; what depends on one that was applied is",
    { costs: "Children are stored without their parents.", section: "5.1", rests: ["conflicts.staleUpdate"] },
    async ({ a }) => {
      const row = await a.row();
      await a.update(row, "newer");
      const mark = await a.mark();
      const parent = a.op("update", row.id, row.version, a.fields("older"));
      const child = { ...a.op("create", a.newId(), null, a.fields("child")), after: [parent.opId] };
      const good = a.op("create", a.newId(), null, a.fields("good parent"));
      const second = { ...a.op("create", a.newId(), null, a.fields("good child")), after: [good.opId] };
      const verdicts = await a.push([parent, child, good, second]);
      a.expect(verdicts[1].status === "retry" && verdicts[1].code === "blocked", "`retry` with the code `blocked` for the child", verdicts[1]);
      a.expect(verdicts[2].status === "applied" && verdicts[3].status === "applied", "`applied` for the other two", verdicts.slice(2));
      const rows = await a.since(mark);
      a.expect(!rows.has(child.id) && rows.has(second.id), "the second child, and not the first", [...rows.keys()]);
    },
  ],
  afterUnknown: [
    "What depends on an operation of an earlier push is done",
    { costs: BLOCKED, section: "5.1" },
    async ({ a }) => {
      const parent = await a.row("parent");
      const verdict = await a.one({ ...a.op("create", a.newId(), null, a.fields("child")), after: [parent.op.opId] });
      a.expect(verdict.status === "applied", "`applied`", verdict);
    },
  ],
  sameRow: [
    "Operations on one row in one push see each other",
    { costs: "A row is overwritten by an operation that has not seen it.", section: "5" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const id = a.newId();
      const [one, two] = await a.push([a.op("create", id, null, a.fields("first")), a.op("create", id, null, a.fields("second"))]);
      a.expect(one.status === "applied" && two.status === "conflict", "applied, conflict", [one, two]);
    },
  ],
  large: [
    "A batch of 250 operations is applied whole, or refused with 413",
    { costs: "A device that was offline for long cannot send what it has.", section: "9" },
    async ({ a }) => {
      const mark = await a.mark();
      const operations = counting(250).map((at) => a.op("create", a.newId(), null, a.fields(`row ${at}`)));
      const answer = await a.ask("push", { operations });
      if (answer.status === 413) return `It takes fewer: 413 for ${operations.length}.`;
      a.expect(answer.status === 200, "200 with verdicts, or 413");
      await a.write(...operations);
      const rows = await a.since(mark);
      const missing = operations.filter(({ id }) => !rows.has(id)).length;
      a.expect(missing === 0, "all rows", `${missing} of ${operations.length} rows are missing`);
    },
  ],
  oversized: [
    "More operations than a push may have are refused with 413",
    { costs: "A device whose batch is too large tries it for ever: only 413 makes it send fewer.", section: "3" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      // Deletes of rows that never were leave nothing behind.
      const operations = counting(10_001).map(() => a.op("delete", a.newId(), 1));
      const answer = await a.ask("push", { operations });
      a.expect(answer.status === 413 || answer.status === 200, "413, or verdicts for all 10,001");
      if (answer.status === 413) a.expect(answer.code !== undefined, "413 with a `code`");
      else a.expect(answer.body?.results?.length === operations.length, "verdicts for all 10,001");
    },
  ],
  largeRow: [
    "A row that is too large is refused alone, one that is not is stored whole",
    { costs: "A long text is cut off, or holds up every other write.", section: "5.3" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const mark = await a.mark();
      const large = a.op("create", a.newId(), null, a.fields("x".repeat(1_200_000)));
      const small = a.op("create", a.newId(), null, a.fields("small"));
      const answer = await a.ask("push", { operations: [large, small] });
      if (answer.status === 413) return;
      a.expect(answer.status === 200, "`rejected` for the large row alone, or 413");
      const [first, second] = await a.push([large, small]);
      a.expect(second.status === "applied", "`applied` for the small row", second);
      const found = (await a.since(mark)).get(large.id);
      if (first.status === "applied") a.expect(found?.data?.[a.form.fields[0]]?.length === 1_200_000, "the whole text of what was applied", `${found?.data?.[a.form.fields[0]]?.length ?? 0} characters`);
      else a.expect(first.status === "rejected", "`rejected` with the code `tooLarge`", first);
    },
  ],
  malformed: [
    "A request that cannot be read is 400 with a `code`, and does nothing",
    { costs: "Half of a request is done, and nobody knows which.", section: "3" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const mark = await a.mark();
      const op = a.op("create", a.newId(), null, a.fields("in bad company"));
      const bodies = ["{", "[]", '{"clientId":"kit"}', jsonOf({ clientId: "kit", operations: [op, { ...op, opId: undefined }] })];
      for (const body of bodies) {
        const answer = await a.request("POST", "/push", body);
        a.expect(answer.status === 400 && answer.code !== undefined, "400 with a `code`");
      }
      a.expect(!(await a.since(mark)).has(op.id), "nothing written");
    },
  ],
});
