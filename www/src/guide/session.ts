// The session of the signed-in user, as an app's sign-in would provide it. Its token can be made to
// expire, and renewal can be disabled.

import type { HeaderRecord } from "datum-sync";

import type { Network } from "../network.ts";
import { issueToken } from "../token.ts";

export class Session {
  /** Whether an expired token may be renewed. */
  renewable = true;
  #userId: string;
  #token: Promise<string> | undefined;
  readonly #network: Network;
  readonly #onRenew: () => void;

  constructor(userId: string, network: Network, onRenew: () => void) {
    this.#userId = userId;
    this.#network = network;
    this.#onRenew = onRenew;
  }

  get userId(): string {
    return this.#userId;
  }

  set userId(value: string) {
    this.#userId = value;
    this.#token = undefined;
  }

  /** Replaces the token by one that expired an hour ago. */
  async expire(): Promise<void> {
    this.#token = issueToken(this.#userId, this.#network, -3_600);
    await this.#token;
  }

  readonly headers = async (reason: "request" | "unauthorized"): Promise<HeaderRecord> => {
    if (reason === "unauthorized" && this.renewable) {
      this.#token = undefined;
      this.#onRenew();
    }
    const pending = (this.#token ??= issueToken(this.#userId, this.#network));
    try {
      return { Authorization: `Bearer ${await pending}` };
    } catch (error) {
      if (this.#token === pending) this.#token = undefined;
      // There is no network: the request itself will fail with the right error.
      if (error instanceof TypeError) return {};
      throw error;
    }
  };
}
