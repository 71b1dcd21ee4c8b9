// The rows that an app of a profile pulls: ids and data of all kinds.

/** A UUID of version 7, as apps have them: in the order in which they are made. */
const uuid = (n) => `0190163d-${(0x1000 + n).toString(16)}-7${(n % 4096).toString(16).padStart(3, "0")}-a000-${(n * 7919).toString(16).padStart(12, "0")}`;
/** Ids in the order of a pull, and ids that are not; the most usual of all, and texts with all kinds of characters. */
export const NAMES = { sorted: uuid, unsorted: (n) => `task-${n}`, odd: (n) => (n % 2 ? uuid(n) : `Ä "${n}" \u{1f600}`) };

/** A row: most are alike, some are long, empty, deep, or have what JSON escapes. */
export function rowOf(id, n) {
  const usual = { id, title: `task ${n}`, done: n % 3 === 0, at: n / 7, list: null, tags: ["a", "b"], note: "call the supplier about the order".repeat(6) };
  const odd = [{ id }, { ...usual, note: "x".repeat(6_000) }, { ...usual, title: 'a "quoted" \\ text\n\u0001 in Ünicode \u{1f600}' }, { ...usual, nested: { deep: [[1e21, -0.5, [{ a: [] }]]] } }];
  return n % 50 === 0 ? odd[(n / 50) % odd.length] : usual;
}
