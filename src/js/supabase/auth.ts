import type { AuthChangeEvent, Session, SupabaseClient } from "@supabase/supabase-js";
import type { Datum, LogoutResult, SyncResult, UserSwitchStrategy } from "datum-sync";
import { checkMethod, checkOptions } from "./checks.js";
import type { Client } from "./client.js";
import { LONGEST_MS } from "./exchange.js";
import { isUnreachable } from "./session.js";

const FLUSH_MS = 5_000;
const EAGER_MS = 15_000;
/** How long a page waits for a session that has to be renewed, before it opens the data of the user who was signed in last. */
const SESSION_MS = 2_000;

/** Options of {@link connectAuth}. */
export interface AuthOptions {
  /** How long `signOut` waits for pending operations to be pushed before the token goes, in milliseconds; 0 for not at all. Default 5,000. */
  flush?: number;
  /** Removes the user's data from this device when they sign out. Unsynced data stays, and `onError` gets `unsyncedData`. Default false. */
  wipe?: boolean;
  /** Whether the first cycle after a sign-in pulls everything again. Default true. A page that is loaded with a session pulls what is new. */
  fresh?: boolean;
  /** How long that cycle may take, in milliseconds. Default 15,000. */
  timeout?: number;
  /**
   * How to switch from the user before, whose token is gone: {@link UserSwitchStrategy}. Default `"keepLocal"`. For visitors who become
   * users, return `"adopt"` if `previous` is the visitor's id.
   */
  strategy?: UserSwitchStrategy | ((previous: string | null, next: string) => UserSwitchStrategy);
  /** Called when the first cycle of a user who is signed in has ended: with its result, or null if it failed. The data on the device can be shown before. */
  onSignedIn?: (userId: string, result: SyncResult | null) => void;
  /** Called when the user has been signed out of the instance, in this tab or another, with what was not pushed. */
  onSignedOut?: (userId: string, result: LogoutResult) => void;
  /** Called with every failure: of the first cycle, of a switch. Default: none; the status feed has failures of cycles. */
  onError?: (error: unknown) => void;
}

/** What is remembered over reloads: who was signed in last, and in which session. */
interface Memory {
  user: string;
  session: string;
}

const memoryKey = (client: Client) => `datum-sync/${(client.auth as unknown as { storageKey?: string }).storageKey ?? "supabase"}`;

function recall(client: Client): Partial<Memory> {
  try {
    return (JSON.parse(localStorage.getItem(memoryKey(client)) ?? "{}") as Partial<Memory> | null) ?? {};
  } catch {
    // No storage here, or it is blocked.
    return {};
  }
}

function remember(client: Client, memory: Memory | null): void {
  try {
    if (memory === null) localStorage.removeItem(memoryKey(client));
    else localStorage.setItem(memoryKey(client), JSON.stringify(memory));
  } catch {
    // Then each load of the page counts as a sign-in, which costs one full pull.
  }
}

/** A name for one sign-in, which renewed tokens keep. */
function sessionOf(session: Session): string {
  try {
    const part = session.access_token.split(".")[1] ?? "";
    const claims = JSON.parse(atob(part.replace(/-/g, "+").replace(/_/g, "/"))) as { session_id?: unknown };
    if (typeof claims.session_id === "string") return claims.session_id;
  } catch {
    // A token of another form.
  }
  return session.user.last_sign_in_at ?? session.user.id;
}

/**
 * Returns the id of the signed-in user, or null. For `initialUserId`: a page that is loaded without a network and with a token that has
 * expired opens the data of the user who was signed in last, and neither waits nor counts as signed out.
 */
export async function signedInUser(client: SupabaseClient<any, any, any>): Promise<string | null> {
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, SESSION_MS, undefined));
  const known = await Promise.race([client.auth.getSession(), late]);
  if (known?.data.session) return known.data.session.user.id;
  return known === undefined || isUnreachable(known.error) ? (recall(client).user ?? null) : null;
}

/** Follows the sign-ins of a client. */
class Connection {
  #datum: Datum<any>;
  #client: Client;
  #options: AuthOptions;
  /** The user whose sign-in was followed, and the session. */
  #user: string | undefined;
  #session: string | undefined;
  /** Paused because nobody is signed in. */
  #isPaused = false;
  #work: Promise<unknown> = Promise.resolve();
  #hasEnded = false;
  #stop: () => void;

  constructor(datum: Datum<any>, client: Client, options: AuthOptions) {
    this.#datum = datum;
    this.#client = client;
    this.#options = options;
    const restore = this.#flushBeforeSignOut();
    // Nothing of supabase-js is awaited in the callback, nor anything that calls it: events wait for callbacks, and calls for events.
    const { data } = client.auth.onAuthStateChange((event, session) => this.#hear(event, session));
    this.#stop = () => {
      data.subscription.unsubscribe();
      restore();
    };
  }

  end(): void {
    this.#hasEnded = true;
    this.#stop();
  }

  #hear(event: AuthChangeEvent, session: Session | null): void {
    const step =
      session !== null
        ? () => this.#signedIn(session.user.id, sessionOf(session), event)
        : event === "INITIAL_SESSION"
          ? () => this.#foundNobody()
          : event === "SIGNED_OUT"
            ? () => this.#signedOut()
            : undefined;
    if (step === undefined) return;
    this.#work = this.#work
      .then(() => new Promise((resolve) => setTimeout(resolve)))
      .then(() => (this.#hasEnded ? undefined : step()))
      .catch((error: unknown) => this.#failed(error));
  }

  async #signedIn(user: string, session: string, event: AuthChangeEvent): Promise<void> {
    const datum = this.#datum;
    // A tab that is focused again, a renewed token, a changed profile.
    if (this.#user === user && this.#session === session && datum.currentUserId === user) {
      const { health, status } = datum.statusForUser(user).current;
      if (event === "TOKEN_REFRESHED" && health.status === "unauthorized" && status !== "paused") void this.#eager(user, false);
      return;
    }
    const memory = recall(this.#client);
    const isSignIn = memory.user !== user || memory.session !== session;
    const previous = datum.currentUserId;
    if (previous !== user) {
      const { strategy = "keepLocal" } = this.#options;
      const { success, error } = await datum.switchUser({ newUserId: user, strategy: typeof strategy === "function" ? strategy(previous, user) : strategy });
      if (!success) return this.#failed(error);
    }
    [this.#user, this.#session] = [user, session];
    if (isSignIn || this.#isPaused) await datum.resumeSync();
    this.#isPaused = false;
    // Durable: if the cycle fails, the next one pulls everything.
    if (isSignIn && this.#options.fresh !== false) await datum.clearSyncMetadata(user);
    remember(this.#client, { user, session });
    void this.#eager(user, true);
  }

  /** The first cycle. Events do not wait for it: a sign-out stops it. */
  async #eager(user: string, isFirst: boolean): Promise<void> {
    const timeout = this.#options.timeout ?? EAGER_MS;
    const result = await this.#datum.synchronize(user, { direction: "pullThenPush", timeout }).catch((error: unknown) => {
      if (!this.#hasEnded) this.#failed(error);
      return null;
    });
    if (isFirst && !this.#hasEnded && this.#user === user) this.#options.onSignedIn?.(user, result);
  }

  async #signedOut(): Promise<void> {
    const datum = this.#datum;
    const user = this.#user ?? recall(this.#client).user;
    this.#user = this.#session = undefined;
    remember(this.#client, null);
    if (user !== undefined) {
      const keep = async (error: unknown) => {
        this.#failed(error);
        return datum.logout(user, { flush: 0 });
      };
      // The token is gone: nothing can be pushed any more.
      const result = await datum.logout(user, { flush: 0, wipe: this.#options.wipe ?? false }).catch(keep);
      this.#isPaused = true;
      await datum.pauseSync();
      this.#options.onSignedOut?.(user, result);
    } else {
      this.#isPaused = true;
      await datum.pauseSync();
    }
  }

  /** The page was loaded without a session: nobody is signed in, or the session cannot be renewed without a network. */
  async #foundNobody(): Promise<void> {
    const { data, error } = await this.#client.auth.getSession();
    if (data.session !== null || isUnreachable(error)) return;
    await this.#signedOut();
  }

  /** Lets `signOut` of the client push what is pending first. Returns what undoes that. */
  #flushBeforeSignOut(): () => void {
    const auth = this.#client.auth;
    const before = auth.signOut;
    const signOut: typeof before = async (options) => {
      if (options?.scope !== "others" && !this.#hasEnded) await this.#flush();
      return before.call(auth, options);
    };
    auth.signOut = signOut;
    return () => {
      if (auth.signOut === signOut) auth.signOut = before;
    };
  }

  async #flush(): Promise<void> {
    const [user, wait] = [this.#user, this.#options.flush ?? FLUSH_MS];
    if (user === undefined || wait <= 0) return;
    try {
      if ((await this.#datum.pendingCount(user)) === 0) return;
      const end = new AbortController();
      const timer = setTimeout(() => end.abort(), Math.min(wait, LONGEST_MS));
      await this.#datum.synchronize(user, { direction: "pushOnly", signal: end.signal }).finally(() => clearTimeout(timer));
    } catch (error) {
      // What was not pushed stays for the next sign-in.
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#options.onError?.(error);
  }
}

/** By instance, so that a module that is replaced, or an effect that runs twice, follows once. */
const connections = new WeakMap<object, Connection>();

/**
 * Lets an instance follow the sign-ins of a Supabase client, in this tab and others:
 *
 * - Signed in: switches to the user, resumes, and pulls, then pushes. After a real sign-in everything is pulled again
 *   (`fresh`); a tab that is focused again costs nothing, although supabase-js says `SIGNED_IN` then too.
 * - `client.auth.signOut()` first pushes what is pending (`flush`), while there is a token.
 * - Signed out, here or in another tab, or because the session was ended: {@link Datum.logout} and {@link Datum.pauseSync}. What was not
 *   pushed is kept for the next sign-in.
 * - A renewed token: goes on if the old one was refused.
 *
 * A second call for the same instance ends the first one.
 *
 * @returns A function that ends it and changes nothing else.
 *
 * @example
 * const disconnect = connectAuth(datum, supabase, {
 *   onSignedIn: (userId) => showTasks(userId),
 *   onSignedOut: (userId, { unsynced }) => showLogin(unsynced.length),
 * });
 */
export function connectAuth(datum: Datum<any>, client: SupabaseClient<any, any, any>, options: AuthOptions = {}): () => void {
  const words = "connectAuth(datum, client) needs the instance, and the client that createClient of supabase-js has returned.";
  checkMethod(datum, "switchUser", words);
  checkMethod(client, "rpc", words);
  const [fn, ms] = [["function"], ["ms"]];
  checkOptions("connectAuth", options, { flush: ms, wipe: ["boolean", "false"], fresh: ["boolean", "false"], timeout: ms, strategy: ["string", "function"], onSignedIn: fn, onSignedOut: fn, onError: fn });
  connections.get(datum)?.end();
  const connection = new Connection(datum, client, options);
  connections.set(datum, connection);
  return () => connection.end();
}
