// The smallest page that shows that the engine works: it writes a note and reads it back.
import { Datum, type Entity } from "datum-sync";

interface Note extends Entity {
  text: string;
}

const datum = await Datum.initialize({ name: "smoke", entities: { note: {} }, remote: { url: location.origin }, initialUserId: "ada" });
const notes = datum.manager<Note>("note");
const note = await notes.create({ text: "hello" });
const read = await notes.read(note.id);
document.title = read?.text ?? "lost";
