/** One entity, live: its state, its fields, and what has happened to it on this device. */

import type { AnyEntity, EntitySyncState, MergeExplanation } from "datum-sync";
import type { Context } from "../context.js";
import { h, type Child, type View } from "../dom.js";
import { decided } from "../explained.js";
import { clock, named, number, ownFields } from "../format.js";
import { bar, button, empty, facts, heading, mono, note, pill, Shown, type Tone } from "../parts.js";
import { Reading, type Scope } from "../scope.js";

/** The colours of an entity's states. */
export const STATE_TONES: Record<EntitySyncState, Tone> = { synced: "good", pending: "info", conflict: "warn", rejected: "bad" };

interface Place {
  readonly type: string;
  readonly id: string;
  readonly spaceId: string | undefined;
}

/** Where a write of an entity is that has not reached the server, by the entity's state. */
const ELSEWHERE = {
  pending: ["outbox", "Show its pending write"],
  conflict: ["conflicts", "Show its conflict"],
  rejected: ["deadLetters", "Show its dead letter"],
} as const;

export class EntityDetail {
  readonly #context: Context;
  readonly #shown: Shown;
  #scope: Scope | undefined;
  #feed: Scope | undefined;
  #place: Place | undefined;
  #entity: (AnyEntity & { $syncState?: EntitySyncState }) | null | undefined;
  #merges: readonly MergeExplanation[] = [];

  constructor(context: Context) {
    this.#context = context;
    this.#shown = new Shown(() => context.invalidate());
  }

  start(scope: Scope): void {
    this.#scope = scope;
    scope.add(() => (this.#scope = undefined));
    this.#follow();
  }

  choose(type: string, id: string, spaceId: string | undefined): void {
    if (this.is(type, id, spaceId)) return;
    this.#place = { type, id, spaceId };
    [this.#entity, this.#merges] = [undefined, []];
    this.#shown.reset();
    this.#follow();
  }

  clear(): void {
    this.#feed?.end();
    this.#place = undefined;
  }

  is(type: string, id: string, spaceId: string | undefined): boolean {
    return this.#place?.type === type && this.#place.id === id && this.#place.spaceId === spaceId;
  }

  #follow(): void {
    this.#feed?.end();
    const place = this.#place;
    if (this.#scope === undefined || place === undefined) return;
    const feed = (this.#feed = this.#scope.child());
    const { datum, userId } = this.#context;
    const reading = new Reading(feed, async () => {
      const read = datum.explainMerge(place.type, place.id, { userId });
      const merges = await read.catch((thrown: unknown) => (this.#context.fail(thrown), []));
      // They are asked for by type and id, of which each space may have one.
      this.#merges = merges.filter(({ spaceId }) => spaceId === place.spaceId);
      this.#context.invalidate();
    });
    const space = place.spaceId === undefined ? {} : { spaceId: place.spaceId };
    feed.follow(
      () => datum.manager(place.type).watchById(place.id, { userId, withSyncState: true, ...space }),
      (entity) => {
        this.#entity = entity as AnyEntity | null;
        reading.ask();
        this.#context.invalidate();
      },
      (thrown) => this.#context.fail(thrown),
    );
  }

  view(): readonly Child[] {
    const [place, entity] = [this.#place, this.#entity];
    if (place === undefined) return [empty("Select an entity", "Its fields, its state and what has happened to it are shown here.")];
    const history = this.#context.recorder.historyOf(place.type, place.id, place.spaceId);
    return [
      heading(named({ entity: place.type, entityId: place.id, spaceId: place.spaceId })),
      entity === undefined && note("quiet", "Reading …"),
      entity === null && note("warn", "It is not on this device: it was deleted, or has not been pulled."),
      ...(entity ? this.#fields(entity) : []),
      heading("What has happened to it"),
      history.length === 0
        ? h("p", { class: "soft" }, "Nothing since this panel was opened.")
        : h("ol", { class: "history" }, ...history.map(({ at, what }) => h("li", {}, h("time", { datetime: at }, clock(at)), ` ${what}`))),
      this.#merges.length > 0 && heading("How its conflicts were decided"),
      ...this.#merges.slice().reverse().map(decided),
    ];
  }

  #fields(entity: AnyEntity & { $syncState?: EntitySyncState }): Child[] {
    const state = entity.$syncState ?? "synced";
    const elsewhere = state === "synced" ? undefined : ELSEWHERE[state];
    return [
      bar(
        pill(state, STATE_TONES[state]),
        elsewhere !== undefined && button(elsewhere[1], () => this.#find(entity, elsewhere[0]), { kind: "primary" }),
        button("Copy", () => this.#context.copy(JSON.stringify(entity, null, 2)), { title: "Copies the entity as JSON." }),
      ),
      facts(
        ["Version of the server", entity.version === 0 ? "none yet" : number(entity.version)],
        ["Created", clock(entity.createdAt)],
        ["Changed", clock(entity.modifiedAt)],
        entity.spaceId !== undefined && ["Space", mono(entity.spaceId)],
      ),
      this.#shown.json("fields", ownFields(entity)) as View,
    ];
  }

  /** Opens the panel that has the entity's write. */
  #find(entity: AnyEntity, panel: "outbox" | "conflicts" | "deadLetters"): void {
    const { datum, userId } = this.#context;
    const type = this.#place?.type;
    const isOf = (it: { entity: string; entityId: string; spaceId?: string }) => it.entity === type && it.entityId === entity.id && it.spaceId === entity.spaceId;
    this.#context.act(async () => {
      if (panel === "outbox") this.#context.open(panel, (await datum.pendingOperations(userId)).find(isOf)?.opId);
      else if (panel === "conflicts") this.#context.open(panel, (await datum.conflicts(userId)).find(isOf)?.id);
      else this.#context.open(panel, (await datum.deadLetters(userId)).find(isOf)?.id);
    });
  }
}
