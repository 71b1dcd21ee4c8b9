import { DatumProvider, useCurrentUser, useDatum, useQuery, useSuspenseQuery, useSyncStatus } from "datum-sync/react";
import { Suspense, useRef, useState, type FormEvent } from "react";

import { opening, people, switchTo, type Task } from "./instance.ts";

export function App() {
  return (
    <DatumProvider datum={opening}>
      <section className="device" aria-label="Tasks">
        <Head />
        <Suspense fallback={<p className="empty">Opening…</p>}>
          <Tasks />
        </Suspense>
      </section>
    </DatumProvider>
  );
}

function Head() {
  const user = useCurrentUser();
  const status = useSyncStatus({ select: ({ status, pendingOperations }) => ({ status, pendingOperations }) });
  const open = useQuery<Task, number>("tasks", null, { select: (all) => all.filter((task) => !task.done).length });
  return (
    <>
      <header className="device-head">
        <div className="device-name">
          <h2>{people.find(({ userId }) => userId === user)?.name ?? "Nobody"}</h2>
          <p data-testid="open">{open.data ?? 0} open</p>
        </div>
        <div className="people" role="group" aria-label="User">
          {people.map(({ name, userId }) => (
            <button key={name} type="button" className="button small" aria-pressed={user === userId} data-testid={`user-${name}`} onClick={() => void switchTo(userId)}>{name}</button>
          ))}
        </div>
      </header>
      <div className="sync">
        <p className="state" role="status"><span className="pill" data-state={status?.status} data-testid="status">{status?.status ?? "opening"}</span></p>
        <p className="waiting" data-count={status?.pendingOperations ?? 0}>waiting to sync <span className="count" data-testid="pending">{status?.pendingOperations ?? 0}</span></p>
      </div>
    </>
  );
}

function Tasks() {
  const datum = useDatum<{ tasks: Task }>();
  const tasks = datum.manager("tasks");
  const all = useSuspenseQuery(tasks);
  const [title, setTitle] = useState("");
  const input = useRef<HTMLInputElement>(null);

  const add = async (event: FormEvent) => {
    event.preventDefault();
    if (title.trim() === "") return;
    await tasks.create({ title: title.trim(), done: false });
    setTitle("");
  };
  const remove = async (task: Task) => {
    input.current?.focus();
    await tasks.delete(task.id);
  };

  return (
    <>
      <form className="add" autoComplete="off" onSubmit={(event) => void add(event)}>
        <input ref={input} type="text" aria-label="New task" placeholder="Add a task" maxLength={500} data-testid="new-task" value={title} onChange={(event) => setTitle(event.target.value)} />
        <button type="submit" className="button" data-testid="add-task">Add</button>
      </form>
      <ul className="tasks" role="list" data-testid="tasks">
        {all.map((task) => (
          <li key={task.id} className={`task ${task.done ? "is-done" : ""}`} data-testid="task">
            <input type="checkbox" className="task-done" aria-label={`Done: ${task.title}`} checked={task.done} data-testid="done" onChange={() => void tasks.patch(task.id, { done: !task.done })} />
            <span className="task-title" data-testid="title">{task.title}</span>
            <button type="button" className="icon-button task-delete" aria-label={`Delete ${task.title}`} data-testid="delete" onClick={() => void remove(task)}><svg className="icon" aria-hidden="true"><use href="#i-bin" /></svg></button>
          </li>
        ))}
      </ul>
      {all.length === 0 && <p className="empty">Nothing here yet.</p>}
    </>
  );
}
