/** The errors of the hooks themselves. */

import { DatumError, type DatumErrorCode } from "datum-sync";

/** Returns what was thrown as an error of the package: the engine's own as it is. */
export function errorOf(code: DatumErrorCode, thrown: unknown): DatumError {
  if (thrown instanceof DatumError) return thrown;
  return new DatumError(code, thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
}

/** What a hook throws that is called outside of a provider. */
export const withoutProvider = (hook: string, fix: string): DatumError => new DatumError("notInitialized", `${hook} has no instance to work with: ${fix}`);

/** Why there is no instance yet. */
export const notOpen = (): DatumError => new DatumError("notInitialized", "There is no instance yet: the provider was given none. On a server there is none; put what needs one into a boundary that shows something else meanwhile.");

/** Why there is nothing to show. */
export const noUser = (hook: string): DatumError => new DatumError("noUser", `${hook} has nothing to show: nobody is signed in. Show a sign-in instead while useCurrentUser is null.`);
