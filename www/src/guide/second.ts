// The user's other device: a second engine with a database of its own, always online. It writes behind
// this page's back.

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

  /** Gives a user who has nothing a few tasks to look at. */
  async seed(count = 3): Promise<void> {
    const tasks = await this.#fetched();
    const missing = count - (await tasks.count());
    if (missing > 0) await this.#write(tasks, missing);
  }

  /** Writes `count` tasks, and syncs them. Returns the last title. */
  async write(count = 1): Promise<string> {
    return this.#write(await this.#fetched(), count);
  }

  /** Changes the title of a task, and syncs it. */
  async rename(id: string, title: string): Promise<void> {
    const tasks = await this.#fetched();
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

  async #fetched(): Promise<Manager<Task>> {
    await this.#sync();
    return (await this.#datum).manager<Task>("tasks");
  }

  async #sync(): Promise<void> {
    await (await this.#datum).synchronize(this.userId);
  }
}
