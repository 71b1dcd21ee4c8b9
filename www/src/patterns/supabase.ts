import type { SupabaseClient } from "@supabase/supabase-js";
import { Datum, type Entity } from "datum-sync";
import {
  connectAuth,
  signedInUser,
  supabaseRemote,
} from "datum-sync/supabase";

export interface Task extends Entity {
  title: string;
  done: boolean;
}

/** The app's screens. */
export interface Screens {
  /** `unsent`: local changes that wait for the next sign-in. */
  login(unsent: number): void;
  /** `isCurrent`: whether the latest data has arrived. */
  tasks(userId: string, isCurrent: boolean): void;
}

// #region open
/** Puts offline sync on the app's own client. */
export async function openDatum(
  supabase: SupabaseClient,
  screens: Screens,
  name = "datum",
) {
  const datum = await Datum.initialize<{ tasks: Task }>({
    name,
    entities: { tasks: {} },
    remote: supabaseRemote(supabase),
    initialUserId: () => signedInUser(supabase),
    autoStartSync: true,
    realtime: true, // changes of other devices arrive at once
  });
  connectAuth(datum, supabase, {
    onSignedIn: (userId, result) =>
      screens.tasks(userId, result?.isSuccess ?? false),
    onSignedOut: (_, { unsynced }) => screens.login(unsynced.length),
  });
  return datum;
}
// #endregion
