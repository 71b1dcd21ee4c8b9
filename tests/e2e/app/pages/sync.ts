// A device: opens its database and offers it to the test, which acts as the user.
import { Datum, type Entity, type SyncStatus } from "datum-sync";

export interface Task extends Entity {
  title: string;
  done: boolean;
}

const datum = await Datum.initialize({
  name: "e2e",
  entities: { task: {} },
  remote: session.remote,
  initialUserId: session.userId,
  // leaving.test covers this; here a reload must not send anything.
  flushOnLeave: false,
});
const tasks = datum.manager<Task>("task");
const statuses: SyncStatus[] = [];

void (async () => {
  for await (const status of datum.statusForUser(session.userId)) statuses.push(status);
})();

const app = { datum, tasks, statuses, userId: session.userId };
declare global {
  interface Window {
    app: typeof app;
  }
}
window.app = app;
