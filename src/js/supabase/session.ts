import { DatumError } from "datum-sync";
import type { Session } from "@supabase/supabase-js";
import { abortable, type Builder, type Client } from "./client.js";
import { exchange, type Answer } from "./exchange.js";
import { errorBody } from "./failure.js";

/** Names the user of the client's token where the client has no session of its own. */
export type UserSource = () => string | null | undefined | Promise<string | null | undefined>;

/** True if the session could not be read because of the network: nobody has signed out. */
export function isUnreachable(error: unknown): boolean {
  const { name, status } = (error ?? {}) as { name?: unknown; status?: unknown };
  return name === "AuthRetryableFetchError" || (typeof status === "number" && (status === 0 || status >= 500));
}

/** The signed-in user of a client, and requests in their name. */
export class Account {
  #client: Client;
  #source: UserSource | undefined;
  #silence: number;
  #renewing: Promise<unknown> | undefined;

  constructor(client: Client, source: UserSource | undefined, silence: number) {
    this.#client = client;
    this.#source = source;
    this.#silence = silence;
  }

  /** Sends a request as the user, who must be the one that is signed in. After a 401 the client renews its session, once. */
  async ask(userId: string, build: () => Builder, signal?: AbortSignal): Promise<Answer> {
    const token = await this.#confirm(userId, signal);
    const answer = await exchange(build(), this.#silence, signal);
    if (answer.status !== 401 || errorBody(answer) === undefined) return answer;
    await this.#renew(token, signal);
    await this.#confirm(userId, signal);
    return exchange(build(), this.#silence, signal);
  }

  /** Throws unless the user is signed in. Returns the access token, which is empty if the app has its own. */
  async #confirm(userId: string, signal: AbortSignal | undefined): Promise<string> {
    const [user, token] = this.#source === undefined ? await this.#session(signal) : [await abortable(Promise.resolve(this.#source()), signal), ""];
    if (user === null || user === undefined) throw new DatumError("unauthorized", "Nobody is signed in to Supabase; sign in, and sync again.");
    if (user !== userId) throw new DatumError("userMismatch", "Another user is signed in to Supabase than the one whose data this is; call `switchUser`, or use `connectAuth`.");
    return token;
  }

  async #session(signal: AbortSignal | undefined): Promise<[string | undefined, string]> {
    const { data, error } = await abortable(this.#client.auth.getSession(), signal);
    const session: Session | null = data.session;
    if (session === null && isUnreachable(error)) throw unreachable(error);
    return [session?.user.id, session?.access_token ?? ""];
  }

  /** Has the client renew its session, unless another request or tab has done so since `token` was sent. */
  async #renew(token: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.#source !== undefined) return;
    const [, current] = await this.#session(signal);
    if (current !== token) return;
    this.#renewing ??= this.#client.auth.refreshSession().finally(() => (this.#renewing = undefined));
    const { error } = (await abortable(this.#renewing, signal)) as { error: unknown };
    if (error === null || error === undefined) return;
    if (isUnreachable(error)) throw unreachable(error);
    throw new DatumError("unauthorized", "Supabase accepts neither the token nor a renewed one; sign in again.", { status: 401, cause: error });
  }
}

const unreachable = (cause: unknown) => new DatumError("network", "The session could not be renewed: Supabase was not reached.", { cause });
