// Whether an address is on this machine. Any site can let its own name resolve to 127.0.0.1 (DNS rebinding); the header `Host` still has that name.

import { isIP } from "node:net";

/** True for a host, with or without a port. */
export function isLoopbackHost(authority) {
  if (!/^(\[[0-9a-fA-F:.]+\]|[^[\]:/?#@\\\s]+)(:\d{1,5})?$/.test(authority)) return false;
  const host = authority.replace(/:\d+$/, "").replace(/^\[|\]$/g, "").toLowerCase();
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  return isIP(host) === 4 ? host.startsWith("127.") : isIP(host) === 6 && /^(::1|(0{1,4}:){7}0{0,3}1|::ffff:127\..*)$/.test(host);
}

/** True for the origin of a page. */
export function isLoopbackOrigin(origin) {
  const [, authority] = /^https?:\/\/(.*)$/.exec(origin) ?? [];
  return authority !== undefined && isLoopbackHost(authority);
}
