import { chapter, server } from "../check.js";
import { inSpace, role, shared } from "./people.js";
import { NONE, counted, onTheWire } from "../../digest.js";
import { needs, notOffered, type Device } from "../device.js";
import { reasonOf } from "../target.js";

/** Clocks: a server's own, and those of devices. */
export const clock = chapter("clock", {
  devices: [
    "Rows of devices whose clocks are wrong by decades come like others",
    { costs: "What a device with a wrong clock writes, or what others write after it, never reaches anybody.", section: "1" },
    async ({ a }) => {
      const written: string[] = [];
      let mark = await a.mark();
      for (const time of ["2099-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z", new Date().toISOString()]) {
        const [row] = await a.write(a.op("create", a.newId(), null, { ...a.fields(time), createdAt: time, modifiedAt: time }));
        written.push(row!.id);
        const { changes, cursor } = await a.drain(mark, 2);
        a.expect(changes.some(({ id }) => id === row!.id), `the row that says ${time}`, "no such row");
        mark = cursor;
      }
    },
  ],
  backwards: [
    "A row whose time goes backwards with an edit comes again",
    { costs: "An edit of a device whose clock is late never reaches anybody.", section: "1" },
    async ({ a }) => {
      const row = await a.row();
      const mark = await a.mark();
      const past = "2001-01-01T00:00:00.000Z";
      const [edit] = await a.write(a.op("update", row.id, row.version, { ...a.fields("in the past"), modifiedAt: past }));
      const found = (await a.since(mark)).get(row.id);
      a.expect(a.has(found, "in the past") && found.version === edit!.version, "the edit", found ?? "no change");
    },
  ],
  server: [
    "`serverTime` does not go backwards, and is near this machine's clock",
    { costs: "A device whose own clock is wrong cannot correct it.", section: "4" },
    async ({ a }) => {
      const times: number[] = [];
      for (const page of [await a.pull(null, 1), await a.pull(null, 1)]) {
        if (page.serverTime === undefined || page.serverTime === null) throw notOffered("Pages have no `serverTime`.");
        times.push(Date.parse(page.serverTime));
      }
      a.expect(times[1]! >= times[0]!, "a time that is not before the last one", times);
      const ahead = Math.round((times[1]! - Date.now()) / 1_000);
      if (Math.abs(ahead) > 60) return `The server's clock is ${Math.abs(ahead)} s ${ahead > 0 ? "ahead of" : "behind"} this machine's. One of the two is wrong.`;
    },
  ],
});

const RESTORED = "After a restored backup, devices take old versions for new ones: acknowledged writes disappear without a word.";

/** Restored backups. */
export const epoch = chapter("epoch", {
  push: [
    "A push of another epoch does nothing",
    { costs: RESTORED, section: "5", rests: ["reach.epoch"] },
    async ({ a, first }) => {
      if (!first.epoch) throw notOffered("Replies have no `epoch`.");
      const mark = await a.mark();
      const op = a.op("create", a.newId(), null, a.fields("of another epoch"));
      const [verdict] = await a.push([op], { epoch: "another-epoch" });
      a.expect(verdict.status === "retry" && verdict.code === "epochChanged", "`retry` with the code `epochChanged`", verdict);
      a.expect(!(await a.since(mark)).has(op.id), "nothing written");
    },
  ],
  pull: [
    "A pull from the beginning may name an epoch that nobody knows",
    { costs: RESTORED, section: "4.4", rests: ["reach.epoch"] },
    async ({ a, first }) => {
      if (!first.epoch) throw notOffered("Replies have no `epoch`.");
      const page = await a.pull(null, 1, { epoch: "another-epoch" });
      a.expect(page.kept === undefined || page.kept === null || (Number.isInteger(page.kept) && page.kept >= 0), "a page, whose `kept` is a version or absent", page);
      a.expect(page.epoch === first.epoch, `the server's own epoch, ${first.epoch}`, page);
    },
  ],
  restored: [
    "A restored backup has another epoch, and refuses earlier cursors",
    { costs: RESTORED, section: "4.4", rests: ["reach.epoch"] },
    async ({ a, restore, first }) => {
      if (restore === undefined) throw needs("`--backup-command` and `--restore-command`, or `restore`, to copy and restore the backend's data");
      if (!first.epoch) throw notOffered("Replies have no `epoch`.");
      const kept = await a.row("in the backup");
      // A command that fails is no fault of the backend.
      const operator = async (work: () => unknown): Promise<unknown> => {
        try {
          return await work();
        } catch (error) {
          throw needs(`a backup that works; ${reasonOf(error)}`);
        }
      };
      const copy = await operator(() => restore.backup());
      const lost = await a.row("after the backup");
      const mark = await a.mark();
      await operator(() => restore.restore(copy));
      a.end = undefined;
      a.expect((await a.ask("pull", { cursor: mark, limit: 10 })).status === 410, "410 for an earlier cursor");
      const verdict = (await a.push([a.op("update", kept.id, kept.version, a.fields("late"))], { epoch: first.epoch }))[0];
      a.expect(verdict.status === "retry" && verdict.code === "epochChanged", "`retry` with `epochChanged` for a push of the earlier epoch", verdict);
      const { changes, pages } = await a.drain(null, 1_000, { epoch: first.epoch });
      a.expect(pages[0].epoch !== first.epoch, "another `epoch` than before", pages[0]);
      const ids = changes.map(({ id }) => id as string);
      a.expect(ids.includes(kept.id) && !ids.includes(lost.id), "the row of the backup alone");
    },
  ],
});

/** Digests of what there is. */
export const digests = chapter("digests", {
  sums: [
    "Digests are those of the live rows",
    { costs: "Every device pulls everything again, again and again; or differences are never noticed.", section: "8", rests: ["paging.snapshot", "clock.devices"] },
    async ({ a, entities }) => {
      await a.create("counted", "counted too");
      await a.remove(await a.row("not counted"));
      const { changes, pages } = await a.drain(null, 1_000, { digests: true });
      const told = pages.at(-1).digests?.[entities[0]!];
      if (told === undefined) throw notOffered("The last page has no `digests`.");
      const live = new Map<string, { entity: string; id: string; version: number }>();
      for (const change of changes) {
        if (change.entity !== entities[0] || change.space) continue;
        if (change.deleted) live.delete(change.id);
        else live.set(change.id, change);
      }
      const rows = changes.some(({ entity, space }) => entity === entities[0] && space);
      if (rows) throw needs("an account without rows of this type in shared spaces");
      const sum = onTheWire([...live.values()].reduce((total, row) => counted(total, 1, null, row), NONE));
      a.expect(told.count === sum.count && told.hash === sum.hash, JSON.stringify(sum), told);
    },
  ],
});

/** Metadata of devices. */
export const metadata = chapter("metadata", {
  record: [
    "A device's record is kept, and read by the user alone",
    { costs: "Apps cannot show which devices have synced.", section: "6", rests: ["users.rows"] },
    async (bench) => {
      server(bench);
      const { a, b } = bench;
      const before = await a.request("GET", "/metadata");
      if ([404, 405, 501].includes(before.status)) throw notOffered(`GET /metadata answers ${before.status}.`);
      a.expect(before.status === 200 && Array.isArray(before.body?.devices), "200 with `devices`");
      const record = { deviceId: a.clientId, lastSyncTime: new Date().toISOString(), syncStatus: "synced", customMetadata: { kit: true } };
      const put = await a.request("PUT", "/metadata", JSON.stringify(record));
      a.expect(put.status === 200, "200");
      const has = (answer: typeof put) => answer.body?.devices?.find((device: { deviceId?: string }) => device.deviceId === a.clientId);
      const kept = has(await a.request("GET", "/metadata"));
      a.expect(kept?.syncStatus === "synced" && kept.customMetadata?.kit === true, "the record");
      if (b !== undefined) b.expect(has(await b.request("GET", "/metadata")) === undefined, "no record of another user");
      // DELETE forgets all devices: only where there were none.
      if (before.body.devices.length > 0) return "DELETE was not asked: there are records of other devices. The kit's own one stays.";
      a.expect((await a.request("DELETE", "/metadata")).status === 200, "200");
      a.expect(has(await a.request("GET", "/metadata")) === undefined, "no record after DELETE");
    },
  ],
  userMismatch: [
    "Metadata of another user is 409 `userMismatch`",
    { costs: "A device whose session changes shows one user's devices to another.", section: "3.1", rests: ["metadata.record"] },
    async (bench) => {
      server(bench);
      const answer = await bench.a.request("GET", "/metadata?userId=somebody-else");
      if ([404, 405, 501].includes(answer.status)) throw notOffered(`GET /metadata answers ${answer.status}.`);
      bench.a.expect(answer.status === 409 && answer.code === "userMismatch", "409 with the code `userMismatch`");
    },
  ],
});

const SLOW = "Changes of other devices show with the next automatic cycle, which may be a quarter of an hour later.";

/** Hints that there is something to pull. */
export const stream = chapter("stream", {
  hint: [
    "A write is hinted at within five seconds",
    { costs: SLOW, section: "7" },
    async ({ a }) => {
      const end = new AbortController();
      try {
        await hinted(a, end.signal);
      } finally {
        end.abort();
      }
    },
  ],
  member: [
    "A write into a shared space is hinted at to its members, and the hint says nothing of it",
    { costs: SLOW, section: "11", rests: ["stream.hint", "spaces.member"] },
    async (bench) => {
      server(bench);
      await shared(bench, async (it) => {
        const { a, b, space } = it;
        await role(it, "reader");
        const end = new AbortController();
        try {
          const stream = await listening(b, end.signal);
          const [row] = await a.another().write(inSpace(a, space, "told to members only"));
          await stream.within(5_000, "`event: change`", isHint);
          b.expect(![row!.id, space, "told to members only"].some((word) => stream.text().includes(word)), "a hint that has nothing of the row", stream.text());
        } finally {
          end.abort();
        }
      });
    },
  ],
  longPoll: [
    "A pull that waits is answered when something is written",
    { costs: `${SLOW} This is how devices wait behind proxies that buffer streams.`, section: "4" },
    async (bench) => {
      server(bench);
      const { a } = bench;
      const cursor = await a.mark();
      const began = Date.now();
      const waiting = a.another().ask("pull", { cursor, limit: 1, waitMs: 4_000 });
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (Date.now() - began < 90) return;
      const row = await a.row("waited for");
      const answer = await waiting;
      a.expect(answer.status === 200, "a page");
      const got = (answer.body?.changes ?? []).length > 0;
      if (!got && Date.now() - began < 3_000) throw notOffered("The server answers at once: it does not wait.");
      a.expect(got && Date.now() - began < 3_500, `the row ${row.id} at once`, `after ${Date.now() - began} ms: ${answer.text}`);
    },
  ],
});

async function hinted(a: Device, signal: AbortSignal): Promise<void> {
  const { adapter, userId = "" } = a.party;
  if (a.http === undefined) {
    if (typeof adapter?.subscribe !== "function") throw notOffered("The adapter has no `subscribe`.");
    let hint = () => {};
    const came = new Promise<void>((resolve) => (hint = resolve));
    const stop = adapter.subscribe(userId, () => hint());
    signal.addEventListener("abort", () => stop());
    await new Promise((resolve) => setTimeout(resolve, 500));
    await a.another().row("hinted at");
    await Promise.race([came, late(5_000, "", signal)]).catch(() => a.expect(false, "a call of `hint`", "no call in 5 s"));
    return;
  }
  const stream = await listening(a, signal);
  await a.another().row("hinted at");
  await stream.within(5_000, "`event: change`", isHint);
}

const isHint = (text: string) => /^event:\s*change/m.test(text);

/** Opens a server's stream, until it has sent its first byte. */
async function listening(a: Device, signal: AbortSignal) {
  a.sent = "GET /sync/v1/stream";
  const { status, headers, body } = await a.traffic.within(() => a.http!.stream(signal));
  if ([404, 405, 501].includes(status)) throw notOffered(`GET /stream answers ${status}; devices poll.`);
  a.came = `HTTP ${status} ${headers.get("content-type")}`;
  a.expect(status === 200 && /^text\/event-stream/.test(headers.get("content-type") ?? "") && body !== null, "200 text/event-stream");
  const reader = body!.getReader();
  const decoder = new TextDecoder();
  let text = "";
  const read = async (until: (text: string) => boolean) => {
    while (!until(text)) {
      const { done, value } = await reader.read();
      if (done) throw new Error("The stream ended.");
      text += decoder.decode(value, { stream: true });
    }
  };
  const within = async (ms: number, expected: string, until: (text: string) => boolean) => {
    const reading = read(until);
    reading.catch(() => undefined);
    await Promise.race([reading, late(ms, "nothing came", signal)]).catch((error: Error) => a.expect(false, expected, `${error.message} within ${ms / 1_000} s; so far ${JSON.stringify(text)}`));
  };
  await within(10_000, "a first byte within 10 s: a client takes a stream without one for one that a proxy buffers", (so) => so.length > 0);
  return { within, text: () => text };
}

/** Fails after a time. */
function late(ms: number, what: string, signal: AbortSignal): Promise<never> {
  return new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(what)), ms);
    signal.addEventListener("abort", () => clearTimeout(timer));
  });
}
