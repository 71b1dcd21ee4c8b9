import { Datum } from "datum-sync";
import { MemoryRemote } from "datum-sync/testing";

const remote = new MemoryRemote();
Datum.initialize({ entities: { tasks: {} }, remote, initialUserId: "ada" })
  .then(async (datum) => {
    await datum.manager("tasks").create({ title: "hello" });
    await datum.synchronize("ada");
    postMessage(remote.all("ada", "tasks")[0].title);
  })
  .catch((error) => postMessage(`${error} ${error.cause}`));
