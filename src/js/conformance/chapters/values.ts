import { chapter, server } from "../check.js";
import type { Device } from "../device.js";
import { Raw, jsonOf, short, type Any } from "../target.js";

const CHANGED = "What users have written comes back as something else.";
const LONG = "0123456789 äöü ".repeat(4_000);

/** Stores fields, and returns what a pull gives for them. */
async function stored(a: Device, fields: Record<string, unknown>): Promise<Any> {
  const mark = await a.mark();
  const [row] = await a.write(a.op("create", a.newId(), null, { ...a.fields("odd"), ...fields }));
  const found = (await a.since(mark)).get(row!.id);
  a.expect(found !== undefined && found.deleted !== true, "the row");
  return found.data;
}

const sorted = (value: Any): Any =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === "object" && value !== null
      ? Object.entries(value)
          .sort(([one], [two]) => (one < two ? -1 : 1))
          .map(([name, item]) => [name, sorted(item)])
      : value;
const isSame = (one: Any, two: Any) => JSON.stringify(sorted(one)) === JSON.stringify(sorted(two));

/** Sends values that no client could read again. Each must be refused alone. */
async function refuses(a: Device, change: Record<string, unknown>, data?: Record<string, unknown>): Promise<void> {
  const good = a.op("create", a.newId(), null, a.fields("good"));
  const bad = { ...a.op("create", a.newId(), null, { ...a.fields("bad"), ...data }), ...change };
  const verdicts = await a.push([good, bad]);
  a.expect(verdicts[0].status === "applied", "`applied` for the operation before it", verdicts);
  a.expect(verdicts[1].status === "rejected", "`rejected`, alone", verdicts);
}

const nested = (depth: number): Raw => new Raw(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`);

/** Values, names and ids as they may come. */
export const values = chapter("values", {
  text: [
    "Text comes back as it was sent",
    { costs: CHANGED, section: "2" },
    async ({ a }) => {
      const texts = ['quotes " \\ / \' `', "tab\tline\r\nend", "emoji 👩‍👩‍👧 and 𝔘", "e\u0301 is not é", "مرحبا שלום", "\u2028\u2029\u007f\ufeff", "%20 &amp; <b> ${x} '; drop table tasks; --", "  ", "", LONG];
      const mark = await a.mark();
      const rows = await a.create(...texts);
      const found = await a.since(mark);
      rows.forEach(({ id }, at) => a.expect(a.has(found.get(id), texts[at]!), short(JSON.stringify(texts[at]), 80), short(jsonOf(found.get(id)) ?? "no row")));
    },
  ],
  nul: [
    "The character U+0000 comes back",
    { costs: "Pasted text holds up a user's writes.", section: "2" },
    async ({ a }) => {
      const mark = await a.mark();
      const row = await a.row("nul \u0000 in the middle");
      a.expect(a.has((await a.since(mark)).get(row.id), "nul \u0000 in the middle"), "the text");
    },
  ],
  types: [
    "Every kind of JSON comes back",
    { costs: CHANGED, section: "2" },
    async ({ a }) => {
      const odd = { n: null, t: true, f: false, zero: 0, small: 1e-7, big: 2 ** 53 - 1, negative: -1.5, list: [1, [], {}, null], object: { "": 1, "a.b": { c: [] }, ü: "ü" } };
      const data = await stored(a, odd);
      for (const [name, value] of Object.entries(odd)) a.expect(Object.hasOwn(data, name) && isSame(data[name], value), `"${name}": ${jsonOf(value)}`, `"${name}": ${jsonOf(data[name])}`);
    },
  ],
  keys: [
    "Fields may have the names of what objects inherit",
    { costs: "A field is lost, or the server's own objects change for everybody.", section: "2" },
    async ({ a }) => {
      const odd = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "toString": 2, "hasOwnProperty": 3}') as Record<string, unknown>;
      const mark = await a.mark();
      const data = JSON.parse(`${JSON.stringify(a.fields("odd")).slice(0, -1)},${JSON.stringify(odd).slice(1)}`) as object;
      const [row] = await a.write(a.op("create", a.newId(), null, data));
      const found = (await a.since(mark)).get(row!.id)?.data ?? {};
      for (const name of Object.keys(odd)) a.expect(Object.hasOwn(found, name) && isSame(found[name], odd[name]), `the field "${name}"`, found);
      const clean = (await stored(a, {})) as Record<string, unknown>;
      a.expect(!("polluted" in clean) && !Object.hasOwn(clean, "polluted"), "no field of that row in another", clean);
    },
  ],
  digits: [
    "Numbers keep their digits",
    { costs: "Amounts and ids change when somebody edits another field.", section: "2" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const numbers = ["9007199254740993", "0.10000000000000000555", "12345678901234567890.5"];
      const mark = await a.mark();
      await a.write(a.op("create", a.newId(), null, { ...a.fields("digits"), numbers: numbers.map((number) => new Raw(number)) }));
      const { text } = await a.ask("pull", { cursor: mark, limit: 10 });
      for (const number of numbers) a.expect(text.includes(number), `${number} in the page`);
    },
  ],
  equal: [
    "Creates are compared as JSON: by decimals, in any order of keys",
    { costs: "A create whose answer was lost becomes a conflict of a device with itself.", section: "5.1", rests: ["conflicts.createdAlready"] },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const create = (id: string, fields: object, json: string) => a.op("create", id, null, { ...fields, value: new Raw(json) });
      const pairs: [string, string, string][] = [
        ["10", "1.0e1", "applied"],
        ['{"x":1,"y":[2]}', '{"y":[2.0],"x":1}', "applied"],
        ["9007199254740993", "9007199254740992", "conflict"],
        ["[1,2]", "[2,1]", "conflict"],
        ["null", '"null"', "conflict"],
      ];
      for (const [one, two, expected] of pairs) {
        const [id, fields] = [a.newId(), a.fields("pair")];
        await a.write(create(id, fields, one));
        const verdict = await a.one(create(id, fields, two));
        a.expect(verdict.status === expected, `\`${expected}\` for ${two} over ${one}`, verdict);
      }
    },
  ],
  deep: [
    "Values may be nested a hundred levels deep; what is deeper than 128 is rejected",
    { costs: "One value that no client can read stops every device's pull.", section: "2" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      await a.write(a.op("create", a.newId(), null, { ...a.fields("deep"), value: nested(100) }));
      await refuses(a, {}, { value: nested(200) });
    },
  ],
  numbers: [
    "A number that no float holds is rejected",
    { costs: "One value that no client can read stops every device's pull.", section: "2" },
    async (bench) => {
      server(bench);
      await refuses(bench.a, {}, { value: new Raw("1e400") });
      await refuses(bench.a, {}, { value: [new Raw("-1e309")] });
    },
  ],
  surrogates: [
    "Half of a surrogate pair is rejected",
    { costs: "One value that no client can read stops every device's pull.", section: "2" },
    async (bench) => {
      server(bench);
      await refuses(bench.a, {}, { value: new Raw('"\\ud800"') });
    },
  ],
  beside: [
    "What stands beside the data is not stored in it",
    { costs: "Devices read a version or a mark of deletion that is not true.", section: "2" },
    async (bench) => {
      server(bench);
      const data = await stored(bench.a, { id: "another", version: 99, isDeleted: true });
      const kept = ["id", "version", "isDeleted"].filter((name) => Object.hasOwn(data, name));
      bench.a.expect(kept.length === 0, "`data` without `id`, `version`, `isDeleted`", data);
    },
  ],
  null: [
    "Null is a value: a patch with it stores it",
    { costs: "A field that was emptied keeps its old value on other devices.", section: "5.1" },
    async ({ a }) => {
      const row = await a.row();
      const mark = await a.mark();
      await a.write(a.op("patch", row.id, row.version, { [a.form.fields[1]]: null }));
      const found = (await a.since(mark)).get(row.id);
      a.expect(found?.data?.[a.form.fields[1]] === null, `"${a.form.fields[1]}": null`, found ?? "no change");
    },
  ],
  ids: [
    "Ids may be any text of 1 to 512 bytes",
    { costs: "Rows that an app has named itself cannot be synced.", section: "2" },
    async ({ a }) => {
      const mark = await a.mark();
      const ids = ["with spaces", "a/b?c=d#e%20", "quote\"'`", "ünï-côdé-👩‍👩‍👧", "'; drop table x; --", "__proto__", "x".repeat(400)].map((text) => `${text}-${a.newId()}`);
      const rows = await a.write(...ids.map((id) => a.op("create", id, null, a.fields(id))));
      const found = await a.since(mark);
      for (const { id } of rows) a.expect(a.has(found.get(id), id), `a row with the id ${JSON.stringify(id)}`, [...found.keys()]);
    },
  ],
  alike: [
    "Ids that differ in case, in spaces at the end or in how an accent is written are of different rows",
    { costs: "A database compares text as people do: one row overwrites or hides another.", section: "2", rests: ["values.ids"] },
    async ({ a }) => {
      const mark = await a.mark();
      const id = a.newId();
      const ids = [`${id}-a`, `${id}-A`, `${id}-a `, `${id}-\u00e9`, `${id}-e\u0301`, `${id}-e`];
      await a.write(...ids.map((id) => a.op("create", id, null, a.fields(id))));
      const found = await a.since(mark);
      for (const id of ids) a.expect(a.has(found.get(id), id), `a row with the id ${JSON.stringify(id)}, as it was written`, [...found.keys()]);
    },
  ],
  badIds: [
    "An id that breaks the rule is rejected alone",
    { costs: "One operation holds up all others, or a row appears that no client can name.", section: "5.3" },
    async (bench) => {
      server(bench);
      for (const id of ["", "x".repeat(513), "line\nbreak", "\u0000"]) await refuses(bench.a, { id });
    },
  ],
  badVersions: [
    "A base that is no version is rejected alone",
    { costs: "One operation holds up all others, or overwrites a row.", section: "5.3" },
    async (bench) => {
      server(bench);
      for (const base of ["0", "-1", "1.5", "9007199254740992", '"1"']) await refuses(bench.a, { baseVersion: new Raw(base) });
    },
  ],
});
