// Sign-ins through the real supabase-js, in every engine: what `connectAuth` makes of them, in one tab and in two.
import assert from "node:assert/strict";
import { before } from "../e2e/lib/test.mjs";
import { inEngines } from "./lib/engines.mjs";
import { startPages } from "./lib/pages.mjs";
import { startProject } from "./lib/project.mjs";

const { test, inEach } = inEngines();
let project, pages, engine;
before(async () => (project = await startProject()));

const add = (name) => project.gateway.accounts.add(`${engine}-${name}@example.test`, "correct horse");
const rows = async (user) => (await project.query("select title from public.tasks where user_id = $1 order by title", [user])).rows.map(({ title }) => title);
const pulls = (user) => project.gateway.requests.filter(({ path, method }) => method === "POST" && path.endsWith("datum_pull")).map(({ text }) => JSON.parse(text)).filter(({ userId }) => userId === user);
const fullPulls = (user) => pulls(user).filter(({ cursor }) => cursor === null).length;
/** Makes the access token of a page's session an expired one. */
const expire = (tab) =>
  tab.page.evaluate(() => {
    const key = Object.keys(localStorage).find((key) => /^sb-.*-auth-token$/.test(key));
    localStorage.setItem(key, JSON.stringify({ ...JSON.parse(localStorage.getItem(key)), expires_at: 1, expires_in: 0 }));
  });
/** Signs in, and waits for the end of the first cycle. */
async function signIn(tab, name) {
  const before = (await tab.told()).signedIn.length;
  const user = await tab.signIn(`${engine}-${name}@example.test`);
  await tab.eventually((before) => window.app.signedIn.length > before, before);
  return user;
}

test("a sign-in shows the user's latest data, a sign-out pushes pending operations, and both again", async () => {
  const user = await add("ada");
  const device = await pages.device();
  assert.equal(await device.user(), null);
  assert.equal(await signIn(device, "ada"), user);
  assert.equal(await device.user(), user);
  assert.deepEqual((await device.told()).signedIn, [{ user, isSuccess: true, fetched: true }]);

  await device.creates("Before the sign-out");
  assert.equal(await device.signOut(), null);
  await device.eventually(() => window.app.signedOut.length === 1);
  assert.deepEqual([(await device.told()).signedOut, await rows(user), await device.user()], [[{ user, unsynced: 0, wiped: false }], ["Before the sign-out"], null]);
  assert.equal(await device.page.evaluate((user) => window.app.datum.statusForUser(user).current.status, user), "paused");

  const other = await pages.device();
  await signIn(other, "ada");
  await other.creates("From another device");
  await other.sync();
  await signIn(device, "ada");
  assert.deepEqual(await device.titles(), ["Before the sign-out", "From another device"]);
  assert.deepEqual([...device.errors, ...(await device.told()).failures], []);
});

test("what cannot be pushed at a sign-out waits for the next sign-in, and nobody else sends it", async () => {
  const [user] = [await add("ben"), await add("cleo")];
  const device = await pages.device();
  await signIn(device, "ben");
  await device.creates("Kept");
  const rule = project.gateway.faults.add({ on: /datum_push/, kind: "refuse", times: 1_000 });
  await device.signOut();
  await device.eventually(() => window.app.signedOut.length === 1);
  assert.deepEqual((await device.told()).signedOut, [{ user, unsynced: 1, wiped: false }]);
  rule.times = 0;
  const cleo = await signIn(device, "cleo");
  await device.creates("Of Cleo");
  await device.sync();
  assert.deepEqual([await rows(user), await rows(cleo), await device.titles()], [[], ["Of Cleo"], ["Of Cleo"]]);
  await device.signOut();
  await signIn(device, "ben");
  assert.deepEqual([await rows(user), await device.titles()], [["Kept"], ["Kept"]]);
});

test("a page that is loaded with a session pulls what is new, and a tab that is focused again pulls nothing", async () => {
  const user = await add("dora");
  const device = await pages.device();
  await signIn(device, "dora");
  const before = fullPulls(user);
  await device.reload();
  await device.eventually(() => window.app.signedIn.length === 1);
  assert.deepEqual([fullPulls(user), (await device.told()).signedIn[0].fetched], [before, true]);

  const asked = pulls(user).length;
  const said = await device.page.evaluate(async () => {
    const before = window.app.authEvents.length;
    for (let n = 0; n < 3; n++) {
      for (const state of ["hidden", "visible"]) {
        Object.defineProperty(document, "visibilityState", { configurable: true, value: state });
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    return window.app.authEvents.slice(before);
  });
  assert.ok(said.includes("SIGNED_IN"), `supabase-js says it on focus: ${said}`);
  assert.deepEqual([pulls(user).length, (await device.told()).signedIn.length], [asked, 1]);
});

test("a renewed token changes nothing, and one that was refused goes on with the renewed one", async () => {
  const user = await add("emil");
  const device = await pages.device();
  await signIn(device, "emil");
  const asked = pulls(user).length;
  await device.page.evaluate(() => window.app.supabase.auth.refreshSession().then(() => new Promise((resolve) => setTimeout(resolve, 200))));
  assert.equal(pulls(user).length, asked);

  // Every token is refused for a while, as by a clock that is wrong.
  const refused = project.gateway.faults.add({ on: /datum_(push|pull)/, kind: "status", status: 401, body: { code: "PGRST303", message: "JWT issued at future" }, times: 1_000 });
  await device.creates("After the clock was set");
  assert.deepEqual(await device.sync(), { code: "unauthorized" });
  refused.times = 0;
  await device.page.evaluate(() => window.app.supabase.auth.refreshSession());
  await device.eventually(async (user) => (await window.app.datum.pendingCount(user)) === 0, user);
  assert.deepEqual(await rows(user), ["After the clock was set"]);
});

test("two tabs sign in and out together, and the user after them sees their own data in both", async () => {
  const [finn, gwen] = [await add("finn"), await add("gwen")];
  const one = await pages.device();
  const two = await one.tab();
  await signIn(one, "finn");
  await two.eventually((user) => window.app.datum.currentUserId === user, finn);
  await one.creates("Of Finn");
  await two.eventually(async () => (await window.app.titles()).length === 1);
  await two.creates("Of Finn, in the other tab");
  await two.signOut();
  for (const tab of [one, two]) await tab.eventually(() => window.app.datum.currentUserId === null && window.app.signedOut.length === 1);
  assert.deepEqual(await rows(finn), ["Of Finn", "Of Finn, in the other tab"]);

  await signIn(two, "gwen");
  await one.eventually((user) => window.app.datum.currentUserId === user, gwen);
  await two.creates("Of Gwen");
  for (const tab of [one, two]) await tab.eventually(async () => (await window.app.titles()).join() === "Of Gwen");
  await one.sync();
  assert.deepEqual([await rows(finn), await rows(gwen)], [["Of Finn", "Of Finn, in the other tab"], ["Of Gwen"]]);
  assert.deepEqual([...one.errors, ...(await one.told()).failures, ...(await two.told()).failures], []);
});

test("a session that was ended on the server signs out and keeps pending operations", async () => {
  const user = await add("hugo");
  const device = await pages.device();
  await signIn(device, "hugo");
  await device.creates("Kept");
  await project.gateway.accounts.endSessions(user);
  // Until the access token has expired by the page's clock, supabase-js keeps the session.
  await expire(device);
  await device.sync();
  await device.eventually(() => window.app.signedOut.length === 1);
  assert.deepEqual((await device.told()).signedOut, [{ user, unsynced: 1, wiped: false }]);
  await signIn(device, "hugo");
  assert.deepEqual(await rows(user), ["Kept"]);
});

test("a page that is loaded offline with a token that has expired shows the user's data, and syncs when the network is back", async () => {
  const user = await add("iris");
  const device = await pages.device();
  await signIn(device, "iris");
  await device.creates("Offline later");
  await device.sync();
  await expire(device);
  const cut = ["/auth/v1/", "/rest/v1/"].map((on) => project.gateway.faults.add({ on: new RegExp(on), kind: "refuse", times: 10_000 }));
  await device.reload();
  assert.deepEqual([await device.user(), await device.titles(), (await device.told()).signedOut], [user, ["Offline later"], []]);
  await device.creates("Written then");
  for (const rule of cut) rule.times = 0;
  await device.eventually(async () => !(await window.app.sync()).code);
  assert.deepEqual(await rows(user), ["Offline later", "Written then"]);
});

test("a visitor's data becomes the account's, and a sign-out can wipe the device", async () => {
  const user = await add("jana");
  const device = await pages.device({ config: { initialUserId: "visitor" }, auth: { wipe: true, strategy: "adopt" } });
  await device.page.evaluate(() => window.app.datum.switchUser({ newUserId: "visitor" }));
  await device.creates("Made before the account");
  await signIn(device, "jana");
  assert.deepEqual([await rows(user), await device.titles()], [["Made before the account"], ["Made before the account"]]);
  await device.signOut();
  await device.eventually(() => window.app.signedOut.length === 1);
  assert.deepEqual([(await device.told()).signedOut, await device.page.evaluate(() => window.app.datum.userIds())], [[{ user, unsynced: 0, wiped: true }], []]);
});

test("a client that holds a lock while it tells of a sign-in does not wait for a sync, nor a sync for it", async () => {
  const user = await add("lena");
  const device = await pages.device({ isLocked: true });
  for (let n = 0; n < 2; n++) {
    await signIn(device, "lena");
    await device.creates(`Round ${n}`);
    await device.page.evaluate(() => window.app.supabase.auth.refreshSession().then(() => window.app.supabase.auth.getSession()));
    await device.signOut();
    await device.eventually((n) => window.app.signedOut.length === n + 1, n);
  }
  assert.deepEqual([await rows(user), (await device.told()).failures], [["Round 0", "Round 1"], []]);
});

test("a sign-out that does not reach the project leaves the user signed in, with all their data", async () => {
  const user = await add("mia");
  const device = await pages.device();
  await signIn(device, "mia");
  await device.creates("Still here");
  const cut = ["/auth/v1/", "/rest/v1/"].map((on) => project.gateway.faults.add({ on: new RegExp(on), kind: "refuse", times: 10_000 }));
  assert.notEqual(await device.page.evaluate(() => window.app.supabase.auth.signOut().then(({ error }) => error?.name ?? null, (error) => error.name)), null);
  assert.deepEqual([await device.user(), await device.titles(), await device.waiting(user), (await device.told()).signedOut], [user, ["Still here"], 1, []]);
  for (const rule of cut) rule.times = 0;
  await device.sync();
  assert.deepEqual(await rows(user), ["Still here"]);
});

test("after disconnecting, sign-ins and sign-outs concern nobody, and the client's own signOut is back", async () => {
  await add("kai");
  const device = await pages.device();
  await device.page.evaluate(() => {
    window.wrapped = window.app.supabase.auth.signOut;
    window.app.disconnect();
    window.isBack = window.app.supabase.auth.signOut !== window.wrapped;
  });
  await device.signIn(`${engine}-kai@example.test`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual([await device.user(), await device.page.evaluate(() => window.isBack), (await device.told()).signedIn], [null, true, []]);
});

test("a second connection of an instance ends the first one: a sign-in is followed once", async () => {
  const user = await add("nora");
  const device = await pages.device();
  await device.page.evaluate(() => {
    window.counts = [0, 0];
    const { connectAuth, datum, supabase } = window.app;
    for (const n of [0, 1]) connectAuth(datum, supabase, { onSignedIn: () => window.counts[n]++ });
  });
  await device.signIn(`${engine}-nora@example.test`);
  await device.eventually(() => window.counts[1] === 1);
  await device.creates("Once");
  assert.equal(await device.signOut(), null);
  await device.eventually(() => window.app.datum.currentUserId === null);
  assert.deepEqual([await device.page.evaluate(() => window.counts), (await device.told()).signedIn, fullPulls(user), await rows(user)], [[0, 1], [], 1, ["Once"]]);
});

inEach(async (name) => {
  engine = name;
  await pages?.stop();
  pages = await startPages(project, name);
});
