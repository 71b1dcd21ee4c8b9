/**
 * The conformance kit: attacks a backend or an adapter, and says which guarantees it does not keep.
 *
 * @packageDocumentation
 */
import type { RemoteAdapter } from "datum-sync";
import { CHAPTERS, type Chapter, type CheckResult, type ConformanceReport } from "./report.js";
import { listed, run } from "./run.js";
import { adapterParty, httpParty, type Party } from "./target.js";

export { CHAPTERS, type Chapter, type CheckOutcome, type CheckResult, type ConformanceReport } from "./report.js";

/** What {@link checkRemoteAdapter} and {@link checkServer} have in common. */
export interface CheckOptions {
  /** The entity type that is written, which the backend must know, or several: the second one shows whether the backend keeps types apart. Default `"tasks"`. */
  entity?: string | readonly string[];
  /** Two fields of that type for text. Default `["title", "note"]`. The chapter `values` uses others, too. */
  fields?: readonly [string, string];
  /** Only these chapters, or checks by their ids. */
  only?: readonly string[];
  /** Chapters, or checks by their ids, that the backend does not promise to pass: they run, and do not fail the report. */
  without?: readonly string[];
  /** How long the backend may take for one request, in milliseconds. Default 15,000. */
  timeout?: number;
  /** How long the run may take, in milliseconds. Default 300,000. */
  limit?: number;
  /** Ends the run early; what it has written is deleted all the same. */
  signal?: AbortSignal;
  /** Called when a check begins. */
  onStart?: (title: string, done: number, all: number) => void;
  /** Called with each result. */
  onResult?: (result: CheckResult) => void;
}

/** Options of {@link checkRemoteAdapter}. */
export interface AdapterCheckOptions extends CheckOptions {
  /** The user that the adapter is signed in as. Use an account for tests: the run writes rows, and deletes them again. Default `"conformance"`. */
  userId?: string;
  /** A second user. Without an `adapter` of its own, the first one is asked for that user's data, too: it has no sessions. */
  other?: { userId: string; adapter?: RemoteAdapter };
  /** Ends and renews the session of the adapter, to see what a batch does whose token expires. */
  session?: { end(): unknown; renew(): unknown };
  /** Copies and restores the backend's data, as an operator would. */
  restore?: { backup(): unknown; restore(copy: unknown): unknown };
}

/** Options of {@link checkServer}. */
export interface ServerCheckOptions extends CheckOptions {
  /** The base of the protocol's `/sync/v1`. */
  url: string;
  /** The token of a user. Use an account for tests. */
  token: string;
  /** The token of a second user. */
  tokenB?: string;
  /** The users' ids, if the tokens are no JWTs with a `sub`. */
  userId?: string;
  userIdB?: string;
  /** Copies and restores the server's data, as an operator would. The server must answer again when `restore` has ended. */
  restore?: { backup(): unknown; restore(copy: unknown): unknown };
  /** The origin of the app's page, to see whether browsers let it ask. */
  origin?: string;
  /** Returns a token for any user, for the conversations of the protocol. */
  tokenFor?: (userId: string) => Promise<string>;
  /** Returns the text of one of the protocol's vectors (`server/vectors/`). */
  vectors?: (name: string) => Promise<string>;
}

/** The checks that there are, for `only` and `without`. */
export const CHECK_IDS: readonly { id: string; chapter: Chapter; title: string }[] = listed();

/**
 * Attacks an adapter as devices would, and says what it does not keep. Rows that the run writes have ids of their own and are deleted again.
 *
 * @example
 * const report = await checkRemoteAdapter(remote, { userId: "ada", entity: "tasks", fields: ["title", "note"] });
 * if (!report.passed) throw new Error(report.text);
 */
export async function checkRemoteAdapter(adapter: RemoteAdapter, options: AdapterCheckOptions = {}): Promise<ConformanceReport> {
  for (const name of ["pull", "push"] as const) {
    if (typeof adapter?.[name] !== "function") throw new TypeError(`checkRemoteAdapter needs a RemoteAdapter; \`${name}\` is not a function.`);
  }
  const { userId = "conformance", other, session, restore } = options;
  const b = other === undefined ? undefined : adapterParty(other.adapter ?? adapter, other.userId);
  const hasTwoSessions = other?.adapter !== undefined && other.adapter !== adapter;
  return run({ ...common(options), backend: "the adapter", a: adapterParty(adapter, userId), b, hasTwoSessions, session, restore });
}

/** Attacks a server of the protocol as devices would. What `npx datum-sync conformance --url` does. */
export async function checkServer(options: ServerCheckOptions): Promise<ConformanceReport> {
  const { url, token, tokenB, userId, userIdB, restore, origin, tokenFor, vectors } = options;
  for (const [name, value] of [["url", url], ["token", token]]) {
    if (typeof value !== "string" || value === "") throw new TypeError(`checkServer needs \`${name}\`.`);
  }
  if (!URL.canParse(url)) throw new TypeError(`\`url\` must be an address, such as "https://api.example.com"; it is ${JSON.stringify(url)}.`);
  const b: Party | undefined = tokenB === undefined ? undefined : httpParty(url, tokenB, userIdB);
  return run({ ...common(options), backend: url, url, a: httpParty(url, token, userId), b, hasTwoSessions: b !== undefined, restore, tokenFor, vectors, origin });
}

function common(options: CheckOptions) {
  const { entity = "tasks", fields = ["title", "note"], only = [], without = [], timeout = 15_000, limit = 300_000, signal, onStart, onResult } = options;
  const known = new Set<string>([...CHAPTERS, ...CHECK_IDS.map(({ id }) => id)]);
  const unknown = [...only, ...without].find((name) => !known.has(name));
  if (unknown !== undefined) throw new TypeError(`There is no chapter or check "${unknown}"; chapters are ${CHAPTERS.join(", ")}.`);
  const entities = typeof entity === "string" ? [entity] : entity;
  if (entities.length === 0 || fields.length !== 2) throw new TypeError("`entity` needs the name of a type, and `fields` two names of fields.");
  return { entities, fields, only, without, timeout, limit, signal, onStart, onResult };
}
