// The package's panel for developers. It is loaded when a device first asks for it, and has both devices.

import type { Datum } from "datum-sync";
import type { Devtools } from "datum-sync/devtools";

const mounted = new Map<Datum<any>, Devtools>();

/** Opens the panel for a device, or closes it if it shows this device already. */
export async function toggleDevtools(datum: Datum<any>, name: string): Promise<void> {
  const known = mounted.get(datum);
  if (known) {
    const isShown = known.element.open && known.element.datum === datum;
    known.element.choose(datum);
    known.element.open = !isShown;
    return;
  }
  const { mountDevtools } = await import("datum-sync/devtools");
  mounted.set(datum, mountDevtools(datum, { name, open: true, launcher: false }));
}
