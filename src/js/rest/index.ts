/**
 * datum-sync over an ordinary JSON API, with the requests that the app has anyway.
 *
 * @packageDocumentation
 */
import { DatumError, type RemoteAdapter } from "datum-sync";
import { Mapping } from "./mapping.js";
import { checkOptions, type RestRemoteOptions } from "./options.js";
import { Puller } from "./pull.js";
import { Pusher } from "./push.js";

export type { Answered, ListQuery, RestCall, RestEntity, RestRemoteOptions, Row } from "./options.js";

/**
 * The remote of {@link DatumConfig.remote} for an API that lists rows by the time of their last change. Which guarantees it gives depends on what the API
 * can do: see `docs/rest.md`.
 *
 * @example
 * const remote = restRemote({
 *   entities: {
 *     tasks: {
 *       list: ({ since, limit, signal }) => fetch(`/api/tasks?updated_since=${since ?? ""}&limit=${limit}`, { signal }),
 *       get: (id, { signal }) => fetch(`/api/tasks/${encodeURIComponent(id)}`, { signal }),
 *       create: (row, { signal }) => send("POST", "/api/tasks", row, {}, signal),
 *       update: (id, fields, { ifMatch, signal }) => send("PATCH", `/api/tasks/${encodeURIComponent(id)}`, fields, ifMatch ? { "if-match": ifMatch } : {}, signal),
 *       remove: (id, { ifMatch, signal }) => send("DELETE", `/api/tasks/${encodeURIComponent(id)}`, undefined, ifMatch ? { "if-match": ifMatch } : {}, signal),
 *     },
 *   },
 * });
 */
export function restRemote(options: RestRemoteOptions): RemoteAdapter {
  checkOptions(options);
  const mappings = new Map(Object.entries(options.entities).map(([name, entity]) => [name, new Mapping(name, entity)]));
  const puller = new Puller(mappings, options.overlap ?? 60_000, options.compareEvery ?? false);
  const pusher = new Pusher(mappings);
  const check = async (userId: string) => {
    if (options.userId === undefined) return;
    const own = await options.userId();
    if (own === null || own === undefined) throw new DatumError("unauthorized", "restRemote: nobody is signed in (`userId`).");
    if (own !== userId) throw new DatumError("userMismatch", "The session belongs to another user than this device's data.");
  };
  return {
    serverId: options.serverId ?? "rest",
    async pull(request, signal) {
      await check(request.userId);
      return puller.pull(request, signal);
    },
    async push(request, signal) {
      await check(request.userId);
      return pusher.push(request, signal);
    },
  };
}
