//! Watches, events, observers, the log, metrics and health. The tests are in `feeds.ts`.

crate::stories! {
    "feeds.js":
    a_watch_gives_what_is_there_and_then_each_change,
    two_calls_at_the_beginning_of_a_loop_share_one_watch,
    ids_beyond_the_basic_plane_keep_the_engines_order,
    another_instance_and_the_remote_are_seen_by_a_watch,
    one_entity_is_watched_by_its_id_and_null_where_there_is_none,
    observers_and_the_log_hear_of_everything_and_can_break_nothing,
    bad_observers_loggers_and_filters_are_refused_by_name,
    health_and_metrics_say_how_it_goes,
}
