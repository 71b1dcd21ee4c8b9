// What a file of tests has opened, and ends in the opposite order. (`after` within a test belongs to that test.)
import { after } from "../../e2e/lib/test.mjs";

const open = [];

/** Ends something when all tests of the file have ended. */
export const atEnd = (end) => void open.push(end);

after(async () => {
  for (const end of open.reverse()) await Promise.resolve(end()).catch((error) => console.error("at the end:", error));
});
