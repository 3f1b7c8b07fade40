//! Laws of a room's activity.

use domain::{Activity, NewMessage, ParticipantType, Seq};

use super::{
    ensure::{Outcome, UNKNOWN_ROOM, ensure_eq},
    law_run::LawRun,
};

pub(super) async fn activity_follows_every_message_and_clear(run: LawRun) -> Outcome {
    let (agent, room) = (
        run.create_agent("a").await?.id,
        run.create_room("a").await?.id,
    );
    let other = run.create_room("other").await?.id;
    let mut expected = Activity::default();
    ensure_eq(
        "the activity of a new room",
        &*run.activity(room).await?,
        &expected,
    )?;
    let character = NewMessage {
        participant_type: Some(ParticipantType::Character),
        ..NewMessage::from_user(room, "as Ada")
    };
    let untyped = NewMessage {
        participant_type: None,
        ..NewMessage::from_user(room, "without a type")
    };
    let steps = [
        Some(NewMessage::from_system(room, "opened")),
        Some(NewMessage::from_user(room, "hello")),
        Some(NewMessage::from_agent(room, agent, "hello")),
        Some(NewMessage::from_system(room, "noted")),
        None,
        Some(NewMessage::from_agent(room, agent, "where is everything")),
        None,
        None,
        Some(character),
        Some(untyped),
        Some(NewMessage::from_system(room, "closed")),
    ];
    for step in steps {
        expected.last_seq = Seq(expected.last_seq.0 + 1);
        if let Some(new) = step {
            let message = run.ports.messages.append(new.clone()).await?;
            expected.last_message_seq = message.seq;
            ensure_eq(
                "the message's sequence number",
                &message.seq,
                &expected.last_seq,
            )?;
            expected.last_user_seq = if new.is_from_user() {
                message.seq
            } else {
                expected.last_user_seq
            };
            expected.last_activity_at = if new.is_activity() {
                Some(message.timestamp)
            } else {
                expected.last_activity_at
            };
        } else {
            run.ports.messages.clear(room).await?;
            expected.last_message_seq = Seq(0);
            expected.cleared_seq = expected.last_seq;
        }
        ensure_eq("the activity", &*run.activity(room).await?, &expected)?;
        let found = run.ports.rooms.activities(&[room]).await?;
        ensure_eq(
            "the activity among many",
            &found.iter().map(|(_, activity)| &**activity).collect(),
            &vec![&expected],
        )?;
    }
    ensure_eq(
        "the activity of another room",
        &*run.activity(other).await?,
        &Activity::default(),
    )
}

pub(super) async fn activities_found_together_come_by_ascending_room_each_once(
    run: LawRun,
) -> Outcome {
    let (a, b, c) = (
        run.create_room("c").await?.id,
        run.create_room("a").await?.id,
        run.create_room("b").await?.id,
    );
    run.say_many(c, 2).await?;
    run.say_many(a, 1).await?;
    let expected = vec![
        (a, run.activity(a).await?),
        (b, run.activity(b).await?),
        (c, run.activity(c).await?),
    ];
    let found = run
        .ports
        .rooms
        .activities(&[c, UNKNOWN_ROOM, a, c, b, a])
        .await?;
    ensure_eq("the activities found together", &found, &expected)?;
    ensure_eq(
        "the activities of no rooms",
        &run.ports.rooms.activities(&[]).await?,
        &vec![],
    )
}
