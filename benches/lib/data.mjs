// The data of all contestants, and the check of results. Runs in Node and in the page.

const TITLE = "call the supplier about the order ".repeat(3).trim();

/** Returns a UUID version 7, as apps use them, but the same in every run. */
export function idOf(number) {
  const time = (1_700_000_000_000 + number).toString(16).padStart(12, "0");
  const mixed = Math.imul(number + 1, 0x9e3779b1) >>> 0;
  const random = mixed.toString(16).padStart(8, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-a${random.slice(3, 6)}-${random.slice(6)}${time.slice(2)}`;
}

/** Returns a typical task. In a page of the protocol it has about 320 bytes of JSON. */
export function taskOf(number) {
  const at = new Date(1_700_000_000_000 + number * 1_000).toISOString();
  return {
    id: idOf(number),
    title: `Task number ${number}: ${TITLE}`,
    done: number % 3 === 0,
    priority: number % 5,
    tags: ["work", `list-${number % 20}`],
    createdAt: at,
    modifiedAt: at,
  };
}

export const tasks = (count, from = 0) => Array.from({ length: count }, (_, offset) => taskOf(from + offset));

/** The page sizes that the engine requests. All who use its protocol use them, so that the number of requests is equal. */
export const FIRST_ROWS = 1_000;
export const nextRows = (rows) => Math.min(2 * rows, 4_000);

/**
 * Counts rows and sums a hash of their fields, independent of their order. Without `modifiedAt`, which the engine sets on
 * local writes.
 */
export function factsOf(rows) {
  let count = 0;
  let sum = 0;
  for (const { id, title, done, priority, tags, createdAt } of rows) {
    count += 1;
    sum = (sum + hash(`${id}|${title}|${done}|${priority}|${tags.join()}|${createdAt}`)) >>> 0;
  }
  return { count, sum };
}

/** Returns what `factsOf` must return for `count` tasks. */
export function expected(count, from = 0) {
  return factsOf(
    (function* all() {
      for (let number = from; number < from + count; number += 1) yield taskOf(number);
    })(),
  );
}

export const same = (a, b) => a.count === b.count && a.sum === b.sum;

/** FNV-1a. */
function hash(text) {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}
