import type { PullPage, PullRequest, PushReply, PushRequest, RemoteAdapter, SyncMetadata } from "datum-sync";
import type { Builder, Client } from "./client.js";
import { reply } from "./failure.js";
import { listen } from "./hints.js";
import { merged, ownRecord, type DeviceRecord } from "./metadata.js";
import type { Account } from "./session.js";

/** The reply of `datum_metadata`. */
interface MetadataReply {
  devices?: DeviceRecord[];
  digests?: NonNullable<PullPage["digests"]>;
}

const key = (userId: string) => `datum-sync/compared/${userId}`;

/**
 * When the contents of a device and of the project are compared: the kit walks all rows for it. After each pull of everything, and
 * otherwise once in `every` milliseconds, over reloads where the page has a storage.
 */
class Comparisons {
  #last = new Map<string, number>();
  /** Users of whom everything is being pulled: their last page has the digests. */
  #full = new Set<string>();

  constructor(private every: number | false) {}

  isDue({ userId, cursor }: PullRequest): boolean {
    if (this.every === false) return false;
    if (cursor === null) this.#full.add(userId);
    const last = this.#last.get(userId) ?? this.#stored(userId);
    // Set clocks must not stop it.
    return this.#full.has(userId) || Math.abs(Date.now() - last) > this.every;
  }

  done(userId: string, page: PullPage): void {
    if (page.more) return;
    this.#full.delete(userId);
    if (page.digests === undefined || page.digests === null) return;
    this.#last.set(userId, Date.now());
    try {
      localStorage.setItem(key(userId), String(Date.now()));
    } catch {
      // No storage: then it is compared once in a visit that is long enough.
    }
  }

  #stored(userId: string): number {
    let last = Date.now();
    try {
      last = Number(localStorage.getItem(key(userId)) ?? last);
    } catch {
      // As above.
    }
    this.#last.set(userId, last);
    return last;
  }
}

/** The adapter over the SQL kit's functions: requests and replies are the protocol's. */
export function functionsRemote(client: Client, account: Account, compareEvery: number | false): RemoteAdapter {
  const comparisons = new Comparisons(compareEvery);
  // The app's own tables may be in another schema (`db.schema`); before 2.39 there is no way back from it.
  const api = typeof client.schema === "function" ? (client.schema("public") as unknown as Client) : client;
  const call = async (name: string, userId: string, body: object, signal?: AbortSignal) => {
    const build = () => api.rpc(name as never, body as never) as unknown as Builder;
    return reply(await account.ask(userId, build, signal), name);
  };
  const metadata = (userId: string, body: object) => call("datum_metadata", userId, { ...body, userId }) as Promise<MetadataReply>;
  return {
    async pull(request, signal) {
      const asked = comparisons.isDue(request) ? { ...request, digests: true } : request;
      const page = (await call("datum_pull", request.userId, asked, signal)) as PullPage;
      comparisons.done(request.userId, page);
      return page;
    },
    push: (request: PushRequest, signal) => call("datum_push", request.userId, request, signal) as Promise<PushReply>,
    async getSyncMetadata(userId, purpose) {
      // The kit keeps a record for each device, and walks all rows for digests.
      if (purpose === "put") return null;
      const { devices, digests } = await metadata(userId, { do: "get", digests: purpose !== "read" });
      const record = merged(userId, devices ?? []);
      return record !== null && digests !== undefined ? { ...record, digests } : record;
    },
    async putSyncMetadata(record: SyncMetadata) {
      const own = ownRecord(record);
      await metadata(record.userId, { do: "put", clientId: own.deviceId, record: own });
    },
    async clearSyncMetadata(userId) {
      await metadata(userId, { do: "clear" });
    },
    subscribe: (userId, hint) => listen(client, userId, { event: "INSERT", schema: "datum", table: "hint" }, hint),
  };
}
