/** @jsxImportSource solid-js */
import { DatumProvider, useCurrentUser, useDatum, useQuery, useSyncStatus } from "datum-sync/solid";
import { createSignal, For, Show } from "solid-js";

import { opening, people, switchTo, type Task } from "./instance.ts";

export function App() {
  return <DatumProvider datum={opening}><Tasks /></DatumProvider>;
}

function Tasks() {
  const user = useCurrentUser();
  const status = useSyncStatus({ select: ({ status, pendingOperations }) => ({ status, pendingOperations }) });
  const all = useQuery<Task>("tasks");
  const open = useQuery<Task, number>("tasks", null, { select: (all) => all.filter((task) => !task.done).length });
  const datum = useDatum<{ tasks: Task }>();
  const tasks = () => datum()?.manager("tasks");
  const [title, setTitle] = createSignal("");
  let input!: HTMLInputElement;

  const add = async (event: SubmitEvent) => {
    event.preventDefault();
    if (title().trim() === "") return;
    await tasks()?.create({ title: title().trim(), done: false });
    setTitle("");
  };
  const remove = async (task: Task) => {
    input.focus();
    await tasks()?.delete(task.id);
  };

  return (
    <section class="device" aria-label="Tasks">
      <header class="device-head">
        <div class="device-name">
          <h2>{people.find(({ userId }) => userId === user())?.name ?? "Nobody"}</h2>
          <p data-testid="open">{open.data ?? 0} open</p>
        </div>
        <div class="people" role="group" aria-label="User">
          <For each={people}>
            {({ name, userId }) => <button type="button" class="button small" aria-pressed={user() === userId} data-testid={`user-${name}`} onClick={() => void switchTo(userId)}>{name}</button>}
          </For>
        </div>
      </header>
      <div class="sync">
        <p class="state" role="status"><span class="pill" data-state={status()?.status} data-testid="status">{status()?.status ?? "opening"}</span></p>
        <p class="waiting" data-count={status()?.pendingOperations ?? 0}>waiting to sync <span class="count" data-testid="pending">{status()?.pendingOperations ?? 0}</span></p>
      </div>
      <form class="add" autocomplete="off" onSubmit={(event) => void add(event)}>
        <input ref={input} type="text" aria-label="New task" placeholder="Add a task" maxlength="500" data-testid="new-task" value={title()} onInput={(event) => setTitle(event.target.value)} />
        <button type="submit" class="button" data-testid="add-task">Add</button>
      </form>
      <ul class="tasks" role="list" data-testid="tasks">
        <For each={all.data}>
          {(task) => (
            <li class="task" classList={{ "is-done": task.done }} data-testid="task">
              <input type="checkbox" class="task-done" aria-label={`Done: ${task.title}`} checked={task.done} data-testid="done" onChange={() => void tasks()?.patch(task.id, { done: !task.done })} />
              <span class="task-title" data-testid="title">{task.title}</span>
              <button type="button" class="icon-button task-delete" aria-label={`Delete ${task.title}`} data-testid="delete" onClick={() => void remove(task)}><svg class="icon" aria-hidden="true"><use href="#i-bin" /></svg></button>
            </li>
          )}
        </For>
      </ul>
      <Show when={all.isLoading}><p class="empty">Opening…</p></Show>
      <Show when={all.data?.length === 0}><p class="empty">Nothing here yet.</p></Show>
    </section>
  );
}
