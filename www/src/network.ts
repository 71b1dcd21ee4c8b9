// A device's network: `fetch` behind a switch. When it is off, new requests and requests in flight fail
// with a TypeError, as without a real network.

export class Network extends EventTarget {
  #cut = new AbortController();

  get on(): boolean {
    return !this.#cut.signal.aborted;
  }

  set on(value: boolean) {
    if (value === this.on) return;
    if (value) this.#cut = new AbortController();
    else this.#cut.abort(unreachable());
    this.dispatchEvent(new Event("change"));
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const cut = this.#cut.signal;
    cut.throwIfAborted();
    const request = new Request(input, init);
    try {
      return await fetch(request, { signal: AbortSignal.any([request.signal, cut]) });
    } catch (error) {
      // Older browsers reject with an AbortError instead of the signal's reason. The engine would
      // take that for a cancellation by the app.
      throw cut.aborted && !request.signal.aborted ? unreachable() : error;
    }
  };
}

function unreachable(): TypeError {
  return new TypeError("Failed to fetch: this device's network is switched off");
}
