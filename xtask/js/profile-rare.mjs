// What few apps do, and none of them should make a page stand still for.
import { CYCLE, PAINT, begin, device, note, release, reopen, run, sync } from "./profile-browser.mjs";

/** Odd configs: what they have is read before anything is shown. Then odd values, written and pulled. */
async function configs() {
  const context = await device();
  for (const strategy of ["disabled", "fullSync", "adaptive", "incremental"]) {
    const page = await begin(context, `rare ${strategy}`, `rare-${strategy}`);
    await note(PAINT, `a config with coldStart ${strategy}`, page);
    await release(page);
    await sync(page);
    await note(CYCLE, `odd rows, coldStart ${strategy}`, page);
    await page.close();
  }
  await context.close();
}

/** Odd values, many at once, and the options of writes and cycles. */
async function writes() {
  const context = await device();
  const page = await begin(context, "rare adaptive", "rare-writes");
  await release(page);
  await run(page, async () => {
    await tasks.create({ id: "odd", title: "\u0000\u0001 \\ \"", small: 1e-7, large: 1e21, deep: { tags: ["a"] } });
    await tasks.create({ "title ä": "é 😀 \u2028 \u0000 \n\t\"", title: "é 😀 \u2028 \u0000 \n\t\"" });
    await tasks.create({ title: "half \ud800 of a pair" }).catch(() => {});
    await tasks.patch("odd", { small: 2e-9 }, { remove: ["large"] });
    await datum.manager("lists").create({ id: "list", taskId: "odd" }, { dependsOn: [{ entity: "tasks", id: "odd" }] });
    await tasks.createMany(Array.from({ length: 10_000 }, (_, n) => ({ title: `task ${n}` })));
    await tasks.readAll();
  });
  await sync(page, { scope: { entities: ["tasks"] } });
  await run(page, () => datum.synchronize(user, { signal: AbortSignal.abort() }).catch(() => {}));
  await run(page, () => datum.synchronize(user, { timeout: 1, force: true }).catch(() => {}));
  await note(CYCLE, "odd values and options", page);
  await context.close();
}

/** Calls that are refused: a mistake in an app. */
async function refusals() {
  const context = await device();
  const page = await begin(context, "usual", "refusals");
  await release(page);
  await run(page, async () => {
    const calls = [
      () => datum.manager("task"),
      () => datum.events({ type: "x" }),
      () => tasks.readPage({ size: 0 }),
      () => tasks.read("x".repeat(600)),
      () => tasks.readAll({ userId: 7 }),
      () => tasks.count(undefined, { includeDeleted: true }),
      () => tasks.create({ id: 7 }),
      () => tasks.create({ title: undefined }),
      () => tasks.create({ deep: [undefined] }),
      () => tasks.create(undefined),
      () => tasks.create({ text: "x".repeat(1_100_000) }),
      () => tasks.create({ title: "x" }, { spaceId: "nothing" }),
      () => tasks.create("text"),
      () => tasks.patch("nothing", {}),
      () => tasks.update({ id: "nothing" }),
      () => tasks.delete(7),
    ];
    for (const call of calls) {
      try {
        await call();
      } catch {}
    }
  });
  await note(CYCLE, "refusals", page);
  await context.close();
}

/** A component that is mounted twice opens the same instance again, and one that is unmounted closes it. */
async function again() {
  const context = await device();
  const page = await begin(context, "usual", "again");
  await release(page);
  await run(page, () => openAgain("usual"));
  await run(page, async () => {
    void datum.close();
    await openAgain("usual");
    await reads();
  });
  await run(page, () => datum.close());
  await note(CYCLE, "opened again, and closed", page);
  await context.close();
}

/** Leaves a task of an app on a device. */
async function leave(context, config, user) {
  const page = await begin(context, config, user);
  await release(page);
  await run(page, () => tasks.create({ title: "of this version" }));
  await page.close();
}

/** What a page cannot do without the later parts: keep a trace, migrate. It opens without the one, and says that it lacks the other. */
async function withoutParts() {
  const context = await device();
  await leave(context, "version 1", "version");
  await context.addInitScript(() => (window.lacksFrom = 1));
  await note(PAINT, "no part for the trace", await begin(context, "traced", "untraced"));
  await note(PAINT, "no part for the migration", await reopen(context, "version 2", "version 1", "version"));
  await context.close();
}

/** An older app does not open what a newer one has written. */
async function outdated() {
  const context = await device();
  await leave(context, "version 2", "outdated");
  await note(PAINT, "an older app", await reopen(context, "version 1", "version 2", "outdated"));
  await context.close();
}

export async function rare() {
  await configs();
  await writes();
  await refusals();
  await again();
  await withoutParts();
  await outdated();
}
