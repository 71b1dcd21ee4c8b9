// The live feed: the latest statuses of one device.

import type { SyncStatus } from "datum-sync";

import { make } from "./dom.ts";
import { time } from "./messages.ts";

const MAX_LINES = 60;

export function addToFeed(list: HTMLElement, status: SyncStatus): void {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
  const detail = [
    status.phase ?? "",
    status.status === "syncing" ? `${Math.round(status.progress * 100)} %` : "",
    status.pendingOperations > 0 ? `${status.pendingOperations} waiting` : "",
    status.status === "failed" ? (status.errors.at(-1)?.code ?? "") : "",
  ].filter(Boolean);
  list.append(
    make(
      "li",
      { "data-state": status.status },
      make("time", {}, time(Date.now())),
      " ",
      make("strong", {}, status.status),
      " ",
      make("span", {}, detail.join(", ")),
    ),
  );
  while (list.children.length > MAX_LINES) list.firstElementChild?.remove();
  // Does not scroll if the reader has scrolled back.
  if (atEnd) list.scrollTop = list.scrollHeight;
}
