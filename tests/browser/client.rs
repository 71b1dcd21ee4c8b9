//! The exported classes on IndexedDB, with a `fetch` that the server's rules answer. The tests are in
//! `client.ts`, written as an app is.

crate::stories! {
    "client.js":
    what_one_device_writes_offline_another_sees_and_a_reload_keeps,
    the_status_feed_is_an_async_iterator_that_ends_on_close,
    every_form_of_writing_and_reading_does_what_it_says,
    bad_input_is_refused_with_a_code_the_field_and_the_fix,
    an_apps_resolver_and_its_signal_are_heard,
    metadata_is_read_compared_and_cleared_on_both_sides,
    an_apps_own_adapter_is_a_remote,
    two_instances_on_one_database_hear_of_each_other,
    what_is_written_is_pushed_by_itself_and_the_status_says_what_comes_next,
    a_write_waits_for_what_it_depends_on_and_a_refused_one_stays_visible,
}
