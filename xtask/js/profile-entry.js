// The entry of the package that is profiled: a page of it decides when the engine gets its later parts.
export * from "./entry.js";
export { beginParts, followParts } from "./datum_sync.js";
