// The metadata card: the user's sync metadata on this device and on the server, compared.

import type { MetadataComparison, SyncMetadata } from "datum-sync";

import type { Device } from "./device.ts";
import { coalesce, find, make, setText } from "./dom.ts";
import type { Network } from "./network.ts";
import { comparisons, metadataStates, number, size, time } from "./messages.ts";

const NONE = "–";

/** Returns a function that updates the card: from the device at once, then from the server if it is reachable. */
export function wireMetadata(card: HTMLElement, device: Device, userId: string, network: Network): () => Promise<void> {
  const badge = find(card, "[data-testid=compare]");
  const foot = find(card, "[data-part=asof]");
  const body = find(card, "tbody");
  let remote: SyncMetadata | null = null;
  let asked: number | undefined;

  const compare = (result: MetadataComparison, text: string): void => {
    badge.dataset["result"] = result;
    setText(badge, text);
  };

  return coalesce(async () => {
    const [local, stored] = await Promise.all([device.datum.getSyncMetadata(userId), device.datum.storageSize(userId)]);
    fill(body, local, remote, stored.bytes);
    if (!network.on) {
      compare("unknown", "offline");
      setText(foot, asked === undefined ? "The server has not been asked yet." : `Server data from ${time(asked)}.`);
      return;
    }
    try {
      const [latest, result] = await Promise.all([device.datum.getRemoteSyncMetadata(userId), device.datum.compareSyncMetadata(userId)]);
      remote = latest;
      asked = Date.now();
      fill(body, local, remote, stored.bytes);
      compare(result, comparisons[result]);
      setText(foot, `The server was asked at ${time(asked)}.`);
    } catch {
      // The status feed shows the reason.
      compare("unknown", "server not reached");
    }
  });
}

function fill(body: HTMLElement, local: SyncMetadata | null, remote: SyncMetadata | null, bytes: number): void {
  const row = (label: string, read: (metadata: SyncMetadata) => string | Node): HTMLElement =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, label),
      make("td", {}, local ? read(local) : NONE),
      make("td", {}, remote ? read(remote) : NONE),
    );
  const agree = local?.dataHash !== undefined && local.dataHash === remote?.dataHash;
  body.replaceChildren(
    row("Status", (m) => metadataStates[m.syncStatus] + (m.retryCount > 0 ? ` (${number(m.retryCount)} failed)` : "")),
    row("Last sync", (m) => {
      const at = m.lastSuccessfulSyncTime;
      return at === undefined ? "never" : make("time", { datetime: at, title: at }, time(at));
    }),
    row("Tasks", (m) => number(m.entityCounts["tasks"]?.count ?? 0)),
    row("Data hash", (m) =>
      m.dataHash === undefined ? NONE : make("code", { title: m.dataHash, "data-agree": String(agree) }, m.dataHash.slice(0, 8)),
    ),
    row("Devices", (m) => make("span", { title: Object.keys(m.devices).join("\n") }, number(m.deviceCount))),
    row("Conflicts", (m) => number(m.conflictCount)),
  );
  body.append(make("tr", {}, make("th", { scope: "row" }, "Stored"), make("td", {}, size(bytes)), make("td", {}, NONE)));
}
