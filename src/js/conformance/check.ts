import { ForServers, needs, type Device } from "./device.js";
import type { Chapter } from "./report.js";
import type { Any, HttpParty } from "./target.js";

/** What a run has beside its devices. */
export interface Bench {
  /** A device of the first user. */
  a: Device;
  /** One of the second user, if there is one. */
  b: Device | undefined;
  /** Whether the second user has a session of its own: an adapter may serve any user. */
  hasTwoSessions: boolean;
  /** The first page from the beginning. */
  first: Any;
  /** How many rows the user had before the run. */
  size: number;
  /** The names of entity types, at least one. */
  entities: readonly string[];
  /** Ends and renews the session of an adapter. */
  session: { end(): unknown; renew(): unknown } | undefined;
  /** Copies and restores the backend's data. */
  restore: { backup(): unknown; restore(copy: unknown): unknown } | undefined;
  /** Returns a token for any user. */
  tokenFor: ((userId: string) => Promise<string>) | undefined;
  /** The text of one of the protocol's vectors. */
  vectors: ((name: string) => Promise<string>) | undefined;
  /** A page's origin, which must be allowed. */
  origin: string | undefined;
  /** Returns the device of another user, over HTTP. */
  deviceOf: (token: string) => Device;
}

export interface Check {
  id: string;
  chapter: Chapter;
  title: string;
  costs: string;
  section: string;
  /** Checks that must have passed, for a failure to say anything. */
  rests: readonly string[];
  run(bench: Bench): Promise<string | void>;
}

/** What a check is about, beside what it does. */
interface About {
  costs: string;
  section: string;
  rests?: readonly string[];
}

/** Makes the checks of a chapter. */
export function chapter(name: Chapter, checks: Record<string, [string, About, (bench: Bench) => Promise<string | void>]>): Check[] {
  return Object.entries(checks).map(([key, [title, { costs, section, rests = [] }, run]]) => ({ id: `${name}.${key}`, chapter: name, title, costs, section, rests, run }));
}

/** Returns what only a server of the protocol has. */
export function server({ a }: Bench): HttpParty {
  if (a.http === undefined) throw new ForServers();
  return a.http;
}

/** Returns the second user's device. */
export function other({ b }: Bench): Device {
  if (b === undefined) throw needs("a second user: `--token-b`, or `other`");
  return b;
}

/** Calls `work` for each of a list at the same moment. */
export const atOnce = <T, R>(list: readonly T[], work: (item: T, at: number) => Promise<R>): Promise<R[]> => Promise.all(list.map(work));

export const counting = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
