//! Laws of who is in a room, and of the room's activity.

use futures_util::future::{join_all, join3};

use super::stage::{Found, NOBODY, NOWHERE, Stage, ensure, missing, same, there};
use crate::{Activity, AgentChange, Member, Message, NewMessage, ParticipantType, Role, Seq};

pub(super) async fn members_come_in_the_order_of_joining(s: Stage) -> Found {
    let (a, b, c) = (
        s.agent("a").await?.id,
        s.agent("b").await?.id,
        s.agent("c").await?.id,
    );
    let (room, other) = (s.room("a").await?.id, s.room("other").await?.id);
    same(
        "the members of a new room",
        &s.members(room).await?,
        &vec![],
    )?;
    let mut members: Vec<Member> = Vec::new();
    for agent in [b, c, a] {
        members.push(s.r.rooms.add_member(room, agent).await?.member);
        same(
            "the members",
            &s.r.rooms.members(room).await?.to_vec(),
            &members,
        )?;
    }
    s.r.rooms.remove_member(room, b).await?;
    same(
        "the members after one left",
        &s.members(room).await?,
        &vec![c, a],
    )?;
    s.r.rooms.add_member(room, b).await?;
    same(
        "the members after it came back",
        &s.members(room).await?,
        &vec![c, a, b],
    )?;
    same(
        "the members of another room",
        &s.members(other).await?,
        &vec![],
    )
}

pub(super) async fn adding_an_agent_twice_is_the_same_as_once(s: Stage) -> Found {
    let (agent, room) = (s.agent("a").await?.id, s.room("a").await?.id);
    s.say(room, "hello").await?;
    let first = s.r.rooms.add_member(room, agent).await?;
    ensure(
        first.message.is_some(),
        "joining a room with messages gives no message",
    )?;
    s.say(room, "welcome").await?;
    let log = s.log(room).await?;
    let second = s.r.rooms.add_member(room, agent).await?;
    same(
        "the membership, added again,",
        &second.member,
        &first.member,
    )?;
    same("the message of joining again", &second.message, &None)?;
    same(
        "the members",
        &s.r.rooms.members(room).await?.to_vec(),
        &vec![first.member],
    )?;
    same("the log", &s.log(room).await?, &log)
}

pub(super) async fn joining_a_room_with_messages_is_told_in_it(s: Stage) -> Found {
    let (agent, room) = (s.agent("a").await?, s.room("a").await?.id);
    let said = s.chat(room, 2).await?;
    let (before, added) = (
        s.activity(room).await?,
        s.r.rooms.add_member(room, agent.id).await?,
    );
    let told = there("the message of joining", added.message)?;
    let wanted = Message {
        id: told.id,
        room,
        seq: Seq(said[1].seq.0 + 1),
        author: None,
        content: format!("{} joined the chat", agent.name),
        role: Role::User,
        participant_type: Some(ParticipantType::System),
        participant_name: None,
        thinking: None,
        anthropic_calls: None,
        timestamp: told.timestamp,
        image_media_type: None,
        interrupted: false,
    };
    same("the message of joining", &*told, &wanted)?;
    same(
        "the place after which it joined",
        &added.member.joined_after_seq,
        &said[1].seq,
    )?;
    same(
        "the log",
        &s.log(room).await?,
        &[said, vec![told.clone()]].concat(),
    )?;
    let after = Activity {
        last_seq: told.seq,
        last_message_seq: told.seq,
        ..(*before).clone()
    };
    same("the activity", &*s.activity(room).await?, &after)
}

pub(super) async fn joining_a_room_without_messages_is_not_told(s: Stage) -> Found {
    let (a, b, room) = (
        s.agent("a").await?.id,
        s.agent("b").await?.id,
        s.room("a").await?.id,
    );
    let added = s.r.rooms.add_member(room, a).await?;
    same(
        "the message of joining an empty room",
        &added.message,
        &None,
    )?;
    same(
        "the place after which it joined",
        &added.member.joined_after_seq,
        &Seq(0),
    )?;
    same(
        "the activity",
        &*s.activity(room).await?,
        &Activity::default(),
    )?;
    s.chat(room, 3).await?;
    s.r.messages.clear(room).await?;
    let cleared = s.activity(room).await?;
    let added = s.r.rooms.add_member(room, b).await?;
    same(
        "the message of joining a cleared room",
        &added.message,
        &None,
    )?;
    same(
        "the place after which it joined",
        &added.member.joined_after_seq,
        &cleared.last_seq,
    )?;
    same("the log", &s.texts(room).await?, &vec![])?;
    same("the activity", &s.activity(room).await?, &cleared)
}

pub(super) async fn joining_and_its_message_are_one_step(s: Stage) -> Found {
    let (a, b, room) = (
        s.agent("a").await?.id,
        s.agent("b").await?.id,
        s.room("a").await?.id,
    );
    s.chat(room, 2).await?;
    let append = |n: usize| {
        s.r.messages
            .append(NewMessage::from_user(room, format!("meanwhile {n}")))
    };
    let joining = join_all([a, b, a, b].map(|agent| s.r.rooms.add_member(room, agent)));
    let (before, added, after) = join3(
        join_all((0..3).map(append)),
        joining,
        join_all((3..6).map(append)),
    )
    .await;
    for outcome in before.into_iter().chain(after) {
        outcome?;
    }
    let mut told = 0;
    for outcome in added {
        let added = outcome?;
        let Some(message) = added.message else {
            continue;
        };
        told += 1;
        same(
            "the place of the message of joining",
            &message.seq,
            &Seq(added.member.joined_after_seq.0 + 1),
        )?;
    }
    same("the number of messages of joining", &told, &2)?;
    same("the number of members", &s.members(room).await?.len(), &2)?;
    let places: Vec<_> = s
        .log(room)
        .await?
        .iter()
        .map(|message| message.seq.0)
        .collect();
    same("the places in the log", &places, &(1..=10).collect())?;
    same(
        "the last place",
        &s.activity(room).await?.last_seq,
        &Seq(10),
    )
}

pub(super) async fn a_deleted_agent_stays_in_its_rooms_until_it_is_taken_out(s: Stage) -> Found {
    let (a, b, room) = (
        s.agent("a").await?.id,
        s.agent("b").await?.id,
        s.room("a").await?.id,
    );
    let other = s.room("other").await?.id;
    s.say(room, "hello").await?;
    s.r.rooms.add_member(room, a).await?;
    s.r.rooms.add_member(room, b).await?;
    let (members, log) = (s.r.rooms.members(room).await?, s.log(room).await?);
    s.r.agents.delete(a).await?;
    same(
        "the members, a deleted agent among them,",
        &s.r.rooms.members(room).await?,
        &members,
    )?;
    missing(
        "adding a deleted agent",
        s.r.rooms.add_member(other, a).await,
    )?;
    same(
        "the room that it did not join",
        &s.members(other).await?,
        &vec![],
    )?;
    missing(
        "adding a deleted agent to a room that it is in",
        s.r.rooms.add_member(room, a).await,
    )?;
    same("the members", &s.r.rooms.members(room).await?, &members)?;
    s.r.rooms.remove_member(room, a).await?;
    same(
        "the members after it was taken out",
        &s.members(room).await?,
        &vec![b],
    )?;
    same("the log", &s.log(room).await?, &log)
}

pub(super) async fn taking_out_an_agent_that_is_not_in_is_missing(s: Stage) -> Found {
    let (a, b, room) = (
        s.agent("a").await?.id,
        s.agent("b").await?.id,
        s.room("a").await?.id,
    );
    let other = s.room("other").await?.id;
    s.r.rooms.add_member(room, a).await?;
    s.r.rooms.add_member(other, b).await?;
    missing(
        "taking out an agent that is not in",
        s.r.rooms.remove_member(room, b).await,
    )?;
    missing(
        "taking out an agent that never was",
        s.r.rooms.remove_member(room, NOBODY).await,
    )?;
    missing(
        "adding an agent that never was",
        s.r.rooms.add_member(room, NOBODY).await,
    )?;
    same("the members", &s.members(room).await?, &vec![a])?;
    s.r.rooms.remove_member(room, a).await?;
    same(
        "the members after the last one left",
        &s.members(room).await?,
        &vec![],
    )?;
    missing(
        "taking out an agent again",
        s.r.rooms.remove_member(room, a).await,
    )?;
    same(
        "the members of the other room",
        &s.members(other).await?,
        &vec![b],
    )
}

pub(super) async fn an_agent_joins_under_the_name_it_has(s: Stage) -> Found {
    let (agent, room) = (s.agent("old").await?, s.room("a").await?.id);
    s.say(room, "hello").await?;
    s.shows_agent(&agent).await?;
    let change = AgentChange {
        name: Some(s.agent_name("new")?),
        ..AgentChange::default()
    };
    let renamed = s.r.agents.update(agent.id, change).await?;
    s.r.rooms.add_member(room, agent.id).await?;
    same(
        "the log",
        &s.texts(room).await?,
        &vec![
            "hello".to_owned(),
            format!("{} joined the chat", renamed.name),
        ],
    )
}

pub(super) async fn activity_follows_every_message_and_clear(s: Stage) -> Found {
    let (agent, room) = (s.agent("a").await?.id, s.room("a").await?.id);
    let other = s.room("other").await?.id;
    let mut wanted = Activity::default();
    same(
        "the activity of a new room",
        &*s.activity(room).await?,
        &wanted,
    )?;
    let character = NewMessage {
        participant_type: Some(ParticipantType::Character),
        ..NewMessage::from_user(room, "as Ada")
    };
    let untyped = NewMessage {
        participant_type: None,
        ..NewMessage::from_user(room, "as nobody")
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
        wanted.last_seq = Seq(wanted.last_seq.0 + 1);
        if let Some(new) = step {
            let message = s.r.messages.append(new.clone()).await?;
            wanted.last_message_seq = message.seq;
            same("the message's place", &message.seq, &wanted.last_seq)?;
            wanted.last_user_seq = if new.is_from_user() {
                message.seq
            } else {
                wanted.last_user_seq
            };
            wanted.last_activity_at = if new.is_activity() {
                Some(message.timestamp)
            } else {
                wanted.last_activity_at
            };
        } else {
            s.r.messages.clear(room).await?;
            wanted.last_message_seq = Seq(0);
        }
        same("the activity", &*s.activity(room).await?, &wanted)?;
        let found = s.r.rooms.activities(&[room]).await?;
        same(
            "the activity among many",
            &found.iter().map(|(_, activity)| &**activity).collect(),
            &vec![&wanted],
        )?;
    }
    same(
        "the activity of another room",
        &*s.activity(other).await?,
        &Activity::default(),
    )
}

pub(super) async fn activities_found_together_come_by_rising_room_each_once(s: Stage) -> Found {
    let (a, b, c) = (
        s.room("c").await?.id,
        s.room("a").await?.id,
        s.room("b").await?.id,
    );
    s.chat(c, 2).await?;
    s.chat(a, 1).await?;
    let wanted = vec![
        (a, s.activity(a).await?),
        (b, s.activity(b).await?),
        (c, s.activity(c).await?),
    ];
    let found = s.r.rooms.activities(&[c, NOWHERE, a, c, b, a]).await?;
    same("the activities found together", &found, &wanted)?;
    same(
        "the activities of no rooms",
        &s.r.rooms.activities(&[]).await?,
        &vec![],
    )
}
