//! The table of laws.

mod agent_changes;
mod agents;
mod appends;
mod configs;
mod direct_rooms;
mod members;
mod messages;
mod reads;
mod rooms;
mod sessions;
mod settle;
mod stage;

use crate::law::Law;
use stage::Stage;

macro_rules! table {
    ($($port:literal $file:ident { $($law:ident)* })*) => {
        /// Every law, port by port.
        pub fn laws() -> Vec<Law> {
            vec![$($(Law {
                name: stringify!($law),
                port: $port,
                run: |r| Box::pin(async move { $file::$law(Stage::new(stringify!($law), r)).await }),
            },)*)*]
        }
    };
}

table! {
    "Agents" agents {
        a_created_agent_is_shown_by_every_read
        an_agent_asked_for_before_it_was_made_is_found
        an_unknown_agent_is_absent
        living_agents_are_listed_by_rising_id
        agents_found_together_come_by_rising_id_each_once
        agents_ids_are_never_used_twice
        a_living_agents_name_is_a_conflict
        a_deleted_agents_name_is_free
        of_concurrent_creates_with_one_name_one_succeeds
        the_store_names_the_picture
        adopting_a_path_that_leads_outside_is_invalid
        adopting_an_agents_files_is_a_conflict
        adopting_what_is_not_there_is_missing
    }
    "Agents" agent_changes {
        an_update_changes_what_it_names_and_nothing_else
        an_update_to_a_taken_name_changes_nothing
        an_agents_own_name_is_no_conflict
        a_renamed_agents_old_name_is_free
        concurrent_updates_of_an_agent_all_stay
        a_deleted_agent_is_found_only_among_many
        a_deleted_agent_cannot_be_changed
        a_deleted_agents_memberships_and_messages_stay
    }
    "AgentConfigs" configs {
        a_persona_comes_back_as_it_was_given
        a_deleted_or_unknown_agent_has_no_persona
        personas_found_together_come_by_rising_id_each_once
        what_is_found_again_is_what_is_there
        a_picture_comes_back_as_it_was_given_while_its_agent_lives
        saving_replaces_all_but_the_picture
        a_recent_event_is_added_behind_the_others
        concurrent_memories_all_stay
        reading_unchanged_files_anew_changes_nothing
        an_agents_persona_is_its_own
        stored_personas_are_listed_by_name
        what_is_written_through_the_ports_is_no_foreign_change
        nothing_is_told_of_files_that_are_well
    }
    "Rooms" rooms {
        a_created_room_is_shown_by_every_read
        a_room_asked_for_before_it_was_made_is_found
        an_unknown_room_is_absent
        rooms_are_listed_by_rising_id
        an_owners_rooms_are_listed_by_rising_id_and_no_others
        rooms_found_together_come_by_rising_id_each_once
        an_owners_room_name_is_a_conflict_for_that_owner_only
        of_concurrent_creates_of_a_room_one_succeeds
        an_update_of_a_room_changes_what_it_names_and_nothing_else
        an_update_to_a_taken_room_name_changes_nothing
        concurrent_updates_of_a_room_all_stay
        a_room_is_finished_until_a_user_speaks
        what_is_said_in_a_room_does_not_change_it
        a_deleted_room_takes_everything_with_it
    }
    "Rooms" direct_rooms {
        a_direct_room_is_made_once_with_its_agent_in_it
        an_owner_and_an_agent_have_a_direct_room_of_their_own
        concurrent_calls_make_one_direct_room
        a_direct_room_is_found_whatever_its_name
        direct_rooms_names_are_no_conflicts
        a_deleted_agent_gets_no_direct_room_and_keeps_its_old_one
        a_deleted_direct_room_is_made_anew
    }
    "Rooms" members {
        members_come_in_the_order_of_joining
        adding_an_agent_twice_is_the_same_as_once
        joining_a_room_with_messages_is_told_in_it
        joining_a_room_without_messages_is_not_told
        joining_and_its_message_are_one_step
        a_deleted_agent_stays_in_its_rooms_until_it_is_taken_out
        taking_out_an_agent_that_is_not_in_is_missing
        an_agent_joins_under_the_name_it_has
        activity_follows_every_message_and_clear
        activities_found_together_come_by_rising_room_each_once
    }
    "Messages" messages {
        recent_gives_the_newest_oldest_first
        recent_gives_the_newest_below_a_message
        since_gives_the_oldest_above_oldest_first
        an_id_of_another_room_divides_the_log_like_its_own
        an_unknown_rooms_log_is_empty
        by_authors_gives_the_oldest_of_theirs_above
        since_answer_gives_what_an_agent_has_not_answered
        since_answer_begins_where_the_agent_joined
        answers_count_what_stands_in_the_room
        the_end_gives_the_newest_and_the_last_place
        images_of_a_room_come_by_rising_id_each_once
    }
    "Messages" appends {
        an_appended_message_is_stored_whole
        a_message_takes_the_next_place_of_its_room
        concurrent_messages_are_gapless_and_in_order
        a_poller_misses_nothing
        a_read_during_writes_sees_a_log_without_holes
        clearing_takes_a_place_and_answers_how_many
        messages_ids_never_come_back
        clearing_and_appending_take_turns
    }
    "ReadPositions" reads {
        a_mark_reads_everything_there_is
        a_message_after_the_mark_is_unread
        a_mark_is_the_users_and_the_rooms_own
        positions_found_together_come_by_rising_room_each_once
        concurrent_marks_all_count
        an_unknown_room_cannot_be_marked
    }
    "Sessions" sessions {
        sessions_come_by_rising_agent
        saving_a_session_leaves_the_others
        concurrent_sessions_all_stay
        an_agent_outside_has_no_session
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
