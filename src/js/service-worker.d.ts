import type { DatumConfig } from "datum-sync";

/**
 * Sends operations that a page has left behind, in the background: handles the browser's `sync` events (and `periodicsync`,
 * if the app has registered that) whose tag is `datum-sync:` and the config's `name`.
 *
 * Call it at the top of a service worker that is a module. The engine is loaded from the package's `.wasm`
 * file beside this one, opened for one cycle of the user in `initialUserId`, and closed. A sync that fails
 * is tried again by the browser. A page asks for it with `backgroundSync: true`.
 *
 * The config must be the page's: the same `name`, `entities` and `remote`. Its `headers` must find a token where a service
 * worker can (IndexedDB, a cookie, the Cache API): there is no `localStorage`. `initialUserId` must name the user of
 * that token; if it returns null, nothing is sent. Settings that only pages need are ignored.
 *
 * @example
 * // sw.js, registered with navigator.serviceWorker.register("/sw.js", { type: "module" })
 * import { handleBackgroundSync } from "datum-sync/service-worker";
 * handleBackgroundSync(async () => ({ entities: { tasks: {} }, remote, initialUserId: await signedInUser() }));
 */
export function handleBackgroundSync(config: DatumConfig | (() => DatumConfig | Promise<DatumConfig>)): void;
