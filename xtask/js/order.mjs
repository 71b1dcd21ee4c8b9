// Names the functions of a module so that sorting them by name places similar ones side by side, which compresses
// better.
//
//   node order.mjs WASM     rewrites the file; a function's name follows its place
import { readFileSync, writeFileSync } from "node:fs";

/** Functions are similar by the pieces of this many bytes that they share; a piece in more functions than COMMON does not count. */
const WIDTH = 4;
const COMMON = 200;

const [file] = process.argv.slice(2);
const bytes = readFileSync(file);
let at = 8;

function number() {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return value;
  }
}

/** Skips the limits of a table or memory. */
function limits() {
  if (number() & 1) number();
  number();
}

function word() {
  const length = number();
  return bytes.toString("utf8", at, (at += length));
}

/** Reads the functions' names from the custom section that has them. */
function readNames(end) {
  if (word() !== "name") return;
  while (at < end) {
    const kind = bytes[at++];
    const next = number() + at;
    if (kind === 1) for (let left = number(); left > 0; left--) known.set(number(), word());
    at = next;
  }
}

const encoded = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...encoded(Math.floor(value / 128))]);
const text = (value) => [...encoded(Buffer.byteLength(value)), ...Buffer.from(value)];

let imported = 0;
const bodies = [];
/** The names that the functions have, by index. */
const known = new Map();
const sections = [bytes.subarray(0, 8)];
while (at < bytes.length) {
  const begin = at;
  const id = bytes[at++];
  const end = number() + at;
  if (id === 2) {
    for (let left = number(); left > 0; left--) {
      for (let name = 0; name < 2; name++) at = number() + at;
      const kind = bytes[at++];
      if (kind === 0) imported++;
      if (kind === 1) at++;
      if (kind === 1 || kind === 2) limits();
      else if (kind === 3) at += 2;
      else number();
    }
  } else if (id === 10) {
    for (let left = number(); left > 0; left--) {
      const length = number();
      bodies.push(bytes.subarray(at, (at += length)));
    }
  }
  if (id === 0) readNames(end);
  at = end;
  if (id !== 0) sections.push(bytes.subarray(begin, end));
}

/** The functions in which each piece of code occurs. */
const places = new Map();
const pieces = bodies.map((body, index) => {
  const own = new Set();
  for (let i = 0; i + WIDTH <= body.length; i++) own.add(body.readUInt32LE(i));
  for (const piece of own) {
    const known = places.get(piece);
    if (known) known.push(index);
    else places.set(piece, [index]);
  }
  return own;
});
for (const own of pieces) {
  for (const piece of own) {
    const { length } = places.get(piece);
    if (length < 2 || length > COMMON) own.delete(piece);
  }
}

// Starts with the longest function and appends the one that is most similar to the last, relative to its length.
const left = new Set(bodies.keys());
let last = bodies.reduce((best, body, index) => (body.length > bodies[best].length ? index : best), 0);
const rank = new Array(bodies.length);
for (let next = 0; ; next++) {
  rank[last] = next;
  left.delete(last);
  if (left.size === 0) break;
  const shared = new Map();
  for (const piece of pieces[last]) {
    for (const other of places.get(piece)) if (left.has(other)) shared.set(other, (shared.get(other) ?? 0) + 1);
  }
  let best = -1;
  let most = 0;
  for (const [other, count] of shared) {
    const likeness = count / (pieces[other].size + 20);
    if (likeness > most || (likeness === most && other < best)) [best, most] = [other, likeness];
  }
  [last] = best < 0 ? left : [best];
}

const names = rank.flatMap((place, index) => [...encoded(imported + index), ...text(`${String(place).padStart(6, "0")} ${known.get(imported + index) ?? ""}`)]);
const functions = [...encoded(bodies.length), ...names];
const section = [...text("name"), 1, ...encoded(functions.length), ...functions];
writeFileSync(file, Buffer.concat([...sections, Buffer.from([0, ...encoded(section.length), ...section])]));
