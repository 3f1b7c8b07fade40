//! Laws of writing a room's log.

use std::sync::Arc;

use futures_util::future::{join, join_all, join3};

use super::stage::{ALL, Found, START, Stage, ensure, same};
use crate::{
    Activity, Image, Message, MessageId, NewMessage, Page, ParticipantType, Role, RoomId, Seq,
    contract::pause,
};

pub(super) async fn an_appended_message_is_stored_whole(s: Stage) -> Found {
    let (room, agent) = (s.room("a").await?.id, s.agent("a").await?.id);
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
        let stored = s.r.messages.append(new.clone()).await?;
        let wanted = Message {
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
        same("the stored message", &*stored, &wanted)?;
        let images = s.r.messages.images(room, &[stored.id]).await?;
        same(
            "its image",
            &images,
            &new.image
                .map(|image| (stored.id, Arc::new(image)))
                .into_iter()
                .collect(),
        )?;
        log.push(stored);
        same("the log", &s.log(room).await?, &log)?;
    }
    Ok(())
}

pub(super) async fn a_message_takes_the_next_place_of_its_room(s: Stage) -> Found {
    let (room, other) = (s.room("a").await?.id, s.room("other").await?.id);
    same("the log of a new room", &s.log(room).await?, &vec![])?;
    let mut ids = Vec::new();
    for n in 1..=4 {
        let message = s.say(room, "here").await?;
        same("the message's place", &message.seq, &Seq(n))?;
        same(
            "the newest message",
            &s.r.messages.recent(room, None, 1).await?,
            &vec![message.clone()].into(),
        )?;
        let elsewhere = s.say(other, "there").await?;
        same(
            "the place of the other room's message",
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
    let own: Vec<_> = s
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
    same("the number of different ids", &ids.len(), &8)
}

pub(super) async fn concurrent_messages_are_gapless_and_in_order(s: Stage) -> Found {
    let (room, other) = (s.room("a").await?.id, s.room("other").await?.id);
    let first = s.say(room, "first").await?;
    s.log(room).await?;
    let append = |room: RoomId, n: usize| {
        s.r.messages
            .append(NewMessage::from_user(room, format!("message {n}")))
    };
    let (outcomes, others) = join(
        join_all((0..12).map(|n| append(room, n))),
        join_all((0..4).map(|n| append(other, n))),
    )
    .await;
    let mut acknowledged = vec![first];
    for outcome in outcomes {
        acknowledged.push(outcome?);
    }
    for outcome in others {
        ensure(
            outcome?.seq <= Seq(4),
            "a message took a place that another room's message left",
        )?;
    }
    acknowledged.sort_by_key(|message| message.seq);
    let places: Vec<_> = acknowledged.iter().map(|message| message.seq.0).collect();
    same(
        "the places of concurrent messages",
        &places,
        &(1..=13).collect(),
    )?;
    ensure(
        acknowledged.is_sorted_by(|one, next| one.id < next.id),
        "ids do not rise with the places",
    )?;
    same("the log", &s.log(room).await?, &acknowledged)?;
    let activity = s.activity(room).await?;
    same("the last place", &activity.last_seq, &Seq(13))?;
    same(
        "the last message's place",
        &activity.last_message_seq,
        &Seq(13),
    )?;
    same(
        "the last place of the other room",
        &s.activity(other).await?.last_seq,
        &Seq(4),
    )
}

pub(super) async fn a_poller_misses_nothing(s: Stage) -> Found {
    let room = s.room("a").await?.id;
    let mut polled: Vec<Arc<Message>> = Vec::new();
    let append = async |n: usize| {
        for _ in 0..n {
            pause().await;
        }
        s.r.messages
            .append(NewMessage::from_user(room, format!("message {n}")))
            .await
    };
    let poll = async |polled: &mut Vec<Arc<Message>>, limit: usize| {
        let after = polled.last().map_or(START, |message| message.id);
        let page = s.r.messages.since(room, after, limit).await?;
        let got = page.len();
        polled.extend_from_slice(&page);
        Found::Ok(got)
    };
    let reading = async {
        for _ in 0..12 {
            poll(&mut polled, 2).await?;
            pause().await;
        }
        Found::Ok(())
    };
    let (outcomes, polls) = join(join_all((0..16).map(append)), reading).await;
    polls?;
    for outcome in outcomes {
        outcome?;
    }
    while poll(&mut polled, 3).await? > 0 {
        ensure(polled.len() <= 16, "a poller gets messages twice")?;
    }
    same("what the poller got", &polled, &s.log(room).await?)?;
    same("how much the poller got", &polled.len(), &16)
}

pub(super) async fn a_read_during_writes_sees_a_log_without_holes(s: Stage) -> Found {
    let room = s.room("a").await?.id;
    s.say(room, "first").await?;
    let append = |n: usize| {
        s.r.messages
            .append(NewMessage::from_user(room, format!("message {n}")))
    };
    let read = async || {
        let mut logs = Vec::new();
        for _ in 0..4 {
            logs.push(s.r.messages.recent(room, None, ALL).await?);
            pause().await;
        }
        Found::Ok(logs)
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
    let whole = s.log(room).await?;
    for log in logs? {
        ensure(
            whole.starts_with(&log) && !log.is_empty(),
            "a read saw messages out of order, or not all that were there",
        )?;
    }
    Ok(())
}

pub(super) async fn clearing_takes_a_place_and_answers_how_many(s: Stage) -> Found {
    let (room, other) = (s.room("a").await?.id, s.room("other").await?.id);
    let agent = s.agent("a").await?.id;
    s.r.rooms.add_member(room, agent).await?;
    let said = s.chat(room, 3).await?;
    let kept = s.chat(other, 2).await?;
    let (members, before) = (s.r.rooms.members(room).await?, s.activity(room).await?);
    same("the log", &s.log(room).await?, &said)?;
    same(
        "how many messages were cleared",
        &s.r.messages.clear(room).await?,
        &3,
    )?;
    same("the cleared log", &s.log(room).await?, &vec![])?;
    same(
        "the log below the last",
        &s.r.messages.recent(room, Some(said[2].id), ALL).await?,
        &Page::default(),
    )?;
    let cleared = Activity {
        last_seq: Seq(4),
        last_message_seq: Seq(0),
        ..(*before).clone()
    };
    same("the activity", &*s.activity(room).await?, &cleared)?;
    same("the members", &s.r.rooms.members(room).await?, &members)?;
    same(
        "how many messages were cleared of none",
        &s.r.messages.clear(room).await?,
        &0,
    )?;
    same("the last place", &s.activity(room).await?.last_seq, &Seq(5))?;
    same("the other room's log", &s.log(other).await?, &kept)?;
    let next = s.say(room, "next").await?;
    same("the place of the next message", &next.seq, &Seq(6))?;
    same(
        "the log of the next message",
        &s.log(room).await?,
        &vec![next],
    )
}

pub(super) async fn messages_ids_never_come_back(s: Stage) -> Found {
    let room = s.room("a").await?.id;
    let mut last = START;
    for _ in 0..3 {
        let said = s.chat(room, 2).await?;
        ensure(said[0].id > last, "the id of a cleared message came back")?;
        last = said[1].id;
        s.r.messages.clear(room).await?;
    }
    s.r.rooms.delete(room).await?;
    let next = s.say(s.room("b").await?.id, "next").await?;
    ensure(
        next.id != last && next.id > START,
        "the id of a deleted room's message came back",
    )?;
    same(
        "messages after the last cleared one",
        &s.r.messages
            .since(next.room, MessageId(next.id.0 - 1), ALL)
            .await?,
        &vec![next].into(),
    )
}

pub(super) async fn clearing_and_appending_take_turns(s: Stage) -> Found {
    let room = s.room("a").await?.id;
    s.chat(room, 2).await?;
    let append = |n: usize| {
        s.r.messages
            .append(NewMessage::from_user(room, format!("message {n}")))
    };
    let (before, cleared, after) = join3(
        join_all((0..4).map(append)),
        s.r.messages.clear(room),
        join_all((4..8).map(append)),
    )
    .await;
    let mut said = Vec::new();
    for outcome in before.into_iter().chain(after) {
        said.push(outcome?);
    }
    said.sort_by_key(|message| message.seq);
    let cleared = usize::try_from(cleared?).unwrap_or(usize::MAX);
    ensure(
        (2..=10).contains(&cleared),
        format!("{cleared} of at least 2 and at most 10 messages were cleared"),
    )?;
    let log = s.log(room).await?;
    same("what the clear left", &log, &said[cleared - 2..].to_vec())?;
    let gap = Seq(i64::try_from(cleared).unwrap_or(i64::MAX) + 1);
    ensure(
        said.iter().all(|message| message.seq != gap),
        "a message took the place of a clear",
    )?;
    same(
        "the last place",
        &s.activity(room).await?.last_seq,
        &Seq(11),
    )?;
    let last = log.last().map_or(Seq(0), |message| message.seq);
    same(
        "the last message's place",
        &s.activity(room).await?.last_message_seq,
        &last,
    )
}
