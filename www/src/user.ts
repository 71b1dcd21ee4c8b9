// Who uses the demo: `?user=`, else a name made up once for this browser.

const KEY = "datum-demo-user";

export function currentUser(): string {
  const asked = new URLSearchParams(location.search).get("user")?.trim();
  if (asked) return asked;
  try {
    const known = localStorage.getItem(KEY);
    if (known) return known;
    const made = makeUp();
    localStorage.setItem(KEY, made);
    return made;
  } catch {
    return makeUp(); // Storage is refused: a new guest on every visit.
  }
}

function makeUp(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(3));
  return `guest-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
