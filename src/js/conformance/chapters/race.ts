import { atOnce, chapter, counting } from "../check.js";
import type { Device, Written } from "../device.js";

const GAP = "A row becomes visible behind a cursor that was handed out before: no pull ever asks for it again. The device says that it is in sync and lacks the row for good.";
const WRITERS = 8;

/** Lets a device read, a few rows at a time, while others write. Returns how many of their rows it never got. */
async function missed(a: Device, sizes: readonly number[], limit: number): Promise<{ missing: number; total: number }> {
  const mark = await a.mark();
  let writing = true;
  const got = new Map<string, number>();
  const reader = a.another();
  const read = async () => {
    for (let cursor = mark, wasLast = false; ; ) {
      const page = await reader.pull(cursor, limit);
      for (const { id, version } of page.changes) got.set(id, Math.max(version, got.get(id) ?? 0));
      cursor = page.cursor;
      if (page.more) continue;
      if (wasLast) return;
      // What was committed before the last write ended must come with one more pull.
      wasLast = !writing;
      if (writing) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const write = async (writer: number): Promise<Written[]> => {
    const device = a.another();
    const written: Written[] = [];
    try {
      for (const turn of counting(sizes.length)) {
        // Long transactions beside short ones: the long ones begin first and end last.
        const size = sizes[(turn + writer) % sizes.length]!;
        written.push(...(await device.write(...counting(size).map((at) => device.op("create", device.newId(), null, device.fields(`writer ${writer}, ${turn}, ${at}`))))));
      }
    } catch (error) {
      writing = false;
      throw error;
    }
    return written;
  };
  const reading = read();
  reading.catch(() => undefined);
  const written = (await atOnce(counting(WRITERS), write).finally(() => (writing = false))).flat();
  await reading;
  return { missing: written.filter(({ id }) => !got.has(id)).length, total: written.length };
}

/** Writers that race a reader. */
export const race = chapter("race", {
  gap: [
    "A device that pulls while eight others write gets every row",
    { costs: GAP, section: "4.1", rests: ["paging.limit"] },
    async ({ a }) => {
      const { missing, total } = await missed(a, [1, 1, 30, 1, 8, 1, 2, 1], 50);
      a.expect(missing === 0, `all of ${total} rows`, `${missing} of ${total} rows were never delivered`);
      return `${total} rows of ${WRITERS} writers`;
    },
  ],
  smallPages: [
    "A device that pulls small pages while eight others write gets every row",
    { costs: GAP, section: "4.1", rests: ["paging.limit"] },
    async ({ a }) => {
      const { missing, total } = await missed(a, [3, 3], 4);
      a.expect(missing === 0, `all of ${total} rows`, `${missing} of ${total} rows were never delivered`);
    },
  ],
  edits: [
    "A device that pulls while rows are edited and deleted has their last states",
    { costs: GAP, section: "4.1", rests: ["deletes.told", "paging.limit", "paging.edited"] },
    async ({ a }) => {
      const rows = await a.create(...counting(6).map((at) => `row ${at}`));
      const mark = await a.mark();
      const reader = a.another();
      let cursor = mark;
      const got = new Map<string, { version: number; deleted: boolean }>();
      const read = async () => {
        const { changes, cursor: next } = await reader.drain(cursor, 3);
        for (const { id, version, deleted } of changes) if (!(got.get(id)?.version! >= version)) got.set(id, { version, deleted });
        cursor = next;
      };
      const ends = await Promise.all([
        ...rows.map(async (row, at) => {
          const device = a.another();
          let last = row;
          for (const turn of counting(4)) last = await device.update(last, `edit ${turn}`);
          return at % 2 === 0 ? device.remove(last) : last;
        }),
        ...counting(1).map(async () => {
          for (const _turn of counting(6)) await read();
          return undefined;
        }),
      ]);
      await read();
      for (const [at, row] of rows.entries()) {
        const [end, seen] = [ends[at]!, got.get(row.id)];
        const isDeleted = at % 2 === 0;
        a.expect(seen?.deleted === isDeleted && (isDeleted || seen.version === end.version), isDeleted ? "a tombstone" : `version ${end.version}`, seen ?? "no change");
      }
    },
  ],
});
