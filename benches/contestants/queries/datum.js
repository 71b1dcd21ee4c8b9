// datum-sync with a declared index, as in docs/queries.md, and a migration as in docs/migrations.md.
import { Datum } from "datum-sync";

const initialize = (name, { count, authorization }, more) =>
  Datum.initialize({ name, remote: { url: `${location.origin}/d/${count}`, headers: { authorization } }, initialUserId: `n${count}`, flushOnLeave: false, ...more });

export async function open(name, options) {
  const datum = await initialize(name, options, { entities: { tasks: { indexes: [["priority", "createdAt"]] } } });
  const tasks = datum.manager("tasks");
  const newest = (priority, before) => tasks.where("priority").equals(priority).where("createdAt").lessThan(before).orderBy("createdAt", "desc").limit(50);
  return {
    async fill() {
      const result = await datum.synchronize(`n${options.count}`, { direction: "pullOnly" });
      if (!result.isSuccess) throw new Error(JSON.stringify(result));
    },
    newest: (priority, before) => newest(priority, before).query(),
    holding: (text) => tasks.where("title").contains(text).query(),
    async watchNewest(priority, before, show) {
      const loop = newest(priority, before).watch()[Symbol.asyncIterator]();
      const follow = async () => {
        for (let step = await loop.next(); !step.done; step = await loop.next()) show(step.value);
      };
      void follow();
      return () => loop.return();
    },
    retitle: (id, title) => tasks.patch(id, { title }),
    pageAfter: async (after) => (await tasks.readPage({ size: 100, after })).items,
    close: () => datum.close(),
  };
}

/** Opens the app after an update in which `title` is called `name`. */
export async function openNext(name, options) {
  const migrations = [{ from: 0, to: 1, entity: "tasks", operations: [{ rename: "title", to: "name" }] }];
  const datum = await initialize(name, options, { entities: { tasks: {} }, schemaVersion: 1, migrations });
  return { readAll: () => datum.manager("tasks").readAll(), close: () => datum.close() };
}
