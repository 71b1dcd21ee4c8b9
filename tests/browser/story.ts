// What every test of the exported classes is given: devices of one user, and assertions.
import type { Datum, DatumConfig, DatumError, DatumErrorCode, Entity, EntityConfig } from "datum-sync";

/** An entity with any fields: most tests are about what the engine does with them, not their types. */
export interface Task extends Entity {
  [field: string]: any;
}

type Fetch = (url: string, init: RequestInit) => Promise<Response>;
/** Settings of a device. Tests of wrong configs pass `as never`. */
type Settings = { [K in keyof DatumConfig]?: DatumConfig[K] | undefined };

export interface Story {
  /** The user of every device. */
  user: string;
  /** Opens a device of the user; the same name again opens the same databases. */
  open(device: string, settings?: Settings): Promise<Datum>;
  /** The server's rules as a `fetch`; the Authorization header names the user. */
  fetch: Fetch;
  /** Fails unless both values are the same JSON. */
  equal(found: unknown, expected: unknown): void;
  /** Fails unless the promise rejects with this code and a message with this word. Resolves with the error. */
  refused(promise: Promise<unknown>, code: DatumErrorCode, word?: string): Promise<DatumError>;
}

/** Called by Rust with `Datum.open`, the server's `fetch`, and a name that no other test has. */
export function story(openEngine: (config: DatumConfig) => Promise<Datum>, fetch: Fetch, name: string): Story {
  const user = "ann";
  return {
    user,
    fetch,
    open: (device, settings) => {
      const config = {
        name: `${name}-${device}`,
        entities: { tasks: {} },
        initialUserId: user,
        remote: { url: "https://api.test", headers: { Authorization: user }, fetch },
        retry: { maxAttempts: 1 },
        ...settings,
      };
      return openEngine(config as DatumConfig);
    },
    equal(found, expected) {
      const [x, y] = [JSON.stringify(found), JSON.stringify(expected)];
      if (x !== y) throw new Error(`${x} is not ${y}`);
    },
    async refused(promise, code, word = "") {
      try {
        await promise;
      } catch (thrown) {
        const error = thrown as DatumError;
        if (error.code === code && error.message.includes(word)) return error;
        throw new Error(`${error.code}: ${error.message} is not ${code}: ${word}`);
      }
      throw new Error(`not refused: ${code}`);
    },
  };
}

/** Called by Rust with the server's rules: a status and a body for each request. */
export function serve(answer: (url: string, init: RequestInit) => [number, string]): Fetch {
  return async (url, init) => {
    init.signal?.throwIfAborted();
    const [status, body] = answer(String(url), init);
    return new Response(body, { status, headers: { "Content-Type": "application/json" } });
  };
}

/** The settings of a device whose tasks have this configuration. */
export type TaskConfig = EntityConfig<any>;
