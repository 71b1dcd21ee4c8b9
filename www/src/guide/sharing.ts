// Guide page: sharing. Two users, each with their own device, and one list.

import type { SpaceRole } from "datum-sync";

import { find, setText } from "../dom.ts";
import { allow, makeList } from "../patterns/sharing.ts";
import source from "../patterns/sharing.ts?raw";
import { GuidePage } from "./page.ts";
import { Person } from "./person.ts";

const page = new GuidePage("sharing", source);
const ada = new Person(page, "Ada");
const ben = new Person(page, "Ben");

/** What Ada can let Ben do, by button. */
const choices: { button: string; role: SpaceRole | null; told: string }[] = [
  { button: "let-write", role: "writer", told: "Ben may write" },
  { button: "let-read", role: "reader", told: "Ben may only read" },
  { button: "let-none", role: null, told: "Ben is removed" },
];

ada.onChange = ({ members }) => {
  const role = members.find((member) => member.userId === ben.userId)?.role ?? null;
  for (const choice of choices) {
    find(document, `[data-testid=${choice.button}]`).setAttribute("aria-pressed", String(choice.role === role));
  }
};
ben.onChange = ({ space }) => {
  const says = space === undefined ? "Ada has not invited Ben" : space.role === "reader" ? "Ben reads Ada's list" : "Ben writes in Ada's list";
  setText(find(document, "[data-testid=ben-says]"), says);
};

void page.attempt(async () => {
  await Promise.all([ada.open(), ben.open()]);
  await Promise.all([ada.sync(), ben.sync()]);
  const [known] = await ada.datum.spaces().list();
  const spaceId = known?.spaceId ?? (await makeList(ada.datum, "Groceries", ["Bread", "Milk"]));
  for (const { button, role, told } of choices) {
    page.onPress(button, async () => {
      await allow(ada.datum, spaceId, ben.userId, role);
      page.print(`Ada: ${told}`);
      await ada.refresh();
    });
  }
  await ada.refresh();
  document.documentElement.dataset["ready"] = "true";
});
