// Promises of an engine that has died.

/** What `src/js/support.js` exports for promises. */
interface Support {
  pledge(): Promise<string>;
  settle(promise: Promise<string>, isFulfilled: boolean, value: string): void;
  dying(place: string): void;
  died(message: string): void;
}

/** A copy of its own, since an engine that died stays dead for its page. */
async function copyOfSupport(query: string): Promise<Support> {
  const urls = performance.getEntriesByType("resource").map((entry) => entry.name);
  return import(`${urls.find((url) => url.endsWith("/support.js"))}?${query}`);
}

/** How calls end that wait, have ended, or are made later, when the engine panics. */
export async function endsWhenTheEngineDies(): Promise<string> {
  const support = await copyOfSupport("dead");
  const calls = [support.pledge(), support.pledge()];
  support.settle(calls[1], true, "before");
  await calls[1];
  const report = console.error;
  console.error = () => {};
  support.dying("replica.rs");
  support.died("panicked at replica.rs");
  support.dying("store.rs");
  support.died("again");
  console.error = report;
  calls.push(support.pledge());
  support.settle(calls[2], true, "later");
  const ends = await Promise.allSettled(calls);
  return JSON.stringify(
    ends.map((end) =>
      end.status === "fulfilled" ? end.value : `${end.reason.name} ${end.reason.code} ${end.reason.cause}`,
    ),
  );
}

/** How calls end if the engine's memory is gone before its panic has words. */
export async function endsWhenTheEngineDiesWithoutWords(): Promise<string> {
  const support = await copyOfSupport("dying");
  const calls = [support.pledge()];
  support.dying("allocator.rs");
  calls.push(support.pledge());
  const ends = await Promise.allSettled(calls);
  return JSON.stringify(ends.map((end) => (end.status === "rejected" ? `${end.reason.code} ${end.reason.cause}` : "")));
}
