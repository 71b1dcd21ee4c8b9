import { chapter, counting, server } from "../check.js";
import { notOffered, type Device, type Written } from "../device.js";
import type { Any } from "../target.js";

const MISSING = "Rows never reach a device, which says that it is in sync.";

/** Checks that pages have each of some rows, in the order in which they were written. */
function each(a: Device, changes: Any[], rows: readonly Written[]): void {
  const ids = changes.map(({ id }) => id as string);
  const missing = rows.filter(({ id }) => !ids.includes(id)).length;
  a.expect(missing === 0, `${rows.length} rows`, `${missing} of ${rows.length} rows are missing`);
}

async function some(a: Device, count: number): Promise<Written[]> {
  return a.create(...counting(count).map((at) => `row ${at}`));
}

/** Reads a page at a time. */
export const paging = chapter("paging", {
  limit: [
    "Pages of 3 have all of 10 rows, none of them with more than 3",
    { costs: MISSING, section: "4.1" },
    async ({ a }) => {
      const mark = await a.mark();
      const rows = await some(a, 10);
      const { changes, pages } = await a.drain(mark, 3);
      each(a, changes, rows);
      const longest = Math.max(...pages.map((page) => page.changes.length as number));
      a.expect(longest <= 3, "at most 3 rows a page", `a page of ${longest} rows`);
    },
  ],
  one: [
    "Pages of 1 have all rows of one push",
    { costs: MISSING, section: "4.1" },
    async ({ a }) => {
      const mark = await a.mark();
      const rows = await some(a, 5);
      each(a, (await a.drain(mark, 1)).changes, rows);
    },
  ],
  exact: [
    "A page that ends with the last row is followed by nothing",
    { costs: "Devices pull without an end, or miss the last row.", section: "4.1" },
    async ({ a }) => {
      const mark = await a.mark();
      const rows = await some(a, 4);
      const { changes, cursor } = await a.drain(mark, 4);
      each(a, changes, rows);
      // An adapter may look back a while for rows that were committed late.
      if (a.http !== undefined) a.expect(changes.length === 4, "each row once", `${changes.length} rows`);
      const rest = (await a.drain(a.http === undefined ? await a.mark() : cursor, 4)).changes.length;
      a.expect(rest === 0, "no rows, and `more: false`", `${rest} rows`);
    },
  ],
  end: [
    "A pull from the end gives no rows, again and again",
    { costs: "Each cycle pulls what is there already: battery, data volume, the server's load.", section: "4.1" },
    async ({ a }) => {
      await some(a, 2);
      let cursor = await a.mark();
      for (const _turn of counting(3)) {
        const pulled = await a.drain(cursor);
        a.expect(pulled.changes.length === 0, "no rows, and `more: false`");
        cursor = pulled.cursor;
      }
    },
  ],
  order: [
    "Rows come in the order in which they were written last",
    { costs: MISSING, section: "4.1" },
    async ({ a }) => {
      const mark = await a.mark();
      const [first, second, third] = await some(a, 3);
      const again = await a.update(first!, "written again");
      const { changes } = await a.drain(mark, 2);
      const last = new Map(changes.map(({ id }, at) => [id as string, at]));
      const places = [second!, third!, again].map(({ id }) => last.get(id) ?? -1);
      a.expect(places[0]! >= 0 && places[0]! < places[2]! && places[1]! < places[2]!, "the row that was written again after the others", changes.map(({ id, version }) => [id, version]));
    },
  ],
  remaining: [
    "`remaining` says how many rows are left",
    { costs: "Progress is wrong.", section: "4" },
    async ({ a }) => {
      const mark = await a.mark();
      await some(a, 7);
      const page = await a.pull(mark, 3);
      if (page.remaining === undefined || page.remaining === null) throw notOffered("Pages have no `remaining`.");
      const left = 7 - page.changes.length;
      // An adapter may count rows that it has given before.
      a.expect(a.http === undefined ? page.remaining >= left : page.remaining === left, `\`remaining: ${left}\``, { remaining: page.remaining });
    },
  ],
  again: [
    "A cursor gives the same rows when it is used again",
    { costs: "A page whose answer was lost is missing.", section: "4.3" },
    async ({ a }) => {
      const mark = await a.mark();
      const rows = await some(a, 4);
      const first = await a.pull(mark, 2);
      await a.pull(first.cursor, 2);
      for (const cursor of [mark, mark]) each(a, (await a.drain(cursor, 2)).changes, rows);
      each(a, [...first.changes, ...(await a.drain(first.cursor, 2)).changes], rows);
    },
  ],
  edited: [
    "A row that is edited while a device pages comes again, and none gets lost",
    { costs: MISSING, section: "4.1" },
    async ({ a }) => {
      const mark = await a.mark();
      const rows = await some(a, 8);
      const first = await a.pullRows(mark, 3);
      // One that has come, and one that has not.
      const had = rows.find(({ id }) => first.changes.some((change: Any) => change.id === id))!;
      const left = rows.find(({ id }) => !first.changes.some((change: Any) => change.id === id))!;
      a.expect(had !== undefined && left !== undefined, "a page of 3 of 8 rows", first);
      await a.update(had, "edited");
      await a.update(left, "edited");
      const { changes } = await a.drain(first.cursor, 3);
      each(a, [...first.changes, ...changes], rows);
      for (const row of [had, left]) {
        const newest = changes.filter(({ id }) => id === row.id).sort((one, two) => two.version - one.version)[0];
        a.expect(a.has(newest, "edited"), "both edits", newest ?? `a row that was edited while a device paged did not come again`);
      }
    },
  ],
  deleted: [
    "A row that is deleted while a device pages comes as a tombstone",
    { costs: "Devices keep what was deleted.", section: "4.2", rests: ["deletes.told"] },
    async ({ a }) => {
      const mark = await a.mark();
      const rows = await some(a, 6);
      const first = await a.pullRows(mark, 3);
      const had = rows.find(({ id }) => first.changes.some((change: Any) => change.id === id))!;
      a.expect(had !== undefined, "a row of those that were written", first);
      await a.remove(had);
      const { changes } = await a.drain(first.cursor, 3);
      a.expect(changes.some(({ id, deleted }) => id === had.id && deleted), "its tombstone", changes);
      each(a, [...first.changes, ...changes], rows);
    },
  ],
  snapshot: [
    "A pull from the beginning has every row, also those written meanwhile",
    { costs: "A new device lacks rows, and says that it is in sync.", section: "4.2" },
    async ({ a, size }) => {
      const rows = await some(a, 12);
      const limit = Math.max(5, Math.ceil(size / 20));
      const first = await a.pull(null, limit);
      const late = await some(a, 3);
      const { changes } = first.more ? await a.drain(first.cursor, limit) : { changes: [] };
      each(a, [...first.changes, ...changes], [...rows, ...(first.more ? late : [])]);
    },
  ],
  entities: [
    "`entities` selects by type",
    { costs: "A partial pull brings everything, or lacks rows.", section: "4" },
    async ({ a, entities }) => {
      const [name = "", second] = entities;
      const mark = (await a.drain(null, 1_000, { entities: [name] })).cursor;
      const rows = await some(a, 3);
      if (second !== undefined) await a.write({ ...a.op("create", a.newId(), null, a.fields("of another type")), entity: second });
      const { changes } = await a.drain(mark, 2, { entities: [name] });
      each(a, changes, rows);
      const foreign = changes.find(({ entity }) => entity !== name && !String(entity).startsWith("$"));
      a.expect(foreign === undefined, `rows of "${name}" alone`, foreign);
      if (second === undefined) return "With a second `--entity` it would also be asked whether rows of another type stay out.";
    },
  ],
  wrong: [
    "A pull that breaks the protocol is 400 with a `code`",
    { costs: "A wrong request looks like an empty account.", section: "4" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      for (const wrong of [{ limit: 0 }, { limit: -1 }, { limit: 10_001 }, { limit: "3" }, { cursor: 7 }, { entities: [] }]) {
        const answer = await a.ask("pull", { cursor: null, limit: 10, ...wrong });
        a.expect(answer.status === 400 && answer.code !== undefined, "400 with a `code`");
      }
    },
  ],
});
