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

/** The adapter over the SQL kit's functions: requests and replies are the protocol's. */
export function functionsRemote(client: Client, account: Account): RemoteAdapter {
  const call = async (name: string, userId: string, body: object, signal?: AbortSignal) => {
    const build = () => client.rpc(name as never, body as never) as unknown as Builder;
    return reply(await account.ask(userId, build, signal), name);
  };
  const metadata = (userId: string, body: object) => call("datum_metadata", userId, { ...body, userId }) as Promise<MetadataReply>;
  return {
    pull: (request: PullRequest, signal) => call("datum_pull", request.userId, request, signal) as Promise<PullPage>,
    push: (request: PushRequest, signal) => call("datum_push", request.userId, request, signal) as Promise<PushReply>,
    async getSyncMetadata(userId) {
      const { devices, digests } = await metadata(userId, { do: "get" });
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
