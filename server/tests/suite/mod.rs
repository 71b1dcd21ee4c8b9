//! What every store must do, as stories over all rules. The test file of each store runs all of
//! them with [`mount!`].

#[path = "../common/conversation.rs"]
pub mod conversation;
pub mod conversations;
pub mod cursors;
pub mod late;
pub mod member_input;
pub mod members;
pub mod moves;
pub mod pulls;
pub mod push_input;
pub mod pushes;
pub mod records;
pub mod scopes;
pub mod shared;
pub mod shared_cursors;
pub mod shared_pulls;
pub mod shared_random;

use datum_server::rules::store::{Store, Transaction};
use datum_server::{Config, Service};
use serde_json::{Value, json};

/// A day, in milliseconds.
pub const DAY: u64 = 86_400_000;

/// One server and its clock.
pub struct World<S> {
    pub service: Service<S>,
    pub now: u64,
}

impl<S: Store> World<S> {
    pub fn new(store: S) -> Self {
        Self {
            service: Service {
                store,
                config: Config::default(),
            },
            now: 1_000 * DAY,
        }
    }

    pub async fn call(&self, user: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
        match self
            .service
            .handle(
                user,
                method,
                &format!("/sync/v1/{path}"),
                body.as_bytes(),
                self.now,
            )
            .await
        {
            Ok(reply) => (200, serde_json::from_slice(&reply.body).unwrap()),
            Err(error) => (
                error.status,
                serde_json::to_value(error.body(None)).unwrap(),
            ),
        }
    }

    /// Pushes operations and returns their verdicts.
    pub async fn push(&self, user: &str, operations: Value) -> Vec<Value> {
        let body = json!({ "clientId": "d1", "schema": 1, "operations": operations }).to_string();
        let (status, reply) = self.call(user, "POST", "push", &body).await;
        assert_eq!(status, 200, "{reply}");
        reply["results"].as_array().unwrap().clone()
    }

    /// Creates a row and returns its version.
    pub async fn create(&self, user: &str, entity: &str, id: &str) -> u64 {
        let verdicts = self
            .push(
                user,
                json!([op(
                    &format!("c-{entity}-{id}"),
                    entity,
                    id,
                    "create",
                    None,
                    json!({ "title": id })
                )]),
            )
            .await;
        version(&verdicts[0])
    }

    pub async fn try_pull(&self, user: &str, request: Value) -> (u16, Value) {
        let mut body = json!({ "clientId": "d1", "schema": 1, "cursor": null, "limit": 100 });
        body.as_object_mut()
            .unwrap()
            .extend(request.as_object().unwrap().clone());
        self.call(user, "POST", "pull", &body.to_string()).await
    }

    pub async fn pull(&self, user: &str, request: Value) -> Value {
        let (status, page) = self.try_pull(user, request).await;
        assert_eq!(status, 200, "{page}");
        // The client must accept every page of every story.
        datum_sync::model::protocol::parse_page(page.to_string().as_bytes()).unwrap();
        page
    }

    /// Pulls page by page until the end, and returns all changes and the last cursor.
    pub async fn pull_all(&self, user: &str, mut request: Value) -> (Vec<Value>, Value) {
        let mut changes = Vec::new();
        loop {
            let page = self.pull(user, request.clone()).await;
            changes.extend(page["changes"].as_array().unwrap().iter().cloned());
            assert_ne!(
                page["cursor"], request["cursor"],
                "a page must advance the cursor, or end the pull"
            );
            request["cursor"] = page["cursor"].clone();
            if page["more"] == false {
                return (changes, request["cursor"].clone());
            }
        }
    }

    pub async fn purge_tombstones(&self) {
        let mut tx = self.service.store.write().await.unwrap();
        tx.sweep(u64::MAX, 0, u64::MAX).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Builds an operation as a client sends it.
pub fn op(
    op_id: &str,
    entity: &str,
    id: &str,
    kind: &str,
    base: Option<u64>,
    data: Value,
) -> Value {
    let mut op =
        json!({ "opId": op_id, "entity": entity, "id": id, "kind": kind, "baseVersion": base });
    if !data.is_null() {
        op["data"] = data;
    }
    op
}

pub fn version(verdict: &Value) -> u64 {
    verdict["version"]
        .as_u64()
        .unwrap_or_else(|| panic!("no version in {verdict}"))
}

pub fn statuses(verdicts: &[Value]) -> Vec<&str> {
    verdicts
        .iter()
        .map(|verdict| verdict["status"].as_str().unwrap())
        .collect()
}

pub fn ids(changes: &[Value]) -> Vec<&str> {
    changes
        .iter()
        .map(|change| change["id"].as_str().unwrap())
        .collect()
}

/// Declares a `#[test]` for each story. `$run` runs an async block, `$store` creates an empty store.
#[macro_export]
macro_rules! mount {
    ($run:path, $store:expr) => {
        $crate::mount!(@ $run, $store, cursors,
            a_cursor_is_bound_to_user_epoch_and_scope,
            a_cursor_older_than_the_tombstones_is_refused,
            a_snapshot_is_refused_if_tombstones_are_removed_meanwhile);
        $crate::mount!(@ $run, $store, pulls,
            a_snapshot_has_every_live_row_and_no_tombstone,
            a_later_pull_has_changes_and_tombstones,
            pages_are_limited_by_rows_and_count_the_rest,
            a_write_between_two_pages_counts_as_remaining,
            pages_are_limited_by_bytes_but_have_at_least_one_row,
            a_row_that_changes_while_paging_is_delivered_again,
            a_row_deleted_during_a_snapshot_arrives_as_a_tombstone,
            an_idle_pull_repeats_its_cursor_and_ends,
            the_last_page_has_digests_of_the_pulled_types,
            a_pull_that_breaks_the_protocol_is_refused_with_a_code,
            users_never_see_each_other);
        $crate::mount!(@ $run, $store, push_input,
            an_invalid_operation_is_rejected_alone,
            reserved_fields_are_not_stored,
            text_may_have_any_character_and_is_kept_as_it_was_sent,
            what_no_client_could_edit_is_refused,
            equal_data_is_what_the_vectors_call_equal,
            ids_may_have_quotes_and_emoji,
            an_entity_over_the_limit_is_rejected_even_after_a_patch,
            conflicts_that_do_not_fit_the_reply_are_answered_retry,
            a_push_that_breaks_the_protocol_is_refused_with_a_code,
            what_is_optional_may_be_null_and_whole_numbers_may_have_a_fraction_of_zero,
            ten_thousand_operations_are_accepted_and_one_more_is_not);
        $crate::mount!(@ $run, $store, pushes,
            versions_grow_with_each_write_and_over_tombstones,
            a_stale_base_is_a_conflict_with_the_current_row,
            creating_an_equal_row_is_applied_and_a_different_one_conflicts,
            a_patch_replaces_top_level_fields,
            an_operation_whose_dependency_was_not_applied_is_blocked,
            a_patch_needs_a_live_row,
            deleting_a_missing_row_is_applied,
            an_edit_of_a_deleted_row_conflicts_and_may_then_revive_it,
            an_edit_of_a_swept_row_conflicts_and_may_then_revive_it,
            operations_on_one_row_see_each_other,
            digests_follow_every_write,
            a_push_for_another_server_does_nothing,
            a_push_that_names_no_server_is_for_any);
        $crate::mount!(@ $run, $store, records,
            an_operation_sent_twice_is_applied_once,
            only_applied_operations_are_recorded,
            an_operation_id_belongs_to_one_row_of_one_user,
            operations_sent_again_after_their_retention_do_no_harm,
            a_sweep_goes_on_in_parts_until_all_is_gone,
            a_transaction_that_is_dropped_changed_nothing,
            metadata_has_one_record_per_device,
            the_least_recently_seen_device_is_removed_first,
            metadata_that_cannot_be_read_is_refused,
            optional_metadata_may_be_null_and_times_are_times,
            a_new_epoch_invalidates_all_cursors,
            a_new_epoch_reports_the_last_version_of_an_earlier_one,
            every_reply_names_the_server_and_a_new_epoch_keeps_its_id);
        $crate::mount!(@ $run, $store, late,
            a_superseded_operation_that_arrives_late_is_answered_each_time,
            an_operation_may_name_ids_twice_and_its_own,
            an_id_that_conflicted_without_a_base_never_fits_without_one,
            what_is_sent_again_after_its_row_was_deleted_says_so);
        $crate::mount!(@ $run, $store, scopes,
            a_filter_by_entity_loses_no_row_between_pages,
            a_filter_by_entity_loses_nothing_behind_a_large_row,
            a_page_has_what_the_store_in_memory_finds,
            a_scope_selects_rows_and_reports_those_that_leave,
            a_scope_compares_numbers_by_value_and_missing_fields_with_null,
            a_scope_compares_as_the_vectors_do,
            a_pull_with_a_scope_has_no_digests,
            a_scope_that_matches_nothing_still_ends);
        $crate::mount!(@ $run, $store, member_input,
            what_describes_a_space_is_checked,
            members_and_spaces_are_limited_with_a_code);
        $crate::mount!(@ $run, $store, members,
            creating_a_space_makes_its_author_its_owner,
            a_stranger_is_told_the_same_whether_there_is_such_a_space,
            roles_say_who_may_do_what,
            the_last_owner_stays,
            an_ended_space_is_gone_for_all_and_its_id_is_never_used_again,
            a_push_that_ends_a_space_writes_nothing_into_it_afterwards,
            what_was_applied_stays_so_after_the_membership,
            a_refusal_for_a_role_is_not_remembered,
            what_waits_for_a_space_is_blocked_if_that_is_refused,
            a_personal_space_is_in_a_namespace_of_its_own,
            a_change_of_a_role_is_told_and_a_change_of_the_row_alone_is_not);
        $crate::mount!(@ $run, $store, moves,
            a_move_leaves_a_tombstone_and_takes_the_next_version_there,
            a_move_needs_a_writer_in_both_spaces_and_says_which_it_is,
            a_row_is_space_type_and_id,
            a_write_of_a_moved_row_is_a_conflict_that_tells_where_it_is,
            a_create_that_met_a_moved_row_never_fits_without_a_base,
            a_moved_row_is_followed_through_spaces_that_the_user_may_not_read,
            a_moved_row_is_followed_over_eight_moves,
            several_moves_and_edits_in_one_push_see_each_other);
        $crate::mount!(@ $run, $store, shared_cursors,
            who_left_and_came_back_unheard_goes_on_from_there,
            a_space_whose_tombstones_are_forgotten_starts_alone,
            a_cursor_from_before_there_were_spaces_goes_on,
            a_forged_cursor_leads_nowhere_else,
            a_user_may_be_in_a_thousand_spaces);
        $crate::mount!(@ $run, $store, shared_pulls,
            a_new_space_comes_from_its_beginning_in_the_same_pull,
            a_pull_from_null_has_the_list_and_all_starts_in_its_first_page,
            the_list_comes_with_whatever_page_follows_its_change,
            a_busy_space_holds_up_no_other,
            remaining_is_right_over_several_spaces,
            digests_are_sums_and_a_row_in_another_space_differs,
            a_restored_server_tells_what_it_kept_of_each_space,
            a_page_is_limited_over_all_spaces,
            filters_and_scopes_are_over_all_spaces,
            the_stores_agree_on_numbers_and_the_order_of_joining);
        $crate::mount!(@ $run, $store, shared_random, a_device_ends_with_what_its_user_may_read);
        $crate::mount!(@ $run, $store, conversations, every_conversation_of_the_protocol_holds);
    };
    (@ $run:path, $store:expr, $module:ident, $($story:ident),* $(,)?) => {
        mod $module {
            $(#[test] fn $story() { $run(async { $crate::suite::$module::$story($crate::suite::World::new($store.await)).await }); })*
        }
    };
}
