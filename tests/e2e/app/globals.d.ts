// What the pages may use without importing it; `harness.ts` makes it.
declare const session: { url: string; userId: string; token(): Promise<string> };
declare function render(value: unknown): void;
interface Window {
  rendered: unknown[];
}
