import { chapter, type Check } from "./check.js";
import { auth } from "./chapters/auth.js";
import { batches } from "./chapters/batches.js";
import { conflicts } from "./chapters/conflicts.js";
import { cursors } from "./chapters/cursors.js";
import { deletes } from "./chapters/deletes.js";
import { paging } from "./chapters/paging.js";
import { spaces, users } from "./chapters/people.js";
import { race } from "./chapters/race.js";
import { reach } from "./chapters/reach.js";
import { replays } from "./chapters/replays.js";
import { clock, digests, epoch, metadata, stream } from "./chapters/time.js";
import { values } from "./chapters/values.js";
import { vectors } from "./chapters/vectors.js";
import { CHAPTERS } from "./report.js";

/** The last check: whether all replies of the run had the form that clients read. */
const replies = chapter("replies", {
  form: [
    "Every reply of the run had the form of the protocol",
    { costs: "A client refuses the whole reply, stores nothing of it, and reports `protocol`.", section: "4" },
    async ({ a }) => {
      const { wrong, replies: count } = a.traffic.shapes;
      a.sent = "";
      a.expect(wrong.size === 0, "replies that a client can read", [...wrong].map(([what, example]) => `${what}: ${example}`).join("\n"));
      return `${count} replies`;
    },
  ],
});

const ALL = [reach, auth, conflicts, deletes, replays, batches, paging, race, cursors, values, clock, epoch, users, spaces, metadata, stream, digests, vectors, replies];

/** Every check, in the order in which they run. */
export const CHECKS: readonly Check[] = ALL.flat().sort((one, two) => CHAPTERS.indexOf(one.chapter) - CHAPTERS.indexOf(two.chapter));
