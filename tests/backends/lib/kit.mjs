// The SQL kit as one file.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const KIT = process.env.DATUM_KIT ?? fileURLToPath(new URL("../../../server/sql/kit/", import.meta.url));

export function kit() {
  const names = readdirSync(KIT).filter((name) => name.endsWith(".sql"));
  return names.sort().map((name) => readFileSync(join(KIT, name), "utf8")).join("\n");
}
