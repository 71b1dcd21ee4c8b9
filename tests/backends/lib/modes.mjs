// The same test over the SQL kit's functions and over plain tables: each in a project and on a web host of its own.
import { readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { before, test as declare } from "../../e2e/lib/test.mjs";
import { startPages } from "./pages.mjs";
import { startProject } from "./project.mjs";

const PASSWORD = "correct horse";
const plain = readFileSync(new URL("../sql/tables.sql", import.meta.url), "utf8");

/** One way to sync with Supabase, and what a test does with its project. */
class Mode {
  constructor(name, remote, options) {
    Object.assign(this, { name, remote, options, isTables: remote.tables !== undefined });
  }

  async start() {
    this.project = await startProject(this.options);
    this.pages = await startPages(this.project);
  }

  add = (name) => this.project.gateway.accounts.add(`${name}@example.test`, PASSWORD);
  fault = (kind, on, more = {}) => this.project.gateway.faults.add({ kind, on, times: 1_000, ...more });

  /** A page that knows the guide's modules. With `isAlone`, nothing follows its sign-ins. */
  page = ({ remote, ...given } = {}) => this.pages.device({ patterns: true, remote: { ...this.remote, ...remote }, ...given });

  /** A page whose user has signed in and, unless it is alone, has synced. */
  async open(name, given = {}) {
    await this.add(name);
    const device = await this.page(given);
    const user = await device.signIn(`${name}@example.test`);
    if (given.isAlone) await device.page.evaluate((newUserId) => window.app.datum.switchUser({ newUserId }).then(() => undefined), user);
    else await device.eventually(() => window.app.signedIn.length === 1);
    return { ...device, user };
  }

  /** Writes rows as another app does. */
  async insert(user, ...titles) {
    for (const title of titles) await this.project.query("insert into public.tasks(id, user_id, title) values ($1, $2, $3)", [randomUUID(), user, title]);
  }

  /** Changes the user's rows, as another app does. */
  change(user, set, where = "true") {
    const more = this.isTables ? ", version = version + 1, modified_at = clock_timestamp()" : "";
    return this.project.query(`update public.tasks set ${set}${more} where user_id = $1 and ${where}`, [user]);
  }

  /** The titles that the table has. */
  async rows(user) {
    const { rows } = await this.project.query(`select title from public.tasks where user_id = $1${this.isTables ? " and not is_deleted" : ""} order by title collate "C"`, [user]);
    return rows.map(({ title }) => title);
  }

  /** What was asked since then about the user's data: `pull`, `push` and `metadata`. */
  asked(user, from = 0) {
    const kind = ({ method, path }) => {
      if (path.includes("metadata")) return "metadata";
      if (path.startsWith("/rest/v1/rpc/datum_")) return path.slice("/rest/v1/rpc/datum_".length);
      return method === "GET" ? "pull" : "push";
    };
    return this.project.gateway.requests
      .slice(from)
      .filter(({ path, query, text, method }) => method !== "OPTIONS" && path.startsWith("/rest/v1/") && `${query}${text}`.includes(user))
      .map((request) => ({ kind: kind(request), ...request }));
  }

  get count() {
    return this.project.gateway.requests.length;
  }
}

/** Starts both before the file's tests. Returns a function that declares a test for each mode, or for those of the names. */
export function inModes() {
  const modes = [
    new Mode("functions", {}, {}),
    new Mode("tables", { tables: { entities: { tasks: "tasks" } } }, { isPlain: true, migrations: [plain] }),
  ];
  before(async () => {
    for (const mode of modes) await mode.start();
  });
  return (title, work, names = ["functions", "tables"]) => {
    for (const mode of modes.filter(({ name }) => names.includes(name))) {
      declare(`${title} (${mode.name})`, async () => {
        try {
          await work(mode);
        } finally {
          mode.project.gateway.faults.clear();
        }
      });
    }
  };
}
