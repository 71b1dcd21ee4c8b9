// Who is signed in on this page, and with which token: what an app's own sign-in does. Its token can be
// made to expire, and its renewal to be refused.

import type { HeaderRecord } from "datum-sync";

import type { Network } from "../network.ts";
import { mint } from "../token.ts";

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

  /** From now on the token is one that ended an hour ago. */
  async expire(): Promise<void> {
    this.#token = mint(this.#userId, this.#network, -3_600);
    await this.#token;
  }

  readonly headers = async (reason: "request" | "unauthorized"): Promise<HeaderRecord> => {
    if (reason === "unauthorized" && this.renewable) {
      this.#token = undefined;
      this.#onRenew();
    }
    const asked = (this.#token ??= mint(this.#userId, this.#network));
    try {
      return { Authorization: `Bearer ${await asked}` };
    } catch (error) {
      if (this.#token === asked) this.#token = undefined;
      // Without a network nobody knows who is signed in: the request itself will say what is wrong.
      if (error instanceof TypeError) return {};
      throw error;
    }
  };
}
