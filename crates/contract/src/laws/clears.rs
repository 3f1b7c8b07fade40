//! Laws of clearing a room's log.

use domain::{Activity, MessageId, NewMessage, Page, Seq};
use futures_util::future::{join_all, join3};

use super::{
    ensure::{NO_LIMIT, Outcome, START, ensure, ensure_eq},
    law_run::LawRun,
};

pub(super) async fn clearing_takes_a_sequence_number_and_returns_the_count(run: LawRun) -> Outcome {
    let (room, other) = (
        run.create_room("a").await?.id,
        run.create_room("other").await?.id,
    );
    let agent = run.create_agent("a").await?.id;
    run.ports.rooms.add_member(room, agent).await?;
    let messages = run.say_many(room, 3).await?;
    let other_log = run.say_many(other, 2).await?;
    let (members, before) = (
        run.ports.rooms.members(room).await?,
        run.activity(room).await?,
    );
    ensure_eq("the log", &run.log(room).await?, &messages)?;
    ensure_eq(
        "the number of cleared messages",
        &run.ports.messages.clear(room).await?,
        &3,
    )?;
    ensure_eq("the cleared log", &run.log(room).await?, &vec![])?;
    ensure_eq(
        "the log below the last",
        &run.ports
            .messages
            .recent(room, Some(messages[2].id), NO_LIMIT)
            .await?,
        &Page::default(),
    )?;
    let cleared = Activity {
        last_seq: Seq(4),
        last_message_seq: Seq(0),
        cleared_seq: Seq(4),
        ..(*before).clone()
    };
    ensure_eq("the activity", &*run.activity(room).await?, &cleared)?;
    ensure_eq(
        "the members",
        &run.ports.rooms.members(room).await?,
        &members,
    )?;
    ensure_eq(
        "the number of cleared messages of an empty log",
        &run.ports.messages.clear(room).await?,
        &0,
    )?;
    ensure_eq(
        "the log's last sequence number",
        &run.activity(room).await?.last_seq,
        &Seq(5),
    )?;
    ensure_eq("the other room's log", &run.log(other).await?, &other_log)?;
    let next = run.say(room, "next").await?;
    ensure_eq("the next message's sequence number", &next.seq, &Seq(6))?;
    ensure_eq(
        "the log of the next message",
        &run.log(room).await?,
        &vec![next],
    )
}

pub(super) async fn message_ids_are_never_reused(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let mut last = START;
    for _ in 0..3 {
        let messages = run.say_many(room, 2).await?;
        ensure(
            messages[0].id > last,
            "the id of a cleared message was reused",
        )?;
        last = messages[1].id;
        run.ports.messages.clear(room).await?;
    }
    run.ports.rooms.delete(room).await?;
    let next = run.say(run.create_room("b").await?.id, "next").await?;
    ensure(
        next.id != last && next.id > START,
        "the id of a deleted room's message was reused",
    )?;
    ensure_eq(
        "the messages above the last cleared one",
        &run.ports
            .messages
            .since(next.room, MessageId(next.id.0 - 1), NO_LIMIT)
            .await?,
        &vec![next].into(),
    )
}

pub(super) async fn clearing_and_appending_take_turns(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    run.say_many(room, 2).await?;
    let append = |n: usize| {
        run.ports
            .messages
            .append(NewMessage::from_user(room, format!("message {n}")))
    };
    let (before, cleared, after) = join3(
        join_all((0..4).map(append)),
        run.ports.messages.clear(room),
        join_all((4..8).map(append)),
    )
    .await;
    let mut messages = Vec::new();
    for outcome in before.into_iter().chain(after) {
        messages.push(outcome?);
    }
    messages.sort_by_key(|message| message.seq);
    let cleared = usize::try_from(cleared?).unwrap_or(usize::MAX);
    ensure(
        (2..=10).contains(&cleared),
        format!("{cleared} of at least 2 and at most 10 messages were cleared"),
    )?;
    let log = run.log(room).await?;
    ensure_eq(
        "the log after the clear",
        &log,
        &messages[cleared - 2..].to_vec(),
    )?;
    let gap = Seq(i64::try_from(cleared).unwrap_or(i64::MAX) + 1);
    ensure(
        messages.iter().all(|message| message.seq != gap),
        "a message took the sequence number of a clear",
    )?;
    ensure_eq(
        "the log's last sequence number",
        &run.activity(room).await?.last_seq,
        &Seq(11),
    )?;
    let last = log.last().map_or(Seq(0), |message| message.seq);
    ensure_eq(
        "the sequence number of the newest message",
        &run.activity(room).await?.last_message_seq,
        &last,
    )
}
