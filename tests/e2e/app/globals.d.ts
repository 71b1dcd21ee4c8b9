// Globals of the pages; `harness.ts` defines them.
declare const session: { url: string; userId: string; token(): Promise<string> };
declare function render(value: unknown): void;
interface Window {
  rendered: unknown[];
}
