// The least that shows that the module was loaded and works: written, and read back from the engine.
import { Datum, type Entity } from "datum-sync";

interface Note extends Entity {
  text: string;
}

const datum = await Datum.initialize({ name: "smoke", entities: { note: {} }, remote: { url: location.origin }, initialUserId: "ada" });
const notes = datum.manager<Note>("note");
const note = await notes.create({ text: "hello" });
const read = await notes.read(note.id);
document.title = read?.text ?? "lost";
