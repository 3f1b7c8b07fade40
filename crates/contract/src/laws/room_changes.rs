//! Laws of updating and deleting rooms.

use std::sync::Arc;

use domain::{NewRoom, Room, RoomChange, Seq};
use futures_util::future::join_all;

use super::{
    ensure::{NO_LIMIT, Outcome, UNKNOWN_AGENT, ensure, ensure_eq, ensure_missing},
    law_run::LawRun,
};

pub(super) async fn an_update_of_a_room_changes_the_named_fields_and_nothing_else(
    run: LawRun,
) -> Outcome {
    let mut room = run
        .ports
        .rooms
        .create(NewRoom {
            max_interactions: Some(12),
            ..run.new_room("a")?
        })
        .await?;
    run.say_many(room.id, 2).await?;
    let none = RoomChange::default;
    let changes = [
        RoomChange {
            last_error: Some(Some("it failed: \"no\" 하늘".into())),
            ..none()
        },
        RoomChange {
            is_paused: Some(true),
            ..none()
        },
        RoomChange {
            is_finished: Some(true),
            ..none()
        },
        RoomChange {
            name: Some(run.room_name("b")?),
            ..none()
        },
        RoomChange {
            max_interactions: Some(Some(0)),
            ..none()
        },
        RoomChange {
            max_interactions: Some(None),
            ..none()
        },
        none(),
        RoomChange {
            is_paused: Some(false),
            ..none()
        },
        RoomChange {
            is_finished: Some(false),
            ..none()
        },
        RoomChange {
            last_error: Some(None),
            ..none()
        },
    ];
    for change in changes {
        run.ensure_room_shown(&room).await?;
        let updated = run.ports.rooms.update(room.id, change.clone()).await?;
        let last_seq = run.activity(room.id).await?.last_seq;
        let label = format!("the room after {change:?}");
        let expected = Room {
            name: change.name.unwrap_or_else(|| room.name.clone()),
            max_interactions: change.max_interactions.unwrap_or(room.max_interactions),
            is_paused: change.is_paused.unwrap_or(room.is_paused),
            finished_seq: change
                .is_finished
                .map_or(room.finished_seq, |finished| finished.then_some(last_seq)),
            last_error: change.last_error.unwrap_or_else(|| room.last_error.clone()),
            version: room.version + 1,
            ..(*room).clone()
        };
        ensure_eq(&label, &*updated, &expected)?;
        run.ensure_room_shown(&updated).await?;
        room = updated;
    }
    Ok(())
}

pub(super) async fn concurrent_updates_of_a_room_all_stay(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?;
    run.ensure_room_shown(&room).await?;
    let none = RoomChange::default;
    let changes = [
        RoomChange {
            is_paused: Some(true),
            ..none()
        },
        RoomChange {
            max_interactions: Some(Some(5)),
            ..none()
        },
        RoomChange {
            last_error: Some(Some("failed".into())),
            ..none()
        },
        RoomChange {
            name: Some(run.room_name("b")?),
            ..none()
        },
    ];
    let mut updated: Vec<Arc<Room>> = Vec::new();
    for outcome in join_all(changes.map(|change| run.ports.rooms.update(room.id, change))).await {
        updated.push(outcome?);
    }
    updated.sort_by_key(|room| room.version);
    ensure_eq(
        "the versions of concurrent updates",
        &updated.iter().map(|room| room.version).collect(),
        &vec![2, 3, 4, 5],
    )?;
    let last = &updated[3];
    ensure(
        last.is_paused && last.max_interactions == Some(5) && last.last_error.is_some(),
        "an update of a room was lost",
    )?;
    ensure_eq("the name", &last.name, &run.room_name("b")?)?;
    run.ensure_room_shown(last).await
}

pub(super) async fn a_room_is_finished_until_a_user_speaks(run: LawRun) -> Outcome {
    let (id, agent) = (run.create_room("a").await?.id, run.create_agent("a").await?);
    let finish = |is_finished| {
        run.ports.rooms.update(
            id,
            RoomChange {
                is_finished: Some(is_finished),
                ..RoomChange::default()
            },
        )
    };
    let room = finish(true).await?;
    ensure_eq(
        "the sequence number at which an empty room was finished",
        &room.finished_seq,
        &Some(Seq(0)),
    )?;
    ensure_eq(
        "the sequence number after finishing was taken back",
        &finish(false).await?.finished_seq,
        &None,
    )?;
    let messages = run.say_many(id, 2).await?;
    let room = finish(true).await?;
    ensure_eq(
        "the sequence number at which the room was finished",
        &room.finished_seq,
        &Some(messages[1].seq),
    )?;
    ensure(
        room.is_finished(&*run.activity(id).await?),
        "a finished room does not count as finished",
    )?;
    run.answer(id, agent.id, "goodbye").await?;
    run.ports.rooms.add_member(id, agent.id).await?;
    ensure(
        room.is_finished(&*run.activity(id).await?),
        "an agent's or the system's message reopened a finished room",
    )?;
    run.say(id, "wait").await?;
    ensure(
        !room.is_finished(&*run.activity(id).await?),
        "a finished room stayed finished after a user's message",
    )?;
    run.ports.messages.clear(id).await?;
    ensure(
        !room.is_finished(&*run.activity(id).await?),
        "a clear finished the room again",
    )?;
    let last_seq = run.activity(id).await?.last_seq;
    ensure_eq(
        "the sequence number at which a cleared room was finished",
        &finish(true).await?.finished_seq,
        &Some(last_seq),
    )
}

pub(super) async fn messages_do_not_change_their_room(run: LawRun) -> Outcome {
    let (room, agent) = (run.create_room("a").await?, run.create_agent("a").await?.id);
    run.say(room.id, "hello").await?;
    run.ports.rooms.add_member(room.id, agent).await?;
    run.answer(room.id, agent, "hello").await?;
    run.ports.read_positions.mark(run.owner()?, room.id).await?;
    run.ports.sessions.save(room.id, agent, "x".into()).await?;
    run.ports.messages.clear(room.id).await?;
    run.ports.rooms.remove_member(room.id, agent).await?;
    run.ensure_room_shown(&room).await
}

pub(super) async fn deleting_a_room_deletes_everything_in_it(run: LawRun) -> Outcome {
    let (room, owner, agent) = (
        run.create_room("a").await?,
        run.owner()?,
        run.create_agent("a").await?,
    );
    run.ports.rooms.add_member(room.id, agent.id).await?;
    let messages = run.say(room.id, "hello").await?;
    run.answer(room.id, agent.id, "hello").await?;
    run.ports
        .read_positions
        .mark(owner.clone(), room.id)
        .await?;
    run.ports
        .sessions
        .save(room.id, agent.id, "x".into())
        .await?;
    run.ensure_room_shown(&room).await?;
    ensure(
        run.log(room.id).await?.contains(&messages),
        "a message is not in the log",
    )?;
    ensure_eq("the members", &run.members(room.id).await?, &vec![agent.id])?;
    run.ports.rooms.delete(room.id).await?;
    run.ensure_room_hidden(room.id, &owner).await?;
    ensure_eq(
        "the answer counts of a deleted room",
        &run.ports.messages.answer_counts(room.id).await?,
        &None,
    )?;
    ensure_eq(
        "the end of a deleted room's log",
        &run.ports.messages.end(room.id, NO_LIMIT).await?,
        &None,
    )?;
    ensure_missing(
        "deleting a room again",
        run.ports.rooms.delete(room.id).await,
    )?;
    run.ensure_agent_shown(&agent).await?;
    let next = run.create_room("a").await?;
    ensure(next.id != room.id, "a deleted room's id was reused")?;
    run.ensure_room_hidden(room.id, &owner).await?;
    let again = run.create_deleted_room("b").await?;
    ensure(
        again != room.id && run.create_room("b").await?.id != again,
        "a deleted room's id was reused",
    )?;
    ensure_eq(
        "the members of the next room",
        &run.members(next.id).await?,
        &vec![],
    )?;
    ensure_eq(
        "the log of the next room",
        &run.texts(next.id).await?,
        &vec![],
    )?;
    ensure_eq(
        "the direct room of an unknown agent",
        &run.ports.rooms.find_direct(&owner, UNKNOWN_AGENT).await?,
        &None,
    )
}
