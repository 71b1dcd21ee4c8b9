// datum-sync, set up as in its README.
import { Datum } from "datum-sync";

export async function open(name, { count = 0, user = `n${count}`, authorization = "none", url = `${location.origin}/d/${count}`, durability }) {
  const datum = await Datum.initialize({
    name,
    entities: { tasks: {} },
    remote: { url, headers: { authorization } },
    initialUserId: user,
    // Pages are closed with pending operations here, and must not send them.
    flushOnLeave: false,
    ...(durability ? { durability: { local: durability } } : {}),
  });
  const tasks = datum.manager("tasks");
  const synchronize = async (direction) => {
    const result = await datum.synchronize(user, { direction });
    if (!result.isSuccess) throw new Error(JSON.stringify(result));
    return result;
  };
  return {
    pull: () => synchronize("pullOnly"),
    push: () => synchronize("pushOnly"),
    idle: () => synchronize("pushThenPull"),
    create: (task) => tasks.create(task),
    createMany: (list) => tasks.createMany(list),
    createEach: (list) => Promise.all(list.map((task) => tasks.create(task))),
    fill: () => synchronize("pullOnly"),
    readAll: () => tasks.readAll(),
    readOne: (id) => tasks.read(id),
    pending: () => datum.pendingCount(user),
    close: () => datum.close(),
  };
}
