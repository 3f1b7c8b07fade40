//! Laws of read positions.

use domain::{NewMessage, ReadPosition, RoomId, Seq};
use futures_util::future::join;

use super::{
    ensure::{Outcome, UNKNOWN_ROOM, ensure, ensure_eq, ensure_missing},
    law_run::{LawRun, in_tasks},
};

pub(super) async fn a_mark_covers_the_whole_log(run: LawRun) -> Outcome {
    let (user, room) = (run.user("reader")?, run.create_room("a").await?.id);
    ensure_eq(
        "the position before the first mark",
        &run.ports.read_positions.find(&user, room).await?,
        &None,
    )?;
    ensure_eq(
        "the positions before the first mark",
        &run.ports.read_positions.find_many(&user, &[room]).await?,
        &vec![],
    )?;
    for version in 1..=4 {
        let marked = run.ports.read_positions.mark(user.clone(), room).await?;
        let read_seq = run.activity(room).await?.last_seq;
        ensure_eq(
            "the marked position",
            &*marked,
            &ReadPosition {
                room,
                read_seq,
                read_at: marked.read_at,
                version,
            },
        )?;
        ensure_eq(
            "the found position",
            &run.ports.read_positions.find(&user, room).await?,
            &Some(marked.clone()),
        )?;
        ensure_eq(
            "the position found among many",
            &run.ports.read_positions.find_many(&user, &[room]).await?,
            &vec![marked],
        )?;
        if version == 3 {
            run.ports.messages.clear(room).await?;
        } else {
            run.say_many(room, 2).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_message_after_the_mark_is_unread(run: LawRun) -> Outcome {
    let (user, room) = (run.user("reader")?, run.create_room("a").await?.id);
    run.say_many(room, 2).await?;
    let marked = run.ports.read_positions.mark(user.clone(), room).await?;
    ensure(
        run.activity(room).await?.last_message_seq <= marked.read_seq,
        "a marked room has an unread message",
    )?;
    let messages = run.say(room, "new").await?;
    ensure(
        messages.seq > marked.read_seq,
        "a message after the mark counts as read",
    )?;
    ensure_eq(
        "the position after a message",
        &run.ports.read_positions.find(&user, room).await?,
        &Some(marked),
    )
}

pub(super) async fn a_mark_concerns_one_user_and_one_room(run: LawRun) -> Outcome {
    let (user, other) = (run.user("reader")?, run.user("other")?);
    let (room, elsewhere) = (
        run.create_room("a").await?.id,
        run.create_room("b").await?.id,
    );
    run.say_many(room, 2).await?;
    let other_position = run.ports.read_positions.mark(other.clone(), room).await?;
    run.say(room, "more").await?;
    ensure_eq(
        "the position before the mark",
        &run.ports.read_positions.find(&user, room).await?,
        &None,
    )?;
    run.ports.read_positions.mark(user.clone(), room).await?;
    ensure_eq(
        "another user's position",
        &run.ports.read_positions.find(&other, room).await?,
        &Some(other_position.clone()),
    )?;
    ensure_eq(
        "another user's positions",
        &run.ports.read_positions.find_many(&other, &[room]).await?,
        &vec![other_position],
    )?;
    ensure_eq(
        "the position of a user who never marked",
        &run.ports.read_positions.find(&run.owner()?, room).await?,
        &None,
    )?;
    ensure_eq(
        "the position in another room",
        &run.ports.read_positions.find(&user, elsewhere).await?,
        &None,
    )?;
    run.ports
        .read_positions
        .mark(user.clone(), elsewhere)
        .await?;
    let seqs: Vec<_> = run
        .ports
        .read_positions
        .find_many(&user, &[elsewhere, room])
        .await?
        .iter()
        .map(|read| read.read_seq)
        .collect();
    ensure_eq(
        "the user's read sequence numbers",
        &seqs,
        &vec![Seq(3), Seq(0)],
    )
}

pub(super) async fn positions_found_together_come_by_ascending_room_each_once(
    run: LawRun,
) -> Outcome {
    let user = run.user("reader")?;
    let (a, b, c) = (
        run.create_room("c").await?.id,
        run.create_room("a").await?.id,
        run.create_room("b").await?.id,
    );
    let unmarked = run.create_room("unmarked").await?.id;
    run.say_many(b, 1).await?;
    run.ports
        .read_positions
        .mark(run.owner()?, unmarked)
        .await?;
    let mark = |room| run.ports.read_positions.mark(user.clone(), room);
    let (of_c, of_a, of_b) = (mark(c).await?, mark(a).await?, mark(b).await?);
    let found = run
        .ports
        .read_positions
        .find_many(&user, &[c, UNKNOWN_ROOM, a, c, unmarked, b, a])
        .await?;
    ensure_eq(
        "the positions found together",
        &found,
        &vec![of_a, of_b, of_c],
    )?;
    ensure_eq(
        "the positions in no rooms",
        &run.ports.read_positions.find_many(&user, &[]).await?,
        &vec![],
    )
}

pub(super) async fn concurrent_marks_all_count(run: LawRun) -> Outcome {
    let (user, room) = (run.user("reader")?, run.create_room("a").await?.id);
    run.say_many(room, 2).await?;
    run.ports.read_positions.find(&user, room).await?;
    let append = run
        .ports
        .messages
        .append(NewMessage::from_user(room, "meanwhile"));
    let calls = (0..5).map(|_| {
        let (ports, user) = (run.ports.clone(), user.clone());
        async move { ports.read_positions.mark(user, room).await }
    });
    let (outcomes, appended) = join(in_tasks(calls), append).await;
    appended?;
    let mut marks = Vec::new();
    for outcome in outcomes? {
        marks.push(outcome?);
    }
    marks.sort_by_key(|read| read.version);
    ensure_eq(
        "the versions of concurrent marks",
        &marks.iter().map(|read| read.version).collect::<Vec<_>>(),
        &vec![1, 2, 3, 4, 5],
    )?;
    ensure(
        marks.is_sorted_by_key(|read| read.read_seq),
        "a mark moved a position back",
    )?;
    ensure_eq(
        "the position",
        &run.ports.read_positions.find(&user, room).await?,
        &marks.pop(),
    )
}

pub(super) async fn an_unknown_room_cannot_be_marked(run: LawRun) -> Outcome {
    let user = run.user("reader")?;
    for room in [
        UNKNOWN_ROOM,
        RoomId(0),
        run.create_deleted_room("deleted").await?,
    ] {
        ensure_missing(
            "marking a missing room",
            run.ports.read_positions.mark(user.clone(), room).await,
        )?;
        ensure_eq(
            "the position in a missing room",
            &run.ports.read_positions.find(&user, room).await?,
            &None,
        )?;
        ensure_eq(
            "the positions in a missing room",
            &run.ports.read_positions.find_many(&user, &[room]).await?,
            &vec![],
        )?;
    }
    Ok(())
}
