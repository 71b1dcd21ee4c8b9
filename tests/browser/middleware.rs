//! The app's middleware around its entities. The tests are in `middleware.ts`.

crate::stories! {
    "middleware.js":
    saving_goes_down_the_chain_and_reading_comes_back_up,
    what_validate_throws_refuses_the_write_and_is_its_cause,
    a_before_save_that_fails_writes_nothing_and_says_what_to_do,
    one_entity_that_cannot_be_read_hides_no_other,
    what_the_engine_owns_no_middleware_changes,
    a_patch_sends_the_fields_whose_stored_value_differs,
    values_that_are_no_json_pass_through_middleware_that_makes_them,
    two_devices_share_what_the_server_cannot_read,
    a_resolver_sees_and_answers_what_the_app_knows,
    a_parked_conflict_is_seen_and_decided_as_the_app_knows_it,
    a_watch_gives_what_a_read_gives,
    a_config_that_is_wrong_is_refused,
    fields_that_stay_here_pass_through_middleware_like_all_others,
}
