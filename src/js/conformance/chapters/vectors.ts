import { chapter, server, type Bench } from "../check.js";
import { Deviation, needs } from "../device.js";
import { short, type Any } from "../target.js";

interface Step {
  user: string;
  request?: string;
  operator?: string;
  body?: Any;
  text?: string;
  status: number;
  reply?: Any;
  keep?: Record<string, string>;
  /** Pointers at values that must be equal, with nothing more in them. */
  exactly?: string[];
  greater?: [string, string][];
  differs?: [string, string][];
}
interface Conversation {
  name: string;
  steps: Step[];
}

/** Follows a JSON pointer. */
const at = (value: Any, pointer: string): Any =>
  pointer
    .split("/")
    .slice(1)
    .reduce((item: Any, key) => item?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], value);

/** What names in a conversation stand for. */
class Names {
  #values = new Map<string, Any>();
  #suffix = Math.random().toString(36).slice(2, 10);
  /** The user of the step. */
  current = "";

  user(name: string): string {
    return `${name}-${this.#suffix}`;
  }

  keep(name: string, value: Any): void {
    this.#values.set(name, value);
  }

  one(name: string): Any {
    if (name.includes("/$")) return name.split("/").map((part) => String(this.one(part))).join("/");
    const key = name.slice(1);
    if (key === "user") return this.user(this.current);
    if (this.#values.has(key)) return this.#values.get(key);
    if (/^s[1-3]$/.test(key)) {
      this.keep(key, crypto.randomUUID());
      return this.#values.get(key);
    }
    return this.user(key);
  }

  fill(value: Any): Any {
    if (typeof value === "string") return value.startsWith("$$") ? value.slice(1) : /^\$[a-zA-Z]/.test(value) ? this.one(value) : value;
    if (Array.isArray(value)) return value.map((item) => this.fill(item));
    if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.fill(item)]));
    return value;
  }
}

/** Whether an answer has everything that is asked for. */
function matches(asked: Any, came: Any): boolean {
  if (asked === null) return came === null || came === undefined;
  if (Array.isArray(asked)) return Array.isArray(came) && came.length === asked.length && asked.every((item, index) => matches(item, came[index]));
  if (typeof asked === "object") return typeof came === "object" && came !== null && Object.entries(asked).every(([key, item]) => matches(item, came[key]));
  return asked === came;
}

async function play(bench: Bench, { name, steps }: Conversation): Promise<void> {
  const names = new Names();
  for (const [index, step] of steps.entries()) {
    names.current = step.user;
    const [method = "", url = ""] = (step.request ?? "").split(" ");
    const device = bench.deviceOf(await bench.tokenFor!(names.user(step.user)));
    const body = step.text ?? (step.body === undefined ? undefined : JSON.stringify(names.fill(step.body)));
    const path = url.replace(/^\/sync\/v1/, "").replace(/\$(\w+)/g, (_, user: string) => encodeURIComponent(String(names.one(`$${user}`))));
    const answer = await device.request(method, path, method === "GET" ? undefined : body);
    bench.a.sent = `step ${index + 1} of "${name}": ${device.sent}`;
    const value = (key: string) => (key.startsWith("/") ? at(answer.body, key) : names.one(key));
    const fail = (expected: string) => {
      throw new Deviation(short(expected), device.came);
    };
    if (answer.status !== step.status) fail(`HTTP ${step.status}`);
    if (step.reply !== undefined && !matches(names.fill(step.reply), answer.body)) fail(JSON.stringify(names.fill(step.reply)));
    for (const [key, pointer] of Object.entries(step.keep ?? {})) names.keep(key, at(answer.body, pointer));
    for (const pointer of step.exactly ?? []) {
      const [exact, came] = [names.fill(at(step.reply, pointer)), at(answer.body, pointer)];
      if (!matches(exact, came) || !matches(came, exact)) fail(`${JSON.stringify(exact)} at ${pointer}, and no more`);
    }
    for (const [one, two] of step.greater ?? []) if (!(value(one) > value(two))) fail(`${one} above ${two}`);
    for (const [one, two] of step.differs ?? []) if (value(one) === value(two)) fail(`${one} unlike ${two}`);
  }
}

/** The protocol's own conversations, each with users of its own. */
export const vectors = chapter("vectors", {
  conversations: [
    "The conversations of the protocol are answered as they say",
    { costs: "As the conversation's name says.", section: "10" },
    async (bench) => {
      server(bench);
      if (bench.tokenFor === undefined || bench.vectors === undefined) throw needs("tokens for any user: `--dev`, for a server that gives them at /dev/token");
      const { conversations } = JSON.parse(await bench.vectors("conversations.json")) as { conversations: Conversation[] };
      const outside = conversations.filter(({ steps }) => !steps.some(({ operator }) => operator !== undefined));
      const hasSpaces = Array.isArray((await bench.a.pull(null, 1, { spaces: true })).spaces);
      const { status } = await bench.a.ask("pull", { cursor: null, limit: 1, scope: { where: { [bench.a.form.fields[0]]: "" } } });
      const hasScopes = status !== 400;
      const lacks = [...(hasSpaces ? [] : ["$s1"]), ...(hasScopes ? [] : ['"scope":{"where"'])];
      const fit = outside.filter((conversation) => !lacks.some((what) => JSON.stringify(conversation).includes(what)));
      const wrong: string[] = [];
      for (const conversation of fit) {
        try {
          await play(bench, conversation);
        } catch (error) {
          if (!(error instanceof Deviation)) throw error;
          wrong.push(`"${conversation.name}", ${bench.a.sent.replace(/^step (\d+).*/s, "step $1")}: expected ${error.expected}, came ${error.came}`);
        }
      }
      bench.a.expect(wrong.length === 0, `${fit.length} conversations as they are written`, `${wrong.length} are not:\n${wrong.slice(0, 10).join("\n")}`);
      return `${fit.length} of ${conversations.length} conversations; the others need ${["an operator", ...(hasSpaces ? [] : ["shared spaces"]), ...(hasScopes ? [] : ["scopes"])].join(" or ")}`;
    },
  ],
});
