// Finds the command and its options in the arguments, and runs it.

/** Exit codes: the command did what it should; it failed; the arguments are wrong. */
export const DONE = 0;
export const FAILED = 1;
export const USAGE = 2;

/** Arguments that are wrong. The message names the argument. */
export class UsageError extends Error {}

/** A failure that the user can mend: the message is all that is printed. */
export class CommandError extends Error {}

/**
 * Runs a command and returns the exit code. `commands` has for each name `{ about, load }`, where `load` imports a module with:
 *
 * - `options`: for each name `{ about, value?, read?, initial?, many? }`. An option without `value`, the name of its value in the help,
 *   is a switch. `read(text, option)` checks a value and converts it, `initial` is the value without the option, and `many` collects all values.
 * - `notes`: what the help says besides, if anything.
 * - `run(values, io)`: does it; `values` has the options in camelCase. Resolves with an exit code, or nothing for success.
 *
 * `io` is `{ version, out(text), err(text) }`.
 */
export async function dispatch(args, commands, io) {
  const [name, ...rest] = args;
  if (name === "--version" || name === "-V") {
    io.out(`datum-sync ${io.version}`);
    return DONE;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    io.out(overview(commands));
    return DONE;
  }
  const command = Object.hasOwn(commands, name ?? "") ? commands[name] : undefined;
  if (command === undefined) {
    if (name !== undefined) io.err(name.startsWith("-") ? `${name}: a command comes first.` : `There is no command ${JSON.stringify(name)}.`);
    io.err(overview(commands));
    return USAGE;
  }
  const module = await command.load();
  try {
    if (rest.includes("--help") || rest.includes("-h")) {
      io.out(help(name, command, module));
      return DONE;
    }
    return (await module.run(parse(rest, module.options), io)) ?? DONE;
  } catch (error) {
    if (error instanceof UsageError) {
      io.err(`${error.message} See: npx datum-sync ${name} --help`);
      return USAGE;
    }
    io.err(error instanceof CommandError ? error.message : (error?.stack ?? String(error)));
    return FAILED;
  }
}

const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

/** Returns the values of the options: `--name value` or `--name=value`. */
export function parse(args, options) {
  const values = Object.fromEntries(Object.entries(options).map(([name, { value, many, initial }]) => [camel(name), initial ?? (many ? [] : value === undefined ? false : undefined)]));
  const given = new Set();
  for (let place = 0; place < args.length; place++) {
    const [argument, attached] = split(args[place]);
    const name = argument.slice(2);
    if (!argument.startsWith("--") || !Object.hasOwn(options, name)) {
      throw new UsageError(argument.startsWith("-") ? `There is no option ${argument}.` : `${JSON.stringify(args[place])} belongs to no option.`);
    }
    const option = options[name];
    if (given.has(name) && !option.many) throw new UsageError(`${argument} is given twice.`);
    given.add(name);
    if (option.value === undefined) {
      if (attached !== undefined) throw new UsageError(`${argument} takes no value.`);
      values[camel(name)] = true;
      continue;
    }
    const text = attached ?? args[++place];
    if (text === undefined || text === "" || (attached === undefined && text.startsWith("--"))) throw new UsageError(`${argument} needs a value: ${option.value}.`);
    const read = option.read === undefined ? text : option.read(text, argument);
    if (option.many) values[camel(name)] = [...values[camel(name)], read];
    else values[camel(name)] = read;
  }
  return values;
}

function split(argument) {
  const at = argument.startsWith("--") ? argument.indexOf("=") : -1;
  return at < 0 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)];
}

/** Returns a reader of whole numbers from `least` to `most`. */
export function whole(least, most) {
  return (text, option) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (number >= least && number <= most) return number;
    throw new UsageError(`${option} ${text}: give a whole number from ${least} to ${most}.`);
  };
}

function table(lines) {
  const width = Math.max(...lines.map(([left]) => left.length), 0);
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}

function overview(commands) {
  const lines = Object.entries(commands).map(([name, { about }]) => [name, about]);
  return `Usage: npx datum-sync COMMAND [OPTIONS]\n\n${table(lines)}\n\nEach has --help. --version prints the package's version.`;
}

function help(name, { about }, { options, notes }) {
  const lines = Object.entries(options).map(([option, { value, about: what, initial, many }]) => [
    `--${option}${value === undefined ? "" : ` ${value}`}`,
    `${what}${many ? "; repeat for more" : ""}${initial === undefined ? "" : ` [${initial}]`}`,
  ]);
  const parts = [`npx datum-sync ${name}: ${about}`, table([...lines, ["--help", "print this"]])];
  return [...parts, ...(notes ? [notes] : [])].join("\n\n");
}
