// The page: one user, two devices.

import { showCode } from "./code.ts";
import { find, setText } from "./dom.ts";
import { wireKeys } from "./keys.ts";
import { Panel } from "./panel.ts";
import { wireTheme } from "./theme.ts";
import { currentUser } from "./user.ts";

const userId = currentUser();
setText(find(document, "#user"), userId);
wireTheme(find<HTMLButtonElement>(document, "#theme"));
showCode(find<HTMLDetailsElement>(document, "#code"));

const template = find<HTMLTemplateElement>(document, "#device");
const a: Panel = new Panel(
  { id: "a", name: "Device A", database: "demo-a", icon: "laptop", userId, onSynced: () => void b.compareAgain() },
  template,
);
const b: Panel = new Panel(
  { id: "b", name: "Device B", database: "demo-b", icon: "phone", userId, onSynced: () => void a.compareAgain() },
  template,
);
find(document, "#devices").append(a.element, b.element);
wireKeys(a, () => b);
wireKeys(b, () => a);
// Independent of each other: if one device cannot open, the other one still works.
void a.start();
void b.start();
