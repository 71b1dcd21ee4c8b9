// The later files of the package, held back: what a page does before they are there.

export const LATER = /datum_sync_(cycle|rest)\.wasm$/;

/** Holds the later parts, and the fallback that has them too, until `open` or `fail` is called. */
export async function held(context, paths = LATER) {
  let decide;
  const decided = new Promise((resolve) => (decide = resolve));
  let note;
  const asked = new Promise((resolve) => (note = resolve));
  await context.route(
    (url) => paths.test(url.pathname),
    async (route) => {
      note();
      const isOpen = await decided;
      // The page may be gone by then.
      await (isOpen ? route.continue() : route.abort()).catch(() => {});
    },
  );
  return { asked, open: () => decide(true), fail: () => decide(false) };
}

/** Runs in a page: these of its later parts do not come by themselves until `letGo` is called. It can still stand still for one. */
export function holdBack(parts = "cycle|rest") {
  const { fetch } = window;
  const released = new Promise((resolve) => (window.letGo = resolve));
  window.fetch = (input, init) => (new RegExp(`datum_sync_(${parts})`).test(input.url ?? input) ? released.then(() => fetch(input, init)) : fetch(input, init));
}
