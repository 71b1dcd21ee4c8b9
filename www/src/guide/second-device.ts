// The user's other device: a second engine with its own database, always online.

import { Datum, type Manager } from "datum-sync";

import type { Task } from "../device.ts";
import { Network } from "../network.ts";
import { tokenSource } from "../token.ts";

const TITLES = ["Water the plants", "Call Ada", "Buy bread", "Return the book", "Fix the bell", "Ring the bank", "Post the letter"];

export class SecondDevice {
  readonly userId: string;
  readonly #datum: Promise<Datum>;
  #next = 0;

  constructor(userId: string, name: string) {
    this.userId = userId;
    const network = new Network();
    this.#datum = Datum.initialize({
      name: `${name}-second`,
      entities: { tasks: {} },
      remote: { url: location.origin, headers: tokenSource(userId, network), fetch: (url, init) => network.fetch(url, init) },
      initialUserId: userId,
    });
  }

  /** Makes sure that the user has at least `count` tasks. */
  async seed(count = 3): Promise<void> {
    const tasks = await this.#syncedTasks();
    const missing = count - (await tasks.count());
    if (missing > 0) await this.#write(tasks, missing);
  }

  /** Creates and syncs `count` tasks. Returns the last title. */
  async write(count = 1): Promise<string> {
    return this.#write(await this.#syncedTasks(), count);
  }

  /** Renames a task and syncs it. */
  async rename(id: string, title: string): Promise<void> {
    const tasks = await this.#syncedTasks();
    await tasks.patch(id, { title });
    await this.#sync();
  }

  async close(): Promise<void> {
    await (await this.#datum).close();
  }

  async #write(tasks: Manager<Task>, count: number): Promise<string> {
    const known = await tasks.count();
    const drafts = Array.from({ length: count }, (_, i) => ({ title: this.#title(known + i + 1), done: false }));
    await tasks.createMany(drafts);
    await this.#sync();
    return drafts.at(-1)?.title ?? "";
  }

  #title(number: number): string {
    const title = TITLES[this.#next++ % TITLES.length] ?? "";
    return number <= TITLES.length ? title : `${title} (${number})`;
  }

  async #syncedTasks(): Promise<Manager<Task>> {
    await this.#sync();
    return (await this.#datum).manager<Task>("tasks");
  }

  async #sync(): Promise<void> {
    await (await this.#datum).synchronize(this.userId);
  }
}
