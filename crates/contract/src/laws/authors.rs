//! Laws of reading a room's log by author.

use std::sync::Arc;

use domain::{AgentId, AnswerCounts, Message};

use super::{
    ensure::{NO_LIMIT, Outcome, START, UNKNOWN_AGENT, ensure_eq, ensure_some},
    law_run::LawRun,
    talk::{Talk, talk},
};

pub(super) async fn by_authors_returns_their_oldest_messages_above_an_id(run: LawRun) -> Outcome {
    let Talk {
        room, a, b, log, ..
    } = talk(&run).await?;
    let author_lists: [&[AgentId]; 6] = [
        &[a],
        &[b],
        &[b, a],
        &[a, UNKNOWN_AGENT, a],
        &[UNKNOWN_AGENT],
        &[],
    ];
    for authors in author_lists {
        for index in [0, 1, 2, 6, log.len()] {
            let after = index.checked_sub(1).map_or(START, |last| log[last].id);
            for limit in [0, 1, 2, 3, NO_LIMIT] {
                let by_them = |message: &&Arc<Message>| {
                    message
                        .author
                        .is_some_and(|author| authors.contains(&author))
                };
                let expected: Vec<_> = log[index..]
                    .iter()
                    .filter(by_them)
                    .take(limit)
                    .cloned()
                    .collect();
                let page = run
                    .ports
                    .messages
                    .by_authors(room, authors, Some(after), limit)
                    .await?;
                ensure_eq(
                    &format!("the oldest {limit} messages of {authors:?} above index {index}"),
                    &page,
                    &expected,
                )?;
            }
        }
    }
    let next = run.answer(room, a, "one more").await?;
    ensure_eq(
        "the new message",
        &run.ports
            .messages
            .by_authors(room, &[a], Some(log[11].id), NO_LIMIT)
            .await?,
        &vec![next],
    )
}

pub(super) async fn since_answer_returns_the_unanswered_messages(run: LawRun) -> Outcome {
    let Talk {
        room,
        a,
        b,
        mut log,
        ..
    } = talk(&run).await?;
    let last_of_a = log
        .iter()
        .rposition(|message| message.author == Some(a))
        .map_or(0, |index| index + 1);
    let check = async |log: &[Arc<Message>], label: &str| {
        for limit in [0, 1, 2, 3, NO_LIMIT] {
            let expected = log[log.len().saturating_sub(limit)..].to_vec();
            let page = run.ports.messages.since_answer(room, a, limit).await?;
            ensure_eq(
                &format!("the newest {limit} messages {label}"),
                &page,
                &expected,
            )?;
        }
        Outcome::Ok(())
    };
    check(&log[last_of_a..], "since the answer").await?;
    log.push(run.say(room, "more").await?);
    log.push(run.answer(room, b, "more").await?);
    check(&log[last_of_a..], "since the answer, after others went on").await?;
    ensure_eq(
        "the unanswered messages of agent b",
        &run.ports.messages.since_answer(room, b, NO_LIMIT).await?,
        &vec![],
    )?;
    run.answer(room, a, "an answer").await?;
    check(&[], "since the new answer").await?;
    run.ports.messages.clear(room).await?;
    check(&[], "of a cleared room").await?;
    let later = run.say(room, "later").await?;
    check(&[later], "since the room was cleared").await
}

pub(super) async fn since_answer_begins_where_the_agent_joined(run: LawRun) -> Outcome {
    let Talk { room, a, .. } = talk(&run).await?;
    let (late, outside) = (
        run.create_agent("late").await?,
        run.create_agent("outside").await?.id,
    );
    let since = async |agent| run.ports.messages.since_answer(room, agent, NO_LIMIT).await;
    ensure_eq(
        "the unanswered messages of an agent that is not a member",
        &since(outside).await?,
        &vec![],
    )?;
    ensure_eq(
        "the unanswered messages of an unknown agent",
        &since(UNKNOWN_AGENT).await?,
        &vec![],
    )?;
    ensure_eq(
        "the unanswered messages before the agent joined",
        &since(late.id).await?,
        &vec![],
    )?;
    let announcement = run.ports.rooms.add_member(room, late.id).await?.message;
    let mut unanswered: Vec<_> = announcement.into_iter().collect();
    ensure_eq(
        "the unanswered messages of an agent that just joined",
        &since(late.id).await?,
        &unanswered,
    )?;
    unanswered.push(run.say(room, "welcome").await?);
    unanswered.push(run.answer(room, a, "welcome").await?);
    ensure_eq(
        "the unanswered messages since the agent joined",
        &since(late.id).await?,
        &unanswered,
    )?;
    run.answer(room, late.id, "thank you").await?;
    run.say(room, "unheard").await?;
    run.ports.rooms.remove_member(room, late.id).await?;
    ensure_eq(
        "the unanswered messages of an agent that left",
        &since(late.id).await?,
        &vec![],
    )?;
    run.say(room, "unheard too").await?;
    let missed: Vec<_> = run
        .ports
        .rooms
        .add_member(room, late.id)
        .await?
        .message
        .into_iter()
        .collect();
    ensure_eq(
        "the unanswered messages after the agent joined again",
        &since(late.id).await?,
        &missed,
    )
}

pub(super) async fn answer_counts_match_the_current_log(run: LawRun) -> Outcome {
    let Talk {
        room,
        neighbour,
        a,
        b,
        ..
    } = talk(&run).await?;
    let check = async |label: &str, counts: &[(AgentId, u64)]| {
        let answers = ensure_some(
            "the answer counts",
            run.ports.messages.answer_counts(room).await?,
        )?;
        ensure_eq(
            &format!("the answer counts{label}"),
            &answers.by_agent,
            &counts.iter().copied().collect(),
        )?;
        ensure_eq(
            "the log's last sequence number",
            &answers.last_seq,
            &run.activity(room).await?.last_seq,
        )
    };
    check("", &[(a, 3), (b, 3)]).await?;
    run.answer(room, a, "again").await?;
    run.say(room, "and you").await?;
    check(" after one more answer", &[(a, 4), (b, 3)]).await?;
    run.ports.rooms.remove_member(room, b).await?;
    check(" after an agent left", &[(a, 4), (b, 3)]).await?;
    run.ports.messages.clear(room).await?;
    check(" in a cleared room", &[]).await?;
    let neighbour_counts = ensure_some(
        "the answer counts",
        run.ports.messages.answer_counts(neighbour).await?,
    )?;
    ensure_eq(
        "the answer counts of the neighbouring room",
        &neighbour_counts.by_agent,
        &[(a, 3)].into(),
    )?;
    let silent = run.create_room("silent").await?.id;
    ensure_eq(
        "the answer counts of an empty room",
        &run.ports.messages.answer_counts(silent).await?.as_deref(),
        &Some(&AnswerCounts::default()),
    )
}
