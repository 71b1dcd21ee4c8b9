// The file of a development server: a first line that says what it is, and a line for each transaction. A line is on the disk before its
// request is answered, so a server that is killed loses nothing that it has acknowledged.

import { randomBytes, randomUUID } from "node:crypto";
import { closeSync, fdatasyncSync, fsyncSync, ftruncateSync, fstatSync, openSync, readFileSync, readSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CommandError } from "./dispatch.js";

const FORMAT = "datum-sync journal";
const VERSION = 1;
const LINE_FEED = 10;

/** Opens the file, which is made if it is missing. A last line that was cut off is removed, and `say` gets a message about it. */
export function openJournal(path, say) {
  const file = resolve(path);
  const release = lock(file);
  try {
    return { ...opened(file, say), release };
  } catch (error) {
    release();
    throw error;
  }
}

function opened(file, say) {
  const fd = attempt(file, () => openSync(file, "a+", 0o600));
  const whole = wholeLines(file, fd, say);
  let head = whole.head;
  let size = whole.size;
  /** Writes a line behind the others, or leaves the file as it was. */
  const append = (line) => {
    const bytes = Buffer.from(`${line}\n`);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fdatasyncSync(fd);
    } catch (error) {
      ftruncateSync(fd, size);
      throw error;
    }
    size += bytes.length;
  };
  if (head === undefined) {
    head = { format: FORMAT, version: VERSION, serverId: randomUUID(), epoch: randomBytes(16).toString("hex") };
    attempt(file, () => append(JSON.stringify(head)));
    syncFolder(dirname(file));
  }
  return {
    file,
    serverId: head.serverId,
    epoch: head.epoch,
    lines: linesOf(fd, whole.headSize, whole.size),
    append,
    /** Writes behind the lines and takes it back, to see whether the disk has room. */
    check: () => probe(fd, size),
    close() {
      closeSync(fd);
      this.release();
    },
  };
}

/** Throws if a block cannot be written. A server that is killed meanwhile leaves a line that was cut off. */
function probe(fd, size) {
  try {
    const block = Buffer.alloc(4_096, " ");
    for (let at = 0; at < block.length; ) at += writeSync(fd, block, at);
    fdatasyncSync(fd);
  } finally {
    ftruncateSync(fd, size);
  }
}

/** Returns the first line, and how far the file has whole lines. */
function wholeLines(file, fd, say) {
  const { size } = fstatSync(fd);
  if (size === 0) return { head: undefined, headSize: 0, size: 0 };
  const first = lineAt(fd, 0, Math.min(size, 4_096));
  const head = headOf(first?.text);
  if (head === undefined) {
    // A server that was killed while it made the file has acknowledged nothing.
    if (first === undefined && size < 4_096 && `{"format":"${FORMAT}"`.startsWith(textAt(fd, 0, Math.min(size, 20)))) {
      ftruncateSync(fd, 0);
      return { head: undefined, headSize: 0, size: 0 };
    }
    const hint = textAt(fd, 0, Math.min(size, 15)) === "SQLite format 3" ? "It is an SQLite database: datum-server and sqliteStore of datum-sync/server open it" : "Give --file a name of its own";
    throw new CommandError(`${file} is no file of \`datum-sync dev\`, and was not changed. ${hint}.`);
  }
  if (head.version !== VERSION) throw new CommandError(`${file} was written by a later version of datum-sync (format ${head.version}). Update the package, or use another file.`);
  const end = lastFeed(fd, size) + 1;
  if (end < size) {
    say(`${file}: the last line was cut off (${size - end} bytes), as after a power failure or a kill in the middle of a write. It was never acknowledged, and is removed.`);
    ftruncateSync(fd, end);
    fsyncSync(fd);
  }
  return { head, headSize: first.end, size: end };
}

function headOf(text) {
  try {
    const head = JSON.parse(text);
    return head?.format === FORMAT && typeof head.serverId === "string" && typeof head.epoch === "string" ? head : undefined;
  } catch {
    return undefined;
  }
}

/** The lines between two places of the file, some of it at a time. */
function* linesOf(fd, from, to) {
  const decoder = new TextDecoder();
  let rest = [];
  const chunk = Buffer.alloc(1 << 20);
  for (let at = from; at < to; ) {
    const got = readSync(fd, chunk, 0, Math.min(chunk.length, to - at), at);
    if (got === 0) return;
    at += got;
    let start = 0;
    for (let feed = chunk.indexOf(LINE_FEED); feed >= 0 && feed < got; feed = chunk.indexOf(LINE_FEED, start)) {
      yield decoder.decode(Buffer.concat([...rest, chunk.subarray(start, feed)]));
      rest = [];
      start = feed + 1;
    }
    rest.push(Buffer.from(chunk.subarray(start, got)));
  }
}

function textAt(fd, from, length) {
  const bytes = Buffer.alloc(length);
  const got = readSync(fd, bytes, 0, length, from);
  return bytes.toString("latin1", 0, got);
}

function lineAt(fd, from, most) {
  const bytes = Buffer.alloc(most);
  const got = readSync(fd, bytes, 0, most, from);
  const feed = bytes.subarray(0, got).indexOf(LINE_FEED);
  return feed < 0 ? undefined : { text: bytes.toString("utf8", 0, feed), end: from + feed + 1 };
}

/** The place of the last line feed. */
function lastFeed(fd, size) {
  const chunk = Buffer.alloc(1 << 16);
  for (let end = size; end > 0; ) {
    const from = Math.max(end - chunk.length, 0);
    const got = readSync(fd, chunk, 0, end - from, from);
    const feed = chunk.subarray(0, got).lastIndexOf(LINE_FEED);
    if (feed >= 0) return from + feed;
    end = from;
  }
  return -1;
}

/** Keeps other servers off the file: two would write over each other. The lock of a process that is gone counts for nothing. */
function lock(file) {
  const name = `${file}.lock`;
  for (let tries = 0; ; tries++) {
    try {
      writeFileSync(name, String(process.pid), { flag: "wx" });
      return () => {
        // It may have been removed, and be another server's by now.
        if (holderOf(name) === process.pid) unlinkSync(name);
      };
    } catch (error) {
      if (error.code !== "EEXIST" || tries > 3) throw new CommandError(`Cannot lock ${file}: ${error.message}.`);
    }
    const holder = attempt(file, () => holderOf(name));
    if (isAlive(holder)) throw new CommandError(`${file} is in use by process ${holder}. Stop that one first, or use another file.`);
    if (holder !== undefined) unlinkSync(name);
  }
}

/** The process that a lock names; undefined without a lock. */
function holderOf(name) {
  try {
    return Number(readFileSync(name, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function attempt(file, work) {
  try {
    return work();
  } catch (error) {
    throw new CommandError(`Cannot use ${file}: ${error.message}.`);
  }
}

/** Makes the file's name durable, where folders can be synced. */
function syncFolder(folder) {
  try {
    const fd = openSync(folder, "r");
    fsyncSync(fd);
    closeSync(fd);
  } catch {
    // Windows cannot.
  }
}
