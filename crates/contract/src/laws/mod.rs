//! The table of laws. Each file holds the laws of one topic.

mod activity;
mod agent_changes;
mod agent_files;
mod agent_names;
mod agent_reads;
mod appends;
mod authors;
mod clears;
mod direct_rooms;
mod ensure;
mod joining;
mod law_run;
mod list_parts;
mod log_reads;
mod long_lists;
mod members;
mod memories;
mod persona_files;
mod persona_samples;
mod persona_writes;
mod personas;
mod read_positions;
mod removals;
mod room_changes;
mod room_names;
mod room_reads;
mod send_keys;
mod sessions;
mod settle;
mod shown;
mod snapshots;
mod talk;
mod usage;

use crate::law::Law;
use law_run::LawRun;

macro_rules! table {
    ($($port:literal $file:ident { $($law:ident)* })*) => {
        /// Returns every law, in the order of the ports.
        pub fn laws() -> Vec<Law> {
            vec![$($(Law {
                name: stringify!($law),
                port: $port,
                run: |ports| {
                    Box::pin($file::$law(LawRun::new(stringify!($law), ports)))
                },
            },)*)*]
        }
    };
}

table! {
    "Agents" agent_reads {
        a_created_agent_is_shown_by_every_read
        an_agent_looked_up_before_its_creation_is_found
        an_unknown_agent_is_absent
        living_agents_are_listed_by_ascending_id
        agents_found_together_come_by_ascending_id_each_once
        agent_ids_are_never_reused
    }
    "Agents" agent_names {
        a_living_agents_name_is_a_conflict
        a_name_that_collides_with_a_living_agents_name_is_a_conflict
        a_deleted_agents_name_is_free
        of_concurrent_creates_with_one_name_one_succeeds
        an_agent_is_found_by_its_current_name
        an_agents_own_name_is_no_conflict
        a_renamed_agents_old_name_is_free
    }
    "Agents" agent_files {
        the_store_names_the_picture
    }
    "Agents" long_lists {
        an_agent_is_found_among_many_unknown_ids
    }
    "Agents" list_parts {
        agents_are_listed_in_parts
    }
    "Agents" agent_changes {
        an_update_changes_the_named_fields_and_nothing_else
        an_update_to_a_taken_name_changes_nothing
        concurrent_updates_of_an_agent_all_stay
        a_deleted_agent_is_found_only_among_many
        a_deleted_agent_cannot_be_changed
        a_deleted_agents_memberships_and_messages_stay
    }
    "AgentConfigs" personas {
        a_persona_is_returned_as_it_was_stored
        a_deleted_or_unknown_agent_has_no_persona
        personas_found_together_come_by_ascending_id_each_once
        a_picture_is_returned_as_stored_while_its_agent_lives
        an_agents_persona_is_its_own
    }
    "AgentConfigs" persona_writes {
        saving_replaces_all_but_the_picture
        a_recent_event_is_added_after_the_others
        concurrent_memories_all_stay
    }
    "AgentFiles" personas {
        find_again_returns_what_find_many_returns
    }
    "AgentFiles" agent_files {
        adopting_a_path_that_leads_outside_is_invalid
        adopting_an_agents_files_is_a_conflict
        adopting_a_path_without_files_is_missing
    }
    "AgentFiles" persona_files {
        reloading_unchanged_files_changes_nothing
        stored_personas_are_listed_by_name
        a_write_through_the_ports_is_not_a_foreign_change
        valid_files_are_not_reported
    }
    "Memories" memories {
        an_agents_memories_of_an_owner_come_oldest_first
        memories_of_an_owner_are_kept_from_other_owners_and_agents
        only_the_newest_memories_stay
        concurrent_memories_of_an_owner_all_stay
        a_deleted_agent_remembers_nothing
        forgetting_an_owner_leaves_the_others
    }
    "Rooms" room_reads {
        a_created_room_is_shown_by_every_read
        a_room_looked_up_before_its_creation_is_found
        an_unknown_room_is_absent
        rooms_are_listed_by_ascending_id
        an_owners_rooms_are_listed_by_ascending_id_and_no_others
        rooms_found_together_come_by_ascending_id_each_once
    }
    "Rooms" long_lists {
        a_room_is_found_among_many_unknown_ids
    }
    "Rooms" list_parts {
        rooms_are_listed_in_parts
        an_owners_rooms_are_listed_in_parts
    }
    "Rooms" room_names {
        an_owners_room_name_is_a_conflict_for_that_owner_only
        of_concurrent_creates_of_a_room_one_succeeds
        an_update_to_a_taken_room_name_changes_nothing
    }
    "Rooms" room_changes {
        an_update_of_a_room_changes_the_named_fields_and_nothing_else
        concurrent_updates_of_a_room_all_stay
        a_room_is_finished_until_a_user_speaks
        messages_do_not_change_their_room
        deleting_a_room_deletes_everything_in_it
    }
    "Rooms" direct_rooms {
        a_direct_room_is_created_once_with_its_agent_in_it
        an_owner_and_an_agent_have_a_direct_room_of_their_own
        concurrent_calls_create_one_direct_room
        a_direct_room_is_found_whatever_its_name
        direct_rooms_names_are_no_conflicts
        a_deleted_agent_gets_no_direct_room_and_keeps_its_old_one
        a_deleted_direct_room_is_created_again
    }
    "Rooms" members {
        members_come_in_the_order_of_joining
        adding_an_agent_twice_is_the_same_as_once
        a_deleted_agent_stays_in_its_rooms_until_its_removal
        removing_an_agent_that_is_not_a_member_is_missing
    }
    "Rooms" joining {
        joining_a_room_with_messages_is_announced
        joining_a_room_without_messages_is_not_announced
        joining_and_its_announcement_are_one_step
        an_agent_joins_under_its_current_name
    }
    "Rooms" activity {
        activity_follows_every_message_and_clear
        activities_found_together_come_by_ascending_room_each_once
    }
    "Messages" log_reads {
        recent_returns_the_newest_messages_oldest_first
        recent_returns_the_newest_messages_below_an_id
        since_returns_the_oldest_messages_above_an_id
        an_id_of_another_room_divides_the_log_like_its_own
        an_unknown_rooms_log_is_empty
        end_returns_the_newest_messages_and_the_last_sequence_number
        images_of_a_room_come_by_ascending_id_each_once
    }
    "Messages" long_lists {
        messages_are_found_among_many_unknown_ids
    }
    "Messages" authors {
        by_authors_returns_their_oldest_messages_above_an_id
        since_answer_returns_the_unanswered_messages
        since_answer_begins_where_the_agent_joined
        answer_counts_match_the_current_log
    }
    "Messages" list_parts {
        by_authors_without_after_returns_their_newest_messages
    }
    "Messages" appends {
        an_appended_message_is_stored_whole
        a_text_with_the_character_nul_is_refused
        a_message_takes_the_next_sequence_number_of_its_room
        concurrent_messages_are_gapless_and_in_order
        a_poller_misses_nothing
        a_read_during_writes_sees_a_log_without_holes
    }
    "Messages" snapshots {
        an_end_is_read_in_one_snapshot
        answer_counts_are_read_in_one_snapshot
    }
    "Messages" clears {
        clearing_takes_a_sequence_number_and_returns_the_count
        message_ids_are_never_reused
        clearing_and_appending_take_turns
    }
    "Messages" removals {
        removing_takes_a_sequence_number_and_leaves_the_rest
        a_removed_message_is_shown_by_no_read
        removals_are_listed_until_the_next_clear
        removing_and_appending_take_turns
        the_size_of_an_owners_images_follows_them
    }
    "Messages" send_keys {
        a_message_is_stored_once_under_its_key
        of_concurrent_messages_under_one_key_one_is_stored
    }
    "ReadPositions" read_positions {
        a_mark_covers_the_whole_log
        a_message_after_the_mark_is_unread
        a_mark_concerns_one_user_and_one_room
        positions_found_together_come_by_ascending_room_each_once
        concurrent_marks_all_count
        an_unknown_room_cannot_be_marked
    }
    "ReadPositions" snapshots {
        a_mark_covers_what_was_acknowledged_before_it
    }
    "Sessions" sessions {
        sessions_come_by_ascending_agent
        saving_a_session_leaves_the_others
        concurrent_sessions_all_stay
        an_agent_that_is_not_a_member_has_no_session
    }
    "UsageLog" usage {
        usage_is_added_up_by_every_field
        sums_begin_with_their_first_day
        the_greatest_sums_come_first
        tokens_are_those_of_one_day_and_one_owner
        concurrent_usage_is_all_counted
    }
    "Settle" settle {
        settling_changes_nothing_that_was_acknowledged
        a_dropped_message_has_landed_when_settled_or_never_lands
        a_dropped_update_of_an_agent_is_whole_or_absent_when_settled
    }
    "Health" settle {
        a_store_in_use_is_healthy
    }
}
