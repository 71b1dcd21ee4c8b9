// A device: one engine, and the calls that the page makes on it. The page displays the region below,
// so keep it short and free of user interface code.

import type { Network } from "./network.ts";
import { tokenSource } from "./token.ts";

// #region shown
import { Datum, type Entity, type SyncStatus } from "datum-sync";

export interface Task extends Entity { title: string; done: boolean }

export async function openDevice(name: string, userId: string, network: Network) {
  const datum = await Datum.initialize({
    name,                                  // its own database in IndexedDB
    entities: { tasks: {} },
    remote: { url: location.origin, headers: tokenSource(userId, network), fetch: network.fetch },
    initialUserId: userId,
  });
  const tasks = datum.manager<Task>("tasks");   // tasks.create({ title, done: false }): immediate, also offline
  const sync = () => datum.synchronize(userId);
  const fresh = () => datum.synchronize(userId, { direction: "pullThenPush", forceFullSync: true });
  return { datum, tasks, sync, fresh };
}

export async function follow(datum: Datum, userId: string, show: (status: SyncStatus) => void) {
  for await (const status of datum.statusForUser(userId)) show(status);
}
// #endregion

export type Device = Awaited<ReturnType<typeof openDevice>>;
