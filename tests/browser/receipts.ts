// Waiting for the end of a write.
import type { Story } from "./story.ts";

export async function a_write_is_waited_for_here_in_another_instance_and_after_a_reload(
  { open, user, equal, refused }: Story,
) {
  const a = await open("a");
  const twin = await open("a");
  const [here, there] = [a.manager("tasks"), twin.manager("tasks")];
  const one = await here.create({ title: "milk" });
  let settled = 0;
  const count = (outcome: string) => {
    settled++;
    return outcome;
  };
  // The twin asks the log, should it not have heard of it yet.
  const waiting = [
    here.whenSynced(one.id).then(count),
    there.whenSynced(one.id).then(count),
    here.whenSynced(one.id, { userId: user }).then(count),
  ];
  await here.readAll();
  equal(settled, 0);
  await twin.synchronize(user);
  equal(await Promise.all(waiting), ["applied", "applied", "applied"]);
  await a.close();
  await twin.close();
  const again = await open("a");
  const tasks = again.manager("tasks");
  equal(await tasks.whenSynced(one.id), "applied");
  const edit = await tasks.patch(one.id, { title: "oat milk" });
  await again.close();
  await refused(tasks.whenSynced(one.id), "closed");
  // The edit outlives the page that made it, and so does the wait for it.
  const later = await open("a");
  const reloaded = later.manager("tasks");
  const pending = reloaded.whenSynced(edit.id);
  await later.synchronize(user);
  equal(await pending, "applied");
  await refused(reloaded.whenSynced("nobody"), "notFound");
  await refused(reloaded.whenSynced(7 as never), "invalidArgument", "`id`");
  await reloaded.create({ id: "waits" });
  const left = reloaded.whenSynced("waits");
  left.catch(() => {});
  await later.close();
  await refused(left, "closed");
}

export async function a_merge_and_a_refusal_are_told_by_their_words({ open, user, equal }: Story) {
  const a = await open("a");
  const b = await open("b", { defaultConflictResolver: "remotePriority" });
  const [here, there] = [a.manager("tasks"), b.manager("tasks")];
  const one = await here.create({ title: "milk" });
  await a.synchronize(user);
  await b.synchronize(user);
  equal(await there.whenSynced(one.id), "applied");
  await here.patch(one.id, { title: "oat" });
  await a.synchronize(user);
  await there.patch(one.id, { title: "soy" });
  const merged = there.whenSynced(one.id);
  await b.synchronize(user);
  equal(await merged, "merged");
  await there.create({ id: "big", text: "x".repeat(1000000) });
  const rejected = there.whenSynced("big");
  await b.synchronize(user);
  equal(await rejected, "rejected");
  await a.close();
  await b.close();
}
