// The user of the demo: `?user=`, else a random name that this browser remembers.

const KEY = "datum-demo-user";

export function currentUser(): string {
  const asked = new URLSearchParams(location.search).get("user")?.trim();
  if (asked) return asked;
  try {
    const known = localStorage.getItem(KEY);
    if (known) return known;
    const created = guestName();
    localStorage.setItem(KEY, created);
    return created;
  } catch {
    return guestName(); // localStorage is blocked: a new guest on every visit.
  }
}

function guestName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(3));
  return `guest-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
