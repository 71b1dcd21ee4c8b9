// Digests of rows for the remote in memory, as section 8 of the protocol has them: XXH3-64, and its sums.

const MASK = (1n << 64n) - 1n;
const P32 = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn];
const P64 = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n];
const SECRET = new DataView(
  Uint8Array.from(
    [
      "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c",
      "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364",
      "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e",
    ]
      .join("")
      .match(/../g),
    (byte) => parseInt(byte, 16),
  ).buffer,
);
const encoder = new TextEncoder();

const secret = (at) => SECRET.getBigUint64(at, true);
const folded = (a, b) => ((a * b) & MASK) ^ ((a * b) >> 64n);

function avalanche(hash) {
  hash = ((hash ^ (hash >> 37n)) * 0x165667919e3779f9n) & MASK;
  return hash ^ (hash >> 32n);
}

/** XXH3-64 of at least 9 bytes, with the seed 0. */
function xxh3(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const read = (at) => view.getBigUint64(at, true);
  const { length } = bytes;
  const mix = (at, key) => folded(read(at) ^ secret(key), read(at + 8) ^ secret(key + 8));
  if (length <= 16) {
    const [low, high] = [read(0) ^ secret(24) ^ secret(32), read(length - 8) ^ secret(40) ^ secret(48)];
    const swapped = new DataView(new ArrayBuffer(8));
    swapped.setBigUint64(0, low);
    return avalanche((BigInt(length) + swapped.getBigUint64(0, true) + high + folded(low, high)) & MASK);
  }
  let sum = BigInt(length) * P64[0];
  if (length <= 128) {
    for (let at = 0; at < length / 2; at += 16) sum += mix(at, at * 2) + mix(length - 16 - at, at * 2 + 16);
    return avalanche(sum & MASK);
  }
  if (length <= 240) {
    for (let at = 0; at < 128; at += 16) sum += mix(at, at);
    sum = avalanche(sum & MASK);
    for (let at = 128; at + 16 <= length; at += 16) sum += mix(at, at - 125);
    return avalanche((sum + mix(length - 16, 119)) & MASK);
  }
  const sums = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]];
  const add = (at, key) => {
    for (let lane = 0; lane < 8; lane++) {
      const value = read(at + 8 * lane);
      const keyed = value ^ secret(key + 8 * lane);
      sums[lane ^ 1] = (sums[lane ^ 1] + value) & MASK;
      sums[lane] = (sums[lane] + (keyed & 0xffffffffn) * (keyed >> 32n)) & MASK;
    }
  };
  for (let at = 0, key = 0; at + 64 < length; at += 64) {
    add(at, key);
    key += 8;
    // The end of a block.
    if (key < 128) continue;
    key = 0;
    for (let lane = 0; lane < 8; lane++) sums[lane] = ((sums[lane] ^ (sums[lane] >> 47n) ^ secret(128 + 8 * lane)) * P32[0]) & MASK;
  }
  add(length - 64, 121);
  for (let lane = 0; lane < 8; lane += 2) sum += folded(sums[lane] ^ secret(11 + 8 * lane), sums[lane + 1] ^ secret(19 + 8 * lane));
  return avalanche(sum & MASK);
}

/** Returns the number of a row, as a BigInt. `space` is null for a row of a user's own. */
export function rowHash(space, entity, id, version) {
  const text = encoder.encode(`${space === null ? "" : `${space}\0`}${entity}\0${id}\0`);
  const bytes = new Uint8Array(text.length + 8);
  bytes.set(text);
  new DataView(bytes.buffer).setBigUint64(text.length, BigInt(version), true);
  return xxh3(bytes);
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
