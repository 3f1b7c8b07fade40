//! Laws of reading a room's log.

use std::sync::Arc;

use domain::{Image, LogEnd, MessageId, NewMessage, Page, RoomId, Seq};

use super::{
    ensure::{NO_LIMIT, Outcome, START, UNKNOWN_ROOM, ensure, ensure_eq, ensure_some},
    law_run::LawRun,
    talk::{Talk, talk},
};

pub(super) async fn recent_returns_the_newest_messages_oldest_first(run: LawRun) -> Outcome {
    let Talk { room, log, .. } = talk(&run).await?;
    for limit in [0, 1, 2, log.len() - 1, log.len(), log.len() + 1, NO_LIMIT] {
        let expected = log[log.len().saturating_sub(limit)..].to_vec();
        ensure_eq(
            &format!("the newest {limit} messages"),
            &run.ports.messages.recent(room, None, limit).await?,
            &expected.into(),
        )?;
    }
    Ok(())
}

pub(super) async fn recent_returns_the_newest_messages_below_an_id(run: LawRun) -> Outcome {
    let Talk { room, log, .. } = talk(&run).await?;
    for index in [0, 1, 5, log.len() - 1] {
        for limit in [0, 1, 3, index, index + 1, NO_LIMIT] {
            let expected = log[index.saturating_sub(limit)..index].to_vec();
            let page = run
                .ports
                .messages
                .recent(room, Some(log[index].id), limit)
                .await?;
            ensure_eq(
                &format!("the newest {limit} messages below index {index}"),
                &page,
                &expected.into(),
            )?;
        }
    }
    ensure_eq(
        "the messages below the first id",
        &run.ports
            .messages
            .recent(room, Some(START), NO_LIMIT)
            .await?,
        &Page::default(),
    )?;
    let beyond = Some(MessageId(i64::MAX));
    ensure_eq(
        "the newest below an id beyond the last",
        &run.ports.messages.recent(room, beyond, 2).await?,
        &log[log.len() - 2..].to_vec().into(),
    )
}

pub(super) async fn since_returns_the_oldest_messages_above_an_id(run: LawRun) -> Outcome {
    let Talk { room, log, .. } = talk(&run).await?;
    for index in 0..=log.len() {
        let after = index.checked_sub(1).map_or(START, |last| log[last].id);
        for limit in [0, 1, 3, log.len() - index, log.len() - index + 1, NO_LIMIT] {
            let expected: Page = log[index..].iter().take(limit).cloned().collect();
            let page = run.ports.messages.since(room, after, limit).await?;
            ensure_eq(
                &format!("the oldest {limit} messages above index {index}"),
                &page,
                &expected,
            )?;
        }
    }
    ensure_eq(
        "the messages above an id beyond the last",
        &run.ports
            .messages
            .since(room, MessageId(i64::MAX), NO_LIMIT)
            .await?,
        &Page::default(),
    )
}

pub(super) async fn an_id_of_another_room_divides_the_log_like_its_own(run: LawRun) -> Outcome {
    let Talk {
        room,
        neighbour,
        log,
        ..
    } = talk(&run).await?;
    for divide in run.log(neighbour).await?.iter().map(|message| message.id) {
        let (below, above): (Vec<_>, Vec<_>) =
            log.iter().cloned().partition(|message| message.id < divide);
        ensure_eq(
            "the messages above another room's id",
            &run.ports.messages.since(room, divide, NO_LIMIT).await?,
            &above.into(),
        )?;
        ensure_eq(
            "the messages below another room's id",
            &run.ports
                .messages
                .recent(room, Some(divide), NO_LIMIT)
                .await?,
            &below.into(),
        )?;
    }
    Ok(())
}

pub(super) async fn an_unknown_rooms_log_is_empty(run: LawRun) -> Outcome {
    let Talk { a, log, .. } = talk(&run).await?;
    for room in [
        UNKNOWN_ROOM,
        RoomId(0),
        run.create_deleted_room("deleted").await?,
    ] {
        let messages = &run.ports.messages;
        ensure_eq(
            "the newest messages",
            &messages.recent(room, None, NO_LIMIT).await?,
            &Page::default(),
        )?;
        ensure_eq(
            "the messages since the start",
            &messages.since(room, START, NO_LIMIT).await?,
            &Page::default(),
        )?;
        ensure_eq(
            "the messages of an author",
            &messages
                .by_authors(room, &[a], Some(START), NO_LIMIT)
                .await?,
            &vec![],
        )?;
        ensure_eq(
            "the messages since an answer",
            &messages.since_answer(room, a, NO_LIMIT).await?,
            &vec![],
        )?;
        ensure_eq(
            "the answer counts",
            &messages.answer_counts(room).await?,
            &None,
        )?;
        ensure_eq("the log's end", &messages.end(room, NO_LIMIT).await?, &None)?;
        ensure_eq(
            "the images",
            &messages.images(room, &[log[0].id]).await?,
            &vec![],
        )?;
    }
    Ok(())
}

pub(super) async fn end_returns_the_newest_messages_and_the_last_sequence_number(
    run: LawRun,
) -> Outcome {
    let Talk { room, log, .. } = talk(&run).await?;
    let last_seq = run.activity(room).await?.last_seq;
    for limit in [0, 1, 3, log.len(), NO_LIMIT] {
        let end = ensure_some("the end", run.ports.messages.end(room, limit).await?)?;
        ensure_eq(
            &format!("the newest {limit} messages"),
            &end.messages,
            &log[log.len().saturating_sub(limit)..].to_vec(),
        )?;
        ensure_eq("the log's last sequence number", &end.last_seq, &last_seq)?;
    }
    run.ports.messages.clear(room).await?;
    let end = ensure_some("the end", run.ports.messages.end(room, NO_LIMIT).await?)?;
    ensure_eq(
        "the end of a cleared room",
        &end,
        &LogEnd {
            last_seq: Seq(last_seq.0 + 1),
            messages: vec![],
        },
    )?;
    let silent = run.create_room("silent").await?.id;
    ensure_eq(
        "the end of an empty room",
        &run.ports.messages.end(silent, NO_LIMIT).await?,
        &Some(LogEnd {
            last_seq: Seq(0),
            messages: vec![],
        }),
    )
}

pub(super) async fn images_of_a_room_come_by_ascending_id_each_once(run: LawRun) -> Outcome {
    let Talk {
        room,
        neighbour,
        log,
        ..
    } = talk(&run).await?;
    let image = |n: usize| Image {
        media_type: "image/png".into(),
        data: format!("aGVsbG8{n}"),
    };
    let append = async |room, n| {
        run.ports
            .messages
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
    ensure_eq(
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
    let expected = vec![(a.id, Arc::new(image(1))), (b.id, Arc::new(image(2)))];
    ensure_eq(
        "the images of many messages",
        &run.ports.messages.images(room, &ids).await?,
        &expected,
    )?;
    ensure_eq(
        "the images of no messages",
        &run.ports.messages.images(room, &[]).await?,
        &vec![],
    )?;
    ensure_eq(
        "the number of images in the neighbouring room",
        &run.ports.messages.images(neighbour, &ids).await?.len(),
        &1,
    )?;
    run.ports.messages.clear(room).await?;
    ensure_eq(
        "the images of a cleared room",
        &run.ports.messages.images(room, &ids).await?,
        &vec![],
    )?;
    ensure(
        !run.ports.messages.images(neighbour, &ids).await?.is_empty(),
        "a clear deleted an image of another room",
    )
}
