//! Shared spaces at the border of JavaScript. The tests are in `spaces.ts`.

crate::stories! {
    "spaces.js":
    a_space_is_made_named_shared_left_and_ended,
    the_feed_of_spaces_gives_the_list_and_each_change_to_each_loop,
    a_loop_over_spaces_ends_with_its_instance_and_its_user,
    entities_are_written_read_watched_and_moved_by_space,
    what_is_new_about_spaces_is_an_event_in_each_instance,
    what_is_no_space_is_refused_by_name_in_every_call,
    names_roles_and_members_that_are_none_are_refused_by_name,
    options_of_spaces_are_read_once_by_own_keys,
}
