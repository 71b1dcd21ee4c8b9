// Replicache: in memory first, persisted later. One pull loads everything; without interval and delay.
// https://doc.replicache.dev/concepts/performance, https://doc.replicache.dev/reference/server-pull
import { Replicache } from "replicache";

const key = (id) => `task/${id}`;

export async function open(name, { count = 0, session }) {
  const replicache = new Replicache({
    name,
    mutators: {
      create: (transaction, task) => transaction.set(key(task.id), task),
      async createMany(transaction, list) {
        for (const task of list) await transaction.set(key(task.id), task);
      },
    },
    pullInterval: null,
    // Pushes only on request; by default it would push after 10 ms.
    pushDelay: 1e9,
    logLevel: "error",
  });
  const readAll = () => replicache.query((transaction) => transaction.scan({ prefix: "task/" }).values().toArray());
  return {
    async pull() {
      replicache.pullURL = `/d/${count}/replicache/pull`;
      await replicache.pull({ now: true });
    },
    async push() {
      replicache.pullURL = `/d/0/replicache/pull?session=${session}`;
      replicache.pushURL = `/d/0/replicache/push?session=${session}`;
      await replicache.push({ now: true });
      // A pull acknowledges the pushed mutations and returns their rows.
      await replicache.pull({ now: true });
    },
    create: (task) => replicache.mutate.create(task),
    createMany: (list) => replicache.mutate.createMany(list),
    createEach: (list) => Promise.all(list.map((task) => replicache.mutate.create(task))),
    async fill(all) {
      replicache.pullURL = `/d/${all}/replicache/pull`;
      await replicache.pull({ now: true });
      // It persists when the page is idle.
      await new Promise((resolve) => setTimeout(resolve, 4_000 + all / 10));
    },
    readAll,
    readOne: (id) => replicache.query((transaction) => transaction.get(key(id))),
    pending: async () => (await replicache.experimentalPendingMutations()).length,
    close: () => replicache.close(),
  };
}
