// The task list of one device. Rows are reused by id, so that the focus and a title being edited
// survive a refresh. Changes show at once; if the engine rejects one, the list is read again.

import type { Device, Task } from "./device.ts";
import { coalesce, find, icon, make, setText } from "./dom.ts";

interface Row {
  element: HTMLLIElement;
  done: HTMLInputElement;
  title: HTMLButtonElement;
  hint: HTMLElement;
  remove: HTMLButtonElement;
  task: Task;
}

interface Options {
  device: Device;
  userId: string;
  panel: HTMLElement;
  /** Called after a write: pending counts and metadata have changed. */
  onWrite: () => void;
  onError: (error: unknown) => void;
}

/** Connects the list and its form. Returns a function that reads the list again. */
export function wireTasks({ device, userId, panel, onWrite, onError }: Options): () => Promise<void> {
  const { datum, tasks } = device;
  const list = find(panel, ".tasks");
  const empty = find(panel, ".empty");
  const form = find<HTMLFormElement>(panel, ".add");
  const input = find<HTMLInputElement>(form, "input");
  const rows = new Map<string, Row>();

  const refresh = coalesce(async () => {
    try {
      const [all, operations] = await Promise.all([tasks.readAll(), datum.pendingOperations(userId)]);
      const waiting = new Set(operations.filter((o) => o.entity === "tasks").map((o) => o.entityId));
      show(all, waiting);
    } catch (error) {
      onError(error);
    }
  });

  const write = async (change: Promise<unknown>): Promise<boolean> => {
    let written = true;
    try {
      await change;
    } catch (error) {
      written = false;
      onError(error);
    }
    await refresh();
    onWrite();
    return written;
  };

  const show = (all: Task[], waiting: Set<string>): void => {
    // Newest first; ties are broken by id, so that both devices show the same order.
    all.sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
    const ids = new Set(all.map((task) => task.id));
    for (const [id, row] of rows) {
      if (ids.has(id)) continue;
      if (row.element.contains(document.activeElement)) focusAfter(row);
      row.element.remove();
      rows.delete(id);
    }
    let before: Element | null = list.firstElementChild;
    for (const task of all) {
      let row = rows.get(task.id);
      if (!row) rows.set(task.id, (row = addRow(task)));
      fill(row, task, waiting.has(task.id));
      if (row.element === before) before = before.nextElementSibling;
      else list.insertBefore(row.element, before);
    }
    list.hidden = all.length === 0;
    empty.hidden = all.length > 0;
  };

  const focusAfter = (row: Row): void => {
    const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
    (next?.querySelector<HTMLElement>(".task-delete") ?? input).focus();
  };

  const addRow = (task: Task): Row => {
    const done = make("input", { type: "checkbox", class: "task-done", "data-testid": "done" });
    const title = make("button", { type: "button", class: "task-title", title: "Edit (Enter)", "data-testid": "title" });
    const hint = make("span", { class: "task-hint", "data-testid": "hint" });
    const remove = make("button", { type: "button", class: "icon-button task-delete", title: "Delete (Del)", "data-testid": "delete" }, icon("bin"));
    const element = make("li", { class: "task", "data-testid": "task" }, done, title, hint, remove);
    const row: Row = { element, done, title, hint, remove, task };
    done.addEventListener("change", () => {
      element.classList.toggle("is-done", done.checked);
      void write(tasks.patch(row.task.id, { done: done.checked }));
    });
    title.addEventListener("click", () => edit(row));
    remove.addEventListener("click", () => drop(row));
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Delete" || (event.target instanceof HTMLInputElement && event.target.type === "text")) return;
      event.preventDefault();
      drop(row);
    });
    return row;
  };

  const drop = (row: Row): void => {
    if (row.element.contains(document.activeElement)) focusAfter(row);
    row.element.hidden = true;
    void write(tasks.delete(row.task.id)).then((gone) => {
      if (!gone) row.element.hidden = false;
    });
  };

  const edit = (row: Row): void => {
    const field = make("input", { type: "text", class: "task-edit", maxlength: "500", "aria-label": `Title of ${row.task.title}`, "data-testid": "title-input" });
    field.value = row.task.title;
    row.title.replaceWith(field);
    field.focus();
    field.select();
    let finished = false;
    const finish = (keep: boolean, refocus: boolean): void => {
      if (finished) return;
      finished = true;
      const text = field.value.trim();
      field.replaceWith(row.title);
      if (refocus) row.title.focus();
      if (!keep || text === "" || text === row.task.title) return;
      setText(row.title, text);
      void write(tasks.patch(row.task.id, { title: text }));
    };
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter") finish(true, true);
      else if (event.key === "Escape") finish(false, true);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    field.addEventListener("blur", () => finish(true, false));
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const title = input.value.trim();
    input.focus();
    if (title === "") return;
    input.value = "";
    void write(tasks.create({ title, done: false })).then((written) => {
      if (!written && input.value === "") input.value = title; // Keep the typed title.
    });
  });

  return refresh;
}

function fill(row: Row, task: Task, waiting: boolean): void {
  row.task = task;
  row.element.classList.toggle("is-done", task.done);
  row.element.dataset["waiting"] = String(waiting);
  if (row.done.checked !== task.done) row.done.checked = task.done;
  row.done.setAttribute("aria-label", `Done: ${task.title}`);
  row.remove.setAttribute("aria-label", `Delete ${task.title}`);
  setText(row.title, task.title);
  const fresh = task.version === 0;
  setText(row.hint, waiting || fresh ? (fresh ? "new, waiting" : "edited, waiting") : `v${task.version}`);
  row.hint.title = waiting || fresh ? "The server does not have this yet" : `The server has this as version ${task.version}`;
}
