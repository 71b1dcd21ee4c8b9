import { chapter } from "../check.js";

const STAYS = "What was deleted stays on the other devices, or comes back.";

/** Deletions, and rows that come back after one. */
export const deletes = chapter("deletes", {
  told: [
    "A deletion comes as a tombstone with a greater version",
    { costs: STAYS, section: "4.2" },
    async ({ a }) => {
      const row = await a.row();
      const mark = await a.mark();
      await a.remove(row);
      const found = (await a.since(mark)).get(row.id);
      a.expect(found?.deleted === true, "a change with `deleted: true`", found ?? "no change");
      a.expect(found.version > row.version, `a version above ${row.version}`, found);
    },
  ],
  again: [
    "Deleting what is gone is applied, and writes nothing",
    { costs: "Two devices that delete the same row get an error, or tell each other of it again and again.", section: "5.1" },
    async ({ a }) => {
      const gone = await a.remove(await a.row());
      const mark = await a.mark();
      const verdict = await a.one(a.op("delete", gone.id, gone.version));
      a.expect(verdict.status === "applied", "`applied`", verdict);
      a.expect(!(await a.since(mark)).has(gone.id), "nothing new in a pull");
    },
  ],
  absent: [
    "Deleting what never was is applied",
    { costs: "A row that was created and deleted offline becomes an error.", section: "5.1" },
    async ({ a }) => {
      const verdict = await a.one(a.op("delete", a.newId(), 1));
      a.expect(verdict.status === "applied", "`applied`", verdict);
    },
  ],
  edited: [
    "An edit of what another device has deleted conflicts, without a row",
    { costs: "Deleted rows come back without anybody's decision.", section: "5.1" },
    async ({ a }) => {
      const row = await a.row();
      await a.remove(row);
      for (const kind of ["update", "patch"]) {
        const verdict = await a.one(a.op(kind, row.id, row.version, a.fields("edited elsewhere")));
        a.expect(verdict.status === "conflict" && (verdict.row ?? null) === null, `\`conflict\` with \`row\` null for the ${kind}`, verdict);
      }
    },
  ],
  revived: [
    "A deleted row is revived by a write against its tombstone",
    { costs: "A user who keeps an edit over a deletion cannot.", section: "5.1", rests: ["deletes.edited"] },
    async ({ a }) => {
      const row = await a.row();
      await a.remove(row);
      const verdict = await a.one(a.op("update", row.id, row.version, a.fields("kept")));
      const mark = await a.mark();
      const back = await a.one(a.op("update", row.id, verdict.version, a.fields("kept")));
      a.expect(back.status === "applied" && back.version > verdict.version, `\`applied\` with a version above ${verdict.version}`, back);
      const found = (await a.since(mark)).get(row.id);
      a.expect(a.has(found, "kept"), "the row, live", found ?? "no change");
    },
  ],
  recreated: [
    "A row that was deleted and created again is live for a device that saw neither",
    { costs: "A device that was away drops a row that is there.", section: "4.1" },
    async ({ a }) => {
      const row = await a.row("first");
      const mark = await a.mark();
      await a.remove(row);
      await a.write(a.op("create", row.id, null, a.fields("again")));
      const { changes } = await a.drain(mark);
      const last = changes.filter((change) => change.id === row.id).sort((one, two) => one.version - two.version).at(-1);
      a.expect(a.has(last, "again"), "the row, live, as the newest of its changes", last ?? "no change");
    },
  ],
  snapshot: [
    "A pull from the beginning has what is live, and no tombstones from before",
    { costs: "A new device shows what was deleted, or pulls every deletion that ever was.", section: "4.2", rests: ["deletes.told"] },
    async ({ a }) => {
      const gone = await a.remove(await a.row("gone"));
      const live = await a.row("live");
      const { changes } = await a.drain(null);
      const [found, left] = [changes.find(({ id }) => id === live.id), changes.find(({ id }) => id === gone.id)];
      a.expect(a.has(found, "live"), "the live row", found ?? "a snapshot without the live row");
      // An adapter over tables with a mark of deletion gives those rows, too.
      a.expect(left === undefined || (a.http === undefined && left.deleted), "nothing of the deleted row", left);
    },
  ],
});
