//! Users of one page: switching, signing out, and the token of each request. The tests are in
//! `users.ts`.

crate::stories! {
    "users.js":
    each_user_has_a_database_and_calls_go_to_whoever_is_current_when_they_are_made,
    the_default_strategy_is_the_configs_and_pushes_under_the_previous_users_name,
    nothing_goes_under_another_users_token,
    a_logout_flushes_keeps_what_it_could_not_and_wipes_only_what_is_synced,
    the_apps_own_metadata_reaches_the_remote,
    bad_input_is_refused_by_name,
    the_first_user_may_be_nobody_and_must_answer_in_time,
}
