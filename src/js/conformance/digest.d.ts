/** Digests of rows: `digest.js` of the package. */
declare module "*/digest.js" {
  interface Sum {
    count: number;
    sum: bigint;
  }
  export const NONE: Sum;
  export function counted(digest: Sum, count: number, space: null, row: { entity: string; id: string; version: number }): Sum;
  export function onTheWire(digest: Sum): { count: number; hash: string };
}
