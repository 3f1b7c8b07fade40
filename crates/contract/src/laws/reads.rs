//! Laws of how far users have read.

use futures_util::future::{join, join_all};

use super::stage::{Found, NOWHERE, Stage, ensure, missing, same};
use domain::{ReadPosition, RoomId, Seq};

pub(super) async fn a_mark_reads_everything_there_is(s: Stage) -> Found {
    let (user, room) = (s.user("reader")?, s.room("a").await?.id);
    same(
        "the position before the first mark",
        &s.r.read_positions.find(&user, room).await?,
        &None,
    )?;
    same(
        "the positions before the first mark",
        &s.r.read_positions.find_many(&user, &[room]).await?,
        &vec![],
    )?;
    for version in 1..=4 {
        let marked = s.r.read_positions.mark(user.clone(), room).await?;
        let read_seq = s.activity(room).await?.last_seq;
        same(
            "the marked position",
            &*marked,
            &ReadPosition {
                room,
                read_seq,
                read_at: marked.read_at,
                version,
            },
        )?;
        same(
            "the found position",
            &s.r.read_positions.find(&user, room).await?,
            &Some(marked.clone()),
        )?;
        same(
            "the position found among many",
            &s.r.read_positions.find_many(&user, &[room]).await?,
            &vec![marked],
        )?;
        if version == 3 {
            s.r.messages.clear(room).await?;
        } else {
            s.chat(room, 2).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_message_after_the_mark_is_unread(s: Stage) -> Found {
    let (user, room) = (s.user("reader")?, s.room("a").await?.id);
    s.chat(room, 2).await?;
    let marked = s.r.read_positions.mark(user.clone(), room).await?;
    ensure(
        s.activity(room).await?.last_message_seq <= marked.read_seq,
        "a marked room has something unread",
    )?;
    let said = s.say(room, "new").await?;
    ensure(
        said.seq > marked.read_seq,
        "a message after the mark counts as read",
    )?;
    same(
        "the position after a message",
        &s.r.read_positions.find(&user, room).await?,
        &Some(marked),
    )
}

pub(super) async fn a_mark_is_the_users_and_the_rooms_own(s: Stage) -> Found {
    let (user, other) = (s.user("reader")?, s.user("other")?);
    let (room, elsewhere) = (s.room("a").await?.id, s.room("b").await?.id);
    s.chat(room, 2).await?;
    let theirs = s.r.read_positions.mark(other.clone(), room).await?;
    s.say(room, "more").await?;
    same(
        "the position before the mark",
        &s.r.read_positions.find(&user, room).await?,
        &None,
    )?;
    s.r.read_positions.mark(user.clone(), room).await?;
    same(
        "another user's position",
        &s.r.read_positions.find(&other, room).await?,
        &Some(theirs.clone()),
    )?;
    same(
        "another user's positions",
        &s.r.read_positions.find_many(&other, &[room]).await?,
        &vec![theirs],
    )?;
    same(
        "a user's position who never marked",
        &s.r.read_positions.find(&s.owner()?, room).await?,
        &None,
    )?;
    same(
        "the position elsewhere",
        &s.r.read_positions.find(&user, elsewhere).await?,
        &None,
    )?;
    s.r.read_positions.mark(user.clone(), elsewhere).await?;
    let places: Vec<_> =
        s.r.read_positions
            .find_many(&user, &[elsewhere, room])
            .await?
            .iter()
            .map(|read| read.read_seq)
            .collect();
    same("the user's places", &places, &vec![Seq(3), Seq(0)])
}

pub(super) async fn positions_found_together_come_by_rising_room_each_once(s: Stage) -> Found {
    let user = s.user("reader")?;
    let (a, b, c) = (
        s.room("c").await?.id,
        s.room("a").await?.id,
        s.room("b").await?.id,
    );
    let unmarked = s.room("unmarked").await?.id;
    s.chat(b, 1).await?;
    s.r.read_positions.mark(s.owner()?, unmarked).await?;
    let mark = |room| s.r.read_positions.mark(user.clone(), room);
    let (of_c, of_a, of_b) = (mark(c).await?, mark(a).await?, mark(b).await?);
    let found =
        s.r.read_positions
            .find_many(&user, &[c, NOWHERE, a, c, unmarked, b, a])
            .await?;
    same(
        "the positions found together",
        &found,
        &vec![of_a, of_b, of_c],
    )?;
    same(
        "the positions in no rooms",
        &s.r.read_positions.find_many(&user, &[]).await?,
        &vec![],
    )
}

pub(super) async fn concurrent_marks_all_count(s: Stage) -> Found {
    let (user, room) = (s.user("reader")?, s.room("a").await?.id);
    s.chat(room, 2).await?;
    s.r.read_positions.find(&user, room).await?;
    let append =
        s.r.messages
            .append(domain::NewMessage::from_user(room, "meanwhile"));
    let (outcomes, appended) = join(
        join_all((0..5).map(|_| s.r.read_positions.mark(user.clone(), room))),
        append,
    )
    .await;
    appended?;
    let mut marks = Vec::new();
    for outcome in outcomes {
        marks.push(outcome?);
    }
    marks.sort_by_key(|read| read.version);
    same(
        "the versions of concurrent marks",
        &marks.iter().map(|read| read.version).collect::<Vec<_>>(),
        &vec![1, 2, 3, 4, 5],
    )?;
    ensure(
        marks.is_sorted_by_key(|read| read.read_seq),
        "a mark moved a position back",
    )?;
    same(
        "the position",
        &s.r.read_positions.find(&user, room).await?,
        &marks.pop(),
    )
}

pub(super) async fn an_unknown_room_cannot_be_marked(s: Stage) -> Found {
    let user = s.user("reader")?;
    for room in [NOWHERE, RoomId(0), s.deleted_room("gone").await?] {
        missing(
            "marking a room that is not there",
            s.r.read_positions.mark(user.clone(), room).await,
        )?;
        same(
            "the position in a room that is not there",
            &s.r.read_positions.find(&user, room).await?,
            &None,
        )?;
        same(
            "the positions in a room that is not there",
            &s.r.read_positions.find_many(&user, &[room]).await?,
            &vec![],
        )?;
    }
    Ok(())
}
