// Watches, events, observers, the log, metrics and health.
import type { DatumEvent, LogEntry, Logger, Observer } from "datum-sync";
import type { Story } from "./story.ts";

export async function a_watch_gives_what_is_there_and_then_each_change({ open, equal }: Story) {
  const a = await open("a");
  const tasks = a.manager("tasks");
  await tasks.createMany([{ id: "b", title: "tea" }, { id: "d", title: "milk" }]);
  const watch = tasks.watchAll()[Symbol.asyncIterator]();
  const first = (await watch.next()).value;
  equal(first.map((t: { title: string }) => t.title), ["tea", "milk"]);
  await tasks.patch("d", { title: "oat milk" });
  const second = (await watch.next()).value;
  equal(second.map((t: { title: string }) => t.title), ["tea", "oat milk"]);
  if (second[0] !== first[0]) throw new Error("an unchanged entity is another object");
  if (second[1] === first[1] || !Object.isFrozen(second[1])) {
    throw new Error("a changed entity must be a new, frozen object");
  }
  await tasks.createMany([{ id: "a", title: "a" }, { id: "c", title: "c" }, { id: "e", title: "e" }]);
  await tasks.delete("b");
  const third = (await watch.next()).value;
  const ids = (all: { id: string }[]) => all.map((t) => t.id);
  equal(ids(third), ["a", "c", "d", "e"]);
  equal(ids(third), ids(await tasks.readAll()));
  if (third[2] !== second[1]) throw new Error("not the same object");
  third.sort(() => -1);
  await tasks.delete("a");
  equal(ids((await watch.next()).value), ["c", "d", "e"]);
  const waiting = watch.next();
  await watch.return!();
  equal([(await waiting).done, (await watch.next()).done], [true, true]);
  await a.close();
}

export async function two_calls_at_the_beginning_of_a_loop_share_one_watch({ open, equal }: Story) {
  const a = await open("a");
  // Their databases are not open yet, so that both calls wait for that.
  const [eve, dan] = [{ userId: "eve" }, { userId: "dan" }];
  for (const feed of [a.manager("tasks").watchAll(eve), a.spaces().watch(dan)]) {
    const loop = feed[Symbol.asyncIterator]();
    const [first, second] = [loop.next(), loop.next()];
    equal((await first).done, false);
    await loop.return!();
    equal((await second).done, true);
  }
  await a.close();
}

export async function ids_beyond_the_basic_plane_keep_the_engines_order({ open, equal }: Story) {
  const a = await open("a");
  const tasks = a.manager("tasks");
  const ids = ["z", "\ue000", "\ufffd", "\u{1f600}", "\u{10ffff}", "a\u{1f600}", "a\uff5e"];
  const watch = tasks.watchAll()[Symbol.asyncIterator]();
  await watch.next();
  let seen: { id: string }[] = [];
  for (const id of ids) {
    await tasks.create({ id });
    seen = (await watch.next()).value;
  }
  equal(seen.map((t) => t.id), (await tasks.readAll()).map((t) => t.id));
  await a.close();
}

export async function another_instance_and_the_remote_are_seen_by_a_watch({ open, user, equal }: Story) {
  const a = await open("a");
  const twin = await open("a");
  const b = await open("b");
  const seen: number[] = [];
  const sources: string[] = [];
  const reading = (async () => {
    for await (const all of a.manager("tasks").watchAll()) seen.push(all.length);
  })();
  const listening = (async () => {
    for await (const event of a.events({ type: "dataChanged" })) sources.push(event.source);
  })();
  const until = async (n: number) => {
    for (let i = 0; i < 500 && seen.at(-1) !== n; i++) await new Promise((go) => setTimeout(go, 10));
    equal(seen.at(-1), n);
  };
  await until(0);
  await twin.manager("tasks").create({ title: "from the twin" });
  await until(1);
  await b.manager("tasks").createMany(Array.from({ length: 50 }, (_, n) => ({ n })));
  await b.synchronize(user);
  await a.synchronize(user, { direction: "pullOnly" });
  await until(51);
  equal(seen, [0, 1, 51]);
  await a.close();
  await reading;
  await listening;
  equal(sources, ["otherTab", "remote"]);
  await twin.close();
  await b.close();
}

export async function one_entity_is_watched_by_its_id_and_null_where_there_is_none({ open, equal, refused }: Story) {
  const a = await open("a");
  const tasks = a.manager("tasks");
  const watch = tasks.watchById("t")[Symbol.asyncIterator]();
  equal((await watch.next()).value, null);
  await tasks.create({ id: "other" });
  await tasks.create({ id: "t", title: "milk" });
  equal((await watch.next()).value.title, "milk");
  await tasks.delete("t");
  equal((await watch.next()).value, null);
  await refused(tasks.watchById("")[Symbol.asyncIterator]().next(), "invalidArgument");
  const waiting = watch.next();
  await a.close();
  equal((await waiting).done, true);
  await refused(tasks.watchById("t")[Symbol.asyncIterator]().next(), "closed");
}

/** Runs with the console's errors collected instead of shown. */
async function withComplaints(run: (complaints: string[]) => Promise<void>) {
  const complaints: string[] = [];
  const report = console.error;
  console.error = (...words) => complaints.push(words.join(" "));
  try {
    await run(complaints);
  } finally {
    console.error = report;
  }
}

export function observers_and_the_log_hear_of_everything_and_can_break_nothing({ open, user, equal }: Story) {
  const heard: DatumEvent[] = [];
  const log: LogEntry[] = [];
  const written: unknown[] = [];
  const observers: Observer[] = [
    {
      onEvent() {
        throw new Error("an observer of mine");
      },
    },
    {
      async onEvent() {
        throw new Error("later");
      },
    },
    {
      onEvent: (event) => void heard.push(event),
      beforeWrite(entity, kind, draft) {
        written.push([entity, kind, (draft as { title: string }).title]);
        throw new Error("before");
      },
    },
  ];
  const logger: Logger = {
    log(entry) {
      log.push(entry);
      if (log.length % 2) throw new Error("a logger of mine");
    },
  };
  return withComplaints(async (complaints) => {
    const a = await open("a", { observers, logger, logLevel: "debug" });
    await a.manager("tasks").create({ title: "secret" });
    equal(written, [["tasks", "create", "secret"]]);
    equal((await a.synchronize(user)).isSuccess, true);
    const isOver = () => heard.some((event) => event.type === "syncCompleted");
    for (let n = 0; n < 300 && !isOver(); n++) await new Promise((go) => setTimeout(go, 10));
    const types = heard.map((event) => event.type);
    const told = types.filter((type) => !["syncProgress", "leaderChanged"].includes(type));
    equal(told.slice(0, 2), ["dataChanged", "syncStarted"]);
    if (!Object.isFrozen(heard[0])) throw new Error("not frozen");
    if (complaints.length < 2) throw new Error("nobody was told");
    const isPush = ({ scope, fields }: LogEntry) =>
      scope === "remote" && fields.path === "/sync/v1/push" && fields.status === 200;
    equal(log.some(isPush), true);
    const loud = log.filter((entry) => !["debug", "trace"].includes(entry.level));
    equal([loud[0].level, loud[0].message, loud.at(-1)!.fields.isSuccess], ["info", "A cycle has begun.", true]);
    equal(/ann|secret/.test(JSON.stringify(loud)), false);
    await a.close();
    const silent: LogEntry[] = [];
    const b = await open("b", { logger: { log: (entry) => void silent.push(entry) }, logLevel: "off" });
    await b.synchronize(user);
    await b.close();
    equal(silent, []);
  });
}

export async function bad_observers_loggers_and_filters_are_refused_by_name({ open, refused }: Story) {
  await refused(open("x", { observers: {} as never }), "invalidConfig", "`observers`");
  await refused(open("x", { logger: console.log as never }), "invalidConfig", "`logger`");
  await refused(open("x", { logLevel: "loud" as never }), "invalidConfig", "`logLevel`");
  const a = await open("a");
  await refused((async () => a.events({ type: "nonsense" as never }))(), "invalidArgument", "type");
  await refused((async () => a.events({ users: "x" } as never))(), "invalidArgument", "users");
  await a.close();
}

export async function health_and_metrics_say_how_it_goes({ open, user, equal }: Story) {
  const a = await open("a");
  equal(await a.checkHealth(), { status: "healthy", local: "healthy", remote: "healthy" });
  const fetch = async () => {
    throw new TypeError("no route");
  };
  const b = await open("b", { remote: { url: "https://api.test", fetch } });
  equal((await b.checkHealth(user)).remote, "unreachable");
  equal(b.statusForUser(user).current.health.remote, "unreachable");
  await a.manager("tasks").create({});
  await a.synchronize(user);
  const { cycles, successfulCycles, failedCycles, activeUsers, commits, requests } = a.metrics;
  equal([cycles, successfulCycles, failedCycles, activeUsers], [1, 1, 0, ["ann"]]);
  if (!(commits >= 3 && requests >= 3)) throw new Error(`${commits} commits, ${requests} requests`);
  await a.close();
  await b.close();
}
