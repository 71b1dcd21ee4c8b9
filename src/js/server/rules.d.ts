// The glue of the rules' module, which `pack` makes from `server/node`.

/** What the rules need of a connection to SQLite. What is thrown has a `message`, and a `resultCode` if it is SQLite's. */
export interface Database {
  begin(writes: boolean): void;
  commit(): void;
  rollback(): void;
  each(query: string, values: unknown[], take: (row: unknown[]) => boolean): void;
  run(statement: string, values: unknown[]): number;
  script(statements: string): void;
}

export class Rules {
  static memory(config: string, serverId: string, epoch: string, journal?: (line: string) => void): Rules;
  static sqlite(config: string, database: Database, epoch: string): Rules;
  replay(line: string): void;
  answer(user: string, method: string, target: string, body: Uint8Array, now: number): [head: string, body?: Uint8Array<ArrayBuffer>];
  health(now: number): [head: string, body?: Uint8Array<ArrayBuffer>];
  waitMs(body: Uint8Array): number;
  sweep(now: number): string | undefined;
  setEpoch(epoch: string): void;
  forget(operations: boolean): void;
}

export default function load(from: { module_or_path: WebAssembly.Module | BufferSource }): Promise<unknown>;
