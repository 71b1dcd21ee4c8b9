//! Waiting for the end of a write: in the tab that wrote, in another, and after a reload. The tests are
//! in `receipts.ts`.

crate::stories! {
    "receipts.js":
    a_write_is_waited_for_here_in_another_instance_and_after_a_reload,
    a_merge_and_a_refusal_are_told_by_their_words,
}
