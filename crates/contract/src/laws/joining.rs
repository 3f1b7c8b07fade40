//! Laws of the system message that announces a new member.

use domain::{Activity, AgentChange, Message, NewMessage, ParticipantType, Role, Seq};
use futures_util::future::{join_all, join3};

use super::{
    ensure::{Outcome, ensure_eq, ensure_some},
    law_run::LawRun,
};

pub(super) async fn joining_a_room_with_messages_is_announced(run: LawRun) -> Outcome {
    let (agent, room) = (run.create_agent("a").await?, run.create_room("a").await?.id);
    let messages = run.say_many(room, 2).await?;
    let (before, added) = (
        run.activity(room).await?,
        run.ports.rooms.add_member(room, agent.id).await?,
    );
    let announcement = ensure_some("the announcement", added.message)?;
    let expected = Message {
        id: announcement.id,
        room,
        seq: Seq(messages[1].seq.0 + 1),
        author: None,
        content: format!("{} joined the chat", agent.name),
        role: Role::User,
        participant_type: Some(ParticipantType::System),
        participant_name: None,
        thinking: None,
        anthropic_calls: None,
        timestamp: announcement.timestamp,
        image_media_type: None,
        interrupted: false,
    };
    ensure_eq("the announcement", &*announcement, &expected)?;
    ensure_eq(
        "the sequence number after which it joined",
        &added.member.joined_after_seq,
        &messages[1].seq,
    )?;
    ensure_eq(
        "the log",
        &run.log(room).await?,
        &[messages, vec![announcement.clone()]].concat(),
    )?;
    let after = Activity {
        last_seq: announcement.seq,
        last_message_seq: announcement.seq,
        ..(*before).clone()
    };
    ensure_eq("the activity", &*run.activity(room).await?, &after)
}

pub(super) async fn joining_a_room_without_messages_is_not_announced(run: LawRun) -> Outcome {
    let (a, b, room) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
        run.create_room("a").await?.id,
    );
    let added = run.ports.rooms.add_member(room, a).await?;
    ensure_eq("the announcement in an empty room", &added.message, &None)?;
    ensure_eq(
        "the sequence number after which it joined",
        &added.member.joined_after_seq,
        &Seq(0),
    )?;
    ensure_eq(
        "the activity",
        &*run.activity(room).await?,
        &Activity::default(),
    )?;
    run.say_many(room, 3).await?;
    run.ports.messages.clear(room).await?;
    let cleared = run.activity(room).await?;
    let added = run.ports.rooms.add_member(room, b).await?;
    ensure_eq("the announcement in a cleared room", &added.message, &None)?;
    ensure_eq(
        "the sequence number after which it joined",
        &added.member.joined_after_seq,
        &cleared.last_seq,
    )?;
    ensure_eq("the log", &run.texts(room).await?, &vec![])?;
    ensure_eq("the activity", &run.activity(room).await?, &cleared)
}

pub(super) async fn joining_and_its_announcement_are_one_step(run: LawRun) -> Outcome {
    let (a, b, room) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
        run.create_room("a").await?.id,
    );
    run.say_many(room, 2).await?;
    let append = |n: usize| {
        run.ports
            .messages
            .append(NewMessage::from_user(room, format!("meanwhile {n}")))
    };
    let joining = join_all([a, b, a, b].map(|agent| run.ports.rooms.add_member(room, agent)));
    let (before, added, after) = join3(
        join_all((0..3).map(append)),
        joining,
        join_all((3..6).map(append)),
    )
    .await;
    for outcome in before.into_iter().chain(after) {
        outcome?;
    }
    let mut announcements = 0;
    for outcome in added {
        let added = outcome?;
        let Some(message) = added.message else {
            continue;
        };
        announcements += 1;
        ensure_eq(
            "the announcement's sequence number",
            &message.seq,
            &Seq(added.member.joined_after_seq.0 + 1),
        )?;
    }
    ensure_eq("the number of announcements", &announcements, &2)?;
    ensure_eq("the number of members", &run.members(room).await?.len(), &2)?;
    let seqs: Vec<_> = run
        .log(room)
        .await?
        .iter()
        .map(|message| message.seq.0)
        .collect();
    ensure_eq(
        "the sequence numbers in the log",
        &seqs,
        &(1..=10).collect(),
    )?;
    ensure_eq(
        "the log's last sequence number",
        &run.activity(room).await?.last_seq,
        &Seq(10),
    )
}

pub(super) async fn an_agent_joins_under_its_current_name(run: LawRun) -> Outcome {
    let (agent, room) = (
        run.create_agent("old").await?,
        run.create_room("a").await?.id,
    );
    run.say(room, "hello").await?;
    run.ensure_agent_shown(&agent).await?;
    let change = AgentChange {
        name: Some(run.agent_name("new")?),
        ..AgentChange::default()
    };
    let renamed = run.ports.agents.update(agent.id, change).await?;
    run.ports.rooms.add_member(room, agent.id).await?;
    ensure_eq(
        "the log",
        &run.texts(room).await?,
        &vec![
            "hello".to_owned(),
            format!("{} joined the chat", renamed.name),
        ],
    )
}
