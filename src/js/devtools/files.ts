/** The report for support and the trace, as files and on the clipboard. */

import type { Datum } from "datum-sync";

/** Returns the report as text. */
export const reportText = async (datum: Datum<any>, userId: string): Promise<string> => JSON.stringify(await datum.report(userId), null, 2);

/** Offers a file for download. */
export function download(content: Blob | string, name: string): void {
  const blob = typeof content === "string" ? new Blob([content], { type: "application/json" }) : content;
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  [link.href, link.download] = [url, name];
  link.click();
  // The browser has taken it once the click has been handled.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Returns a name for a file, with the time and without characters that file systems refuse. */
export const fileName = (kind: string, at: Date, ending: string): string => `datum-${kind}-${at.toISOString().replace(/[:.]/g, "-")}.${ending}`;

/** Puts a text on the clipboard. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard === undefined) throw new Error("The browser allows no copying here: it needs a secure page (https, or localhost).");
  await navigator.clipboard.writeText(text);
}
