//! Conflicts as an app sees them: fields merged by policy, explanations, and resolvers that fail. The
//! tests are in `merge.ts`.

crate::stories! {
    "merge.js":
    fields_are_merged_by_policy_and_the_app_can_ask_why,
    policies_that_cannot_be_are_refused,
    a_resolver_that_fails_parks_the_conflict_and_is_asked_again,
    aborting_stops_a_cycle_whose_resolver_hangs,
}
