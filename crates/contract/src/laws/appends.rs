//! Laws of appending messages.

use std::sync::Arc;

use domain::{Image, Message, NewMessage, ParticipantType, Role, RoomId, Seq};
use futures_util::future::{join, join_all, join3};

use super::{
    ensure::{NO_LIMIT, Outcome, START, ensure, ensure_eq, ensure_invalid},
    law_run::{LawRun, in_tasks},
};
use crate::pause::pause;

pub(super) async fn an_appended_message_is_stored_whole(run: LawRun) -> Outcome {
    let (room, agent) = (
        run.create_room("a").await?.id,
        run.create_agent("a").await?.id,
    );
    let plain = NewMessage::from_user(room, "hello");
    let full = NewMessage {
        thinking: Some("hm: 'so'\n하늘".into()),
        anthropic_calls: Some(vec!["skip".into(), "memorize {\"a\": 1}".into()]),
        image: Some(Image {
            media_type: "image/webp".into(),
            data: "aGVsbG8=".into(),
        }),
        interrupted: true,
        participant_name: Some("Zoë 'the cat'".into()),
        ..NewMessage::from_agent(room, agent, "line one\n\n  line \"two\" 하늘 🜁 % _ \\ ")
    };
    let builder = NewMessage {
        participant_type: Some(ParticipantType::SituationBuilder),
        ..NewMessage::from_user(room, "")
    };
    let untyped = NewMessage {
        participant_type: None,
        anthropic_calls: Some(vec![]),
        ..NewMessage::from_user(room, "x".repeat(70_000))
    };
    let as_character = NewMessage {
        participant_type: Some(ParticipantType::Character),
        role: Role::User,
        ..plain.clone()
    };
    let mut log = Vec::new();
    for new in [
        plain,
        full,
        builder,
        untyped,
        as_character,
        NewMessage::from_system(room, "noted"),
    ] {
        let stored = run.ports.messages.append(new.clone()).await?;
        let expected = Message {
            id: stored.id,
            room,
            seq: stored.seq,
            author: new.author,
            content: new.content,
            role: new.role,
            participant_type: new.participant_type,
            participant_name: new.participant_name,
            thinking: new.thinking,
            anthropic_calls: new.anthropic_calls,
            timestamp: stored.timestamp,
            image_media_type: new.image.as_ref().map(|image| image.media_type.clone()),
            interrupted: new.interrupted,
        };
        ensure_eq("the stored message", &*stored, &expected)?;
        let images = run.ports.messages.images(room, &[stored.id]).await?;
        ensure_eq(
            "the message's image",
            &images,
            &new.image
                .map(|image| (stored.id, Arc::new(image)))
                .into_iter()
                .collect(),
        )?;
        log.push(stored);
        ensure_eq("the log", &run.log(room).await?, &log)?;
    }
    Ok(())
}

pub(super) async fn a_text_with_the_character_nul_is_refused(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let plain = NewMessage::from_user(room, "hello");
    for new in [
        NewMessage::from_user(room, "a\0b"),
        NewMessage {
            thinking: Some("a\0b".into()),
            ..plain.clone()
        },
        NewMessage {
            participant_name: Some("a\0b".into()),
            ..plain.clone()
        },
    ] {
        let refused = run.ports.messages.append(new).await;
        ensure_invalid("an append of a text with NUL", refused)?;
    }
    let stored = run.ports.messages.append(plain).await?;
    ensure_eq("the first sequence number", &stored.seq, &Seq(1))
}

pub(super) async fn a_message_takes_the_next_sequence_number_of_its_room(run: LawRun) -> Outcome {
    let (room, other) = (
        run.create_room("a").await?.id,
        run.create_room("other").await?.id,
    );
    ensure_eq("the log of a new room", &run.log(room).await?, &vec![])?;
    let mut ids = Vec::new();
    for n in 1..=4 {
        let message = run.say(room, "here").await?;
        ensure_eq("the message's sequence number", &message.seq, &Seq(n))?;
        ensure_eq(
            "the newest message",
            &run.ports.messages.recent(room, None, 1).await?,
            &vec![message.clone()].into(),
        )?;
        let elsewhere = run.say(other, "there").await?;
        ensure_eq(
            "the sequence number in the other room",
            &elsewhere.seq,
            &Seq(n),
        )?;
        ids.extend([message.id, elsewhere.id]);
    }
    ensure(ids[0] > START, "an id is not above 0")?;
    ensure(
        ids.is_sorted_by(|one, next| one != next),
        "two rooms' messages have one id",
    )?;
    let own: Vec<_> = run
        .log(room)
        .await?
        .iter()
        .map(|message| message.id)
        .collect();
    ensure(
        own.is_sorted_by(|one, next| one < next),
        "ids do not rise within a room",
    )?;
    ids.sort();
    ids.dedup();
    ensure_eq("the number of different ids", &ids.len(), &8)
}

pub(super) async fn concurrent_messages_are_gapless_and_in_order(run: LawRun) -> Outcome {
    let (room, other) = (
        run.create_room("a").await?.id,
        run.create_room("other").await?.id,
    );
    let first = run.say(room, "first").await?;
    run.log(room).await?;
    let append = |room: RoomId, n: usize| {
        let ports = run.ports.clone();
        let new = NewMessage::from_user(room, format!("message {n}"));
        async move { ports.messages.append(new).await }
    };
    let (outcomes, others) = join(
        in_tasks((0..12).map(|n| append(room, n))),
        in_tasks((0..4).map(|n| append(other, n))),
    )
    .await;
    let mut acknowledged = vec![first];
    for outcome in outcomes? {
        acknowledged.push(outcome?);
    }
    for outcome in others? {
        ensure(
            outcome?.seq <= Seq(4),
            "a message took a sequence number of another room's log",
        )?;
    }
    acknowledged.sort_by_key(|message| message.seq);
    let seqs: Vec<_> = acknowledged.iter().map(|message| message.seq.0).collect();
    ensure_eq(
        "the sequence numbers of concurrent messages",
        &seqs,
        &(1..=13).collect(),
    )?;
    ensure(
        acknowledged.is_sorted_by(|one, next| one.id < next.id),
        "ids do not rise with sequence numbers",
    )?;
    ensure_eq("the log", &run.log(room).await?, &acknowledged)?;
    let activity = run.activity(room).await?;
    ensure_eq(
        "the log's last sequence number",
        &activity.last_seq,
        &Seq(13),
    )?;
    ensure_eq(
        "the sequence number of the newest message",
        &activity.last_message_seq,
        &Seq(13),
    )?;
    ensure_eq(
        "the other room's last sequence number",
        &run.activity(other).await?.last_seq,
        &Seq(4),
    )
}

pub(super) async fn a_poller_misses_nothing(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let mut polled: Vec<Arc<Message>> = Vec::new();
    let append = async |n: usize| {
        for _ in 0..n {
            pause().await;
        }
        run.ports
            .messages
            .append(NewMessage::from_user(room, format!("message {n}")))
            .await
    };
    let poll = async |polled: &mut Vec<Arc<Message>>, limit: usize| {
        let after = polled.last().map_or(START, |message| message.id);
        let page = run.ports.messages.since(room, after, limit).await?;
        let received = page.len();
        polled.extend_from_slice(&page);
        Outcome::Ok(received)
    };
    let reading = async {
        for _ in 0..12 {
            poll(&mut polled, 2).await?;
            pause().await;
        }
        Outcome::Ok(())
    };
    let (outcomes, polls) = join(join_all((0..16).map(append)), reading).await;
    polls?;
    for outcome in outcomes {
        outcome?;
    }
    while poll(&mut polled, 3).await? > 0 {
        ensure(polled.len() <= 16, "a poller received a message twice")?;
    }
    ensure_eq(
        "the messages that the poller received",
        &polled,
        &run.log(room).await?,
    )?;
    ensure_eq(
        "the number of messages that the poller received",
        &polled.len(),
        &16,
    )
}

pub(super) async fn a_read_during_writes_sees_a_log_without_holes(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    run.say(room, "first").await?;
    let append = |n: usize| {
        run.ports
            .messages
            .append(NewMessage::from_user(room, format!("message {n}")))
    };
    let read = async || {
        let mut logs = Vec::new();
        for _ in 0..4 {
            logs.push(run.ports.messages.recent(room, None, NO_LIMIT).await?);
            pause().await;
        }
        Outcome::Ok(logs)
    };
    let (before, logs, after) = join3(
        join_all((0..4).map(append)),
        read(),
        join_all((4..8).map(append)),
    )
    .await;
    for outcome in before.into_iter().chain(after) {
        outcome?;
    }
    let whole = run.log(room).await?;
    for log in logs? {
        ensure(
            whole.starts_with(&log) && !log.is_empty(),
            "a read saw messages out of order, or missed some",
        )?;
    }
    Ok(())
}
