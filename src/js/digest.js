// Digests of rows for the remote in memory, as section 8 of the protocol has them: a part of the MD5, and its sums.

const MASK = (1n << 64n) - 1n;
const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const SINES = Array.from({ length: 64 }, (_, at) => Math.floor(2 ** 32 * Math.abs(Math.sin(at + 1))) | 0);
const encoder = new TextEncoder();

/** Which word of its block each of the 64 steps takes: by four rounds. */
const WORDS = [(at) => at, (at) => 5 * at + 1, (at) => 3 * at + 5, (at) => 7 * at];
/** How a step mixes three words. */
const MIXES = [(b, c, d) => (b & c) | (~b & d), (b, c, d) => (b & d) | (c & ~d), (b, c, d) => b ^ c ^ d, (b, c, d) => c ^ (b | ~d)];

/** Returns the first eight bytes of the MD5 (RFC 1321) of a text, as a BigInt. */
function md5(text) {
  const given = encoder.encode(text);
  const bytes = new Uint8Array(((given.length + 8) >> 6) * 64 + 64);
  bytes.set(given);
  bytes[given.length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 8, given.length * 8, true);
  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let block = 0; block < bytes.length; block += 64) {
    let [a, b, c, d] = state;
    for (let at = 0; at < 64; at++) {
      const round = at >> 4;
      const word = view.getInt32(block + 4 * (WORDS[round](at) & 15), true);
      const sum = (a + MIXES[round](b, c, d) + SINES[at] + word) | 0;
      const by = SHIFTS[4 * round + (at & 3)];
      [a, b, c, d] = [d, (b + ((sum << by) | (sum >>> (32 - by)))) | 0, b, c];
    }
    state = [a, b, c, d].map((word, at) => (word + state[at]) | 0);
  }
  view.setInt32(0, state[0], true);
  view.setInt32(4, state[1], true);
  return view.getBigUint64(0);
}

/** Returns the number of a row, as a BigInt. `space` is null for a row of a user's own. */
export function rowHash(space, entity, id, version) {
  return md5([...(space === null ? [] : [space]), entity, id, version].join("\n"));
}

/** Returns the digest with a row added, or taken away if `count` is -1. */
export function counted(digest, count, space, row) {
  const hash = rowHash(space, row.entity, row.id, row.version);
  return { count: digest.count + count, sum: (digest.sum + BigInt(count) * hash) & MASK };
}

/** Returns the digest of what two have. */
export const together = (a, b) => ({ count: a.count + b.count, sum: (a.sum + b.sum) & MASK });

/** The digest of no rows. */
export const NONE = { count: 0, sum: 0n };

/** Returns a digest as the protocol has it. */
export const onTheWire = ({ count, sum }) => ({ count, hash: sum.toString(16).padStart(16, "0") });
