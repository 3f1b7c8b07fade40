//! Laws of reading a room's log.

use std::sync::Arc;

use super::stage::{ALL, Found, NOBODY, NOWHERE, START, Stage, ensure, same, there};
use domain::{
    AgentId, AnswerCounts, Image, LogEnd, Message, MessageId, NewMessage, Page, RoomId, Seq,
};

/// A room with messages of a user, two agents and the system, a neighbour that speaks in between, and the log.
struct Talk {
    room: RoomId,
    neighbour: RoomId,
    a: AgentId,
    b: AgentId,
    log: Vec<Arc<Message>>,
}

async fn talk(s: &Stage) -> Found<Talk> {
    let (room, neighbour) = (s.room("talk").await?.id, s.room("neighbour").await?.id);
    let (a, b) = (s.agent("a").await?.id, s.agent("b").await?.id);
    s.r.rooms.add_member(room, a).await?;
    s.r.rooms.add_member(room, b).await?;
    s.r.rooms.add_member(neighbour, a).await?;
    let mut log = Vec::new();
    for n in 0..3 {
        log.push(s.say(room, &format!("user {n}")).await?);
        s.answer(neighbour, a, "next door").await?;
        log.push(s.answer(room, a, &format!("a {n}")).await?);
        log.push(
            s.r.messages
                .append(NewMessage::from_system(room, format!("system {n}")))
                .await?,
        );
        s.say(neighbour, "next door").await?;
        log.push(s.answer(room, b, &format!("b {n}")).await?);
    }
    same("the log", &s.log(room).await?, &log)?;
    Ok(Talk {
        room,
        neighbour,
        a,
        b,
        log,
    })
}

pub(super) async fn recent_gives_the_newest_oldest_first(s: Stage) -> Found {
    let Talk { room, log, .. } = talk(&s).await?;
    for limit in [0, 1, 2, log.len() - 1, log.len(), log.len() + 1, ALL] {
        let wanted = log[log.len().saturating_sub(limit)..].to_vec();
        same(
            &format!("the newest {limit} messages"),
            &s.r.messages.recent(room, None, limit).await?,
            &wanted.into(),
        )?;
    }
    Ok(())
}

pub(super) async fn recent_gives_the_newest_below_a_message(s: Stage) -> Found {
    let Talk { room, log, .. } = talk(&s).await?;
    for place in [0, 1, 5, log.len() - 1] {
        for limit in [0, 1, 3, place, place + 1, ALL] {
            let wanted = log[place.saturating_sub(limit)..place].to_vec();
            let page =
                s.r.messages
                    .recent(room, Some(log[place].id), limit)
                    .await?;
            same(
                &format!("the newest {limit} messages below place {place}"),
                &page,
                &wanted.into(),
            )?;
        }
    }
    same(
        "the messages below the first id",
        &s.r.messages.recent(room, Some(START), ALL).await?,
        &Page::default(),
    )?;
    let beyond = Some(MessageId(i64::MAX));
    same(
        "the newest below an id beyond the last",
        &s.r.messages.recent(room, beyond, 2).await?,
        &log[log.len() - 2..].to_vec().into(),
    )
}

pub(super) async fn since_gives_the_oldest_above_oldest_first(s: Stage) -> Found {
    let Talk { room, log, .. } = talk(&s).await?;
    for place in 0..=log.len() {
        let after = place.checked_sub(1).map_or(START, |last| log[last].id);
        for limit in [0, 1, 3, log.len() - place, log.len() - place + 1, ALL] {
            let wanted: Page = log[place..].iter().take(limit).cloned().collect();
            let got = s.r.messages.since(room, after, limit).await?;
            same(
                &format!("the oldest {limit} messages above place {place}"),
                &got,
                &wanted,
            )?;
        }
    }
    same(
        "the messages above an id beyond the last",
        &s.r.messages.since(room, MessageId(i64::MAX), ALL).await?,
        &Page::default(),
    )
}

pub(super) async fn an_id_of_another_room_divides_the_log_like_its_own(s: Stage) -> Found {
    let Talk {
        room,
        neighbour,
        log,
        ..
    } = talk(&s).await?;
    for divide in s.log(neighbour).await?.iter().map(|message| message.id) {
        let (below, above): (Vec<_>, Vec<_>) =
            log.iter().cloned().partition(|message| message.id < divide);
        same(
            "the messages above another room's id",
            &s.r.messages.since(room, divide, ALL).await?,
            &above.into(),
        )?;
        same(
            "the messages below another room's id",
            &s.r.messages.recent(room, Some(divide), ALL).await?,
            &below.into(),
        )?;
    }
    Ok(())
}

pub(super) async fn an_unknown_rooms_log_is_empty(s: Stage) -> Found {
    let Talk { a, log, .. } = talk(&s).await?;
    for room in [NOWHERE, RoomId(0), s.deleted_room("gone").await?] {
        let messages = &s.r.messages;
        same(
            "the newest messages",
            &messages.recent(room, None, ALL).await?,
            &Page::default(),
        )?;
        same(
            "the messages since the start",
            &messages.since(room, START, ALL).await?,
            &Page::default(),
        )?;
        same(
            "the messages of an author",
            &messages.by_authors(room, &[a], START, ALL).await?,
            &vec![],
        )?;
        same(
            "the messages since an answer",
            &messages.since_answer(room, a, ALL).await?,
            &vec![],
        )?;
        same(
            "how often agents spoke",
            &messages.answer_counts(room).await?,
            &None,
        )?;
        same("the log's end", &messages.end(room, ALL).await?, &None)?;
        same(
            "the images",
            &messages.images(room, &[log[0].id]).await?,
            &vec![],
        )?;
    }
    Ok(())
}

pub(super) async fn by_authors_gives_the_oldest_of_theirs_above(s: Stage) -> Found {
    let Talk {
        room, a, b, log, ..
    } = talk(&s).await?;
    let asked: [&[AgentId]; 6] = [&[a], &[b], &[b, a], &[a, NOBODY, a], &[NOBODY], &[]];
    for authors in asked {
        for place in [0, 1, 2, 6, log.len()] {
            let after = place.checked_sub(1).map_or(START, |last| log[last].id);
            for limit in [0, 1, 2, 3, ALL] {
                let theirs = |message: &&Arc<Message>| {
                    message
                        .author
                        .is_some_and(|author| authors.contains(&author))
                };
                let wanted: Vec<_> = log[place..]
                    .iter()
                    .filter(theirs)
                    .take(limit)
                    .cloned()
                    .collect();
                let got = s.r.messages.by_authors(room, authors, after, limit).await?;
                same(
                    &format!("the oldest {limit} messages of {authors:?} above place {place}"),
                    &got,
                    &wanted,
                )?;
            }
        }
    }
    let next = s.answer(room, a, "one more").await?;
    same(
        "what was said since",
        &s.r.messages.by_authors(room, &[a], log[11].id, ALL).await?,
        &vec![next],
    )
}

pub(super) async fn since_answer_gives_what_an_agent_has_not_answered(s: Stage) -> Found {
    let Talk {
        room,
        a,
        b,
        mut log,
        ..
    } = talk(&s).await?;
    let last_of_a = log
        .iter()
        .rposition(|message| message.author == Some(a))
        .map_or(0, |place| place + 1);
    let check = async |log: &[Arc<Message>], told: &str| {
        for limit in [0, 1, 2, 3, ALL] {
            let wanted = log[log.len().saturating_sub(limit)..].to_vec();
            let got = s.r.messages.since_answer(room, a, limit).await?;
            same(
                &format!("the newest {limit} messages {told}"),
                &got,
                &wanted,
            )?;
        }
        Found::Ok(())
    };
    check(&log[last_of_a..], "since the answer").await?;
    log.push(s.say(room, "more").await?);
    log.push(s.answer(room, b, "more").await?);
    check(&log[last_of_a..], "since the answer, when others went on").await?;
    same(
        "what b has not answered",
        &s.r.messages.since_answer(room, b, ALL).await?,
        &vec![],
    )?;
    s.answer(room, a, "an answer").await?;
    check(&[], "since the new answer").await?;
    s.r.messages.clear(room).await?;
    check(&[], "of a cleared room").await?;
    let later = s.say(room, "later").await?;
    check(&[later], "since the room was cleared").await
}

pub(super) async fn since_answer_begins_where_the_agent_joined(s: Stage) -> Found {
    let Talk { room, a, .. } = talk(&s).await?;
    let (late, outside) = (s.agent("late").await?, s.agent("outside").await?.id);
    let since = async |agent| s.r.messages.since_answer(room, agent, ALL).await;
    same(
        "what an agent outside has not answered",
        &since(outside).await?,
        &vec![],
    )?;
    same(
        "what an unknown agent has not answered",
        &since(NOBODY).await?,
        &vec![],
    )?;
    same(
        "what an agent has not answered before it joined",
        &since(late.id).await?,
        &vec![],
    )?;
    let told = s.r.rooms.add_member(room, late.id).await?.message;
    let mut unanswered: Vec<_> = told.into_iter().collect();
    same(
        "what an agent has not answered that just joined",
        &since(late.id).await?,
        &unanswered,
    )?;
    unanswered.push(s.say(room, "welcome").await?);
    unanswered.push(s.answer(room, a, "welcome").await?);
    same(
        "what an agent has not answered since it joined",
        &since(late.id).await?,
        &unanswered,
    )?;
    s.answer(room, late.id, "thank you").await?;
    s.say(room, "unheard").await?;
    s.r.rooms.remove_member(room, late.id).await?;
    same(
        "what an agent has not answered that left",
        &since(late.id).await?,
        &vec![],
    )?;
    s.say(room, "unheard too").await?;
    let back: Vec<_> =
        s.r.rooms
            .add_member(room, late.id)
            .await?
            .message
            .into_iter()
            .collect();
    same(
        "what an agent has not answered that came back",
        &since(late.id).await?,
        &back,
    )
}

pub(super) async fn answers_count_what_stands_in_the_room(s: Stage) -> Found {
    let Talk {
        room,
        neighbour,
        a,
        b,
        ..
    } = talk(&s).await?;
    let check = async |told: &str, counts: &[(AgentId, u64)]| {
        let answers = there("answers", s.r.messages.answer_counts(room).await?)?;
        same(
            &format!("how often agents spoke{told}"),
            &answers.by_agent,
            &counts.iter().copied().collect(),
        )?;
        same(
            "the last place",
            &answers.last_seq,
            &s.activity(room).await?.last_seq,
        )
    };
    check("", &[(a, 3), (b, 3)]).await?;
    s.answer(room, a, "again").await?;
    s.say(room, "and you").await?;
    check(", with one more", &[(a, 4), (b, 3)]).await?;
    s.r.rooms.remove_member(room, b).await?;
    check(", when one has left", &[(a, 4), (b, 3)]).await?;
    s.r.messages.clear(room).await?;
    check(" in a cleared room", &[]).await?;
    let next_door = there("answers", s.r.messages.answer_counts(neighbour).await?)?;
    same(
        "how often agents spoke next door",
        &next_door.by_agent,
        &[(a, 3)].into(),
    )?;
    let silent = s.room("silent").await?.id;
    same(
        "answers in an empty room",
        &s.r.messages.answer_counts(silent).await?.as_deref(),
        &Some(&AnswerCounts::default()),
    )
}

pub(super) async fn the_end_gives_the_newest_and_the_last_place(s: Stage) -> Found {
    let Talk { room, log, .. } = talk(&s).await?;
    let last_seq = s.activity(room).await?.last_seq;
    for limit in [0, 1, 3, log.len(), ALL] {
        let end = there("the end", s.r.messages.end(room, limit).await?)?;
        same(
            &format!("the newest {limit} messages"),
            &end.messages,
            &log[log.len().saturating_sub(limit)..].to_vec(),
        )?;
        same("the last place", &end.last_seq, &last_seq)?;
    }
    s.r.messages.clear(room).await?;
    let end = there("the end", s.r.messages.end(room, ALL).await?)?;
    same(
        "the end of a cleared room",
        &end,
        &LogEnd {
            last_seq: Seq(last_seq.0 + 1),
            messages: vec![],
        },
    )?;
    let silent = s.room("silent").await?.id;
    same(
        "the end of an empty room",
        &s.r.messages.end(silent, ALL).await?,
        &Some(LogEnd {
            last_seq: Seq(0),
            messages: vec![],
        }),
    )
}

pub(super) async fn images_of_a_room_come_by_rising_id_each_once(s: Stage) -> Found {
    let Talk {
        room,
        neighbour,
        log,
        ..
    } = talk(&s).await?;
    let image = |n: usize| Image {
        media_type: "image/png".into(),
        data: format!("aGVsbG8{n}"),
    };
    let append = async |room, n| {
        s.r.messages
            .append(NewMessage {
                image: Some(image(n)),
                ..NewMessage::from_user(room, "see")
            })
            .await
    };
    let (a, b, elsewhere) = (
        append(room, 1).await?,
        append(room, 2).await?,
        append(neighbour, 3).await?,
    );
    same(
        "the media type of a message with an image",
        &a.image_media_type,
        &Some("image/png".to_owned()),
    )?;
    let ids = [
        b.id,
        log[0].id,
        elsewhere.id,
        a.id,
        b.id,
        MessageId(i64::MAX),
    ];
    let wanted = vec![(a.id, Arc::new(image(1))), (b.id, Arc::new(image(2)))];
    same(
        "the images of many messages",
        &s.r.messages.images(room, &ids).await?,
        &wanted,
    )?;
    same(
        "the images of no messages",
        &s.r.messages.images(room, &[]).await?,
        &vec![],
    )?;
    same(
        "the image next door",
        &s.r.messages.images(neighbour, &ids).await?.len(),
        &1,
    )?;
    s.r.messages.clear(room).await?;
    same(
        "the images of a cleared room",
        &s.r.messages.images(room, &ids).await?,
        &vec![],
    )?;
    ensure(
        !s.r.messages.images(neighbour, &ids).await?.is_empty(),
        "clearing a room deletes another's image",
    )
}
