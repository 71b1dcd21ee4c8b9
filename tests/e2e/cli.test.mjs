// `npx datum-sync`: which command runs, with which options, and what it says of wrong ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandError, dispatch, whole } from "../../src/js/cli/dispatch.js";

/** Runs it with one command, `serve`, and returns the exit code, what was printed, and what the command got. */
async function run(args, act = () => undefined) {
  const said = { out: [], err: [] };
  let got;
  const serve = {
    options: {
      port: { value: "PORT", about: "the port", initial: 8787, read: whole(0, 65_535) },
      "allow-origin": { value: "ORIGIN", about: "an origin", many: true },
      quiet: { about: "say nothing" },
    },
    notes: "More about it.",
    run: (values) => act((got = values)),
  };
  const commands = { serve: { about: "serve it", load: async () => serve }, other: { about: "the other", load: () => assert.fail("loaded") } };
  const code = await dispatch(args, commands, { version: "1.2.3", out: (text) => said.out.push(text), err: (text) => said.err.push(text) });
  return { code, got, out: said.out.join("\n"), err: said.err.join("\n") };
}

test("a command gets its options, and only its own module is loaded", async () => {
  const { code, got } = await run(["serve", "--port", "0", "--allow-origin=https://a.example", "--allow-origin", "https://b.example", "--quiet"]);
  assert.deepEqual([code, got], [0, { port: 0, allowOrigin: ["https://a.example", "https://b.example"], quiet: true }]);
  assert.deepEqual((await run(["serve"])).got, { port: 8787, allowOrigin: [], quiet: false });
});

test("without a command, or with an unknown one, it says what there is", async () => {
  for (const args of [[], ["sevre"], ["constructor"], ["--port", "1"]]) {
    const { code, out, err } = await run(args);
    assert.deepEqual([code, out], [2, ""], String(args));
    assert.match(err, /serve +serve it\n +other +the other/);
    if (args.length > 0) assert.ok(err.includes(args[0]), err);
  }
});

test("an argument that is wrong is named, and the command does not run", async () => {
  for (const [args, said] of [
    [["--prot", "1"], "There is no option --prot."],
    [["-p"], "There is no option -p."],
    [["--toString"], "There is no option --toString."],
    [["8080"], '"8080" belongs to no option.'],
    [["--port"], "--port needs a value: PORT."],
    [["--port", "--quiet"], "--port needs a value: PORT."],
    [["--port="], "--port needs a value: PORT."],
    [["--port", "65536"], "--port 65536: give a whole number from 0 to 65535."],
    [["--port=1e3"], "--port 1e3: give a whole number from 0 to 65535."],
    [["--port", "1", "--port", "2"], "--port is given twice."],
    [["--quiet=yes"], "--quiet takes no value."],
  ]) {
    const { code, got, err } = await run(["serve", ...args]);
    assert.deepEqual([code, got], [2, undefined], String(args));
    assert.equal(err, `${said} See: npx datum-sync serve --help`);
  }
});

test("help and the version are printed, and are no failure", async () => {
  assert.deepEqual((await run(["--version"])).out, "datum-sync 1.2.3");
  const { code, got, out } = await run(["serve", "--port", "x", "--help"]);
  assert.deepEqual([code, got], [0, undefined]);
  for (const text of ["--port PORT", "[8787]", "repeat for more", "More about it."]) assert.ok(out.includes(text), out);
  assert.match((await run(["--help"])).out, /COMMAND/);
});

test("a command's own code is the exit code, and a failure is one line", async () => {
  assert.equal((await run(["serve"], () => 1)).code, 1);
  const failed = await run(["serve"], () => Promise.reject(new CommandError("Port 1 is taken.")));
  assert.deepEqual([failed.code, failed.err], [1, "Port 1 is taken."]);
  const broken = await run(["serve"], () => Promise.reject(new TypeError("x is not a function")));
  assert.equal(broken.code, 1);
  assert.match(broken.err, /TypeError: x is not a function\n +at/);
});
