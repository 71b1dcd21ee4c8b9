// Globals of the pages; `harness.ts` defines them.
declare const session: { userId: string; remote: import("datum-sync").HttpRemote | import("datum-sync").RemoteAdapter };
declare function render(value: unknown): void;
interface Window {
  rendered: unknown[];
}
