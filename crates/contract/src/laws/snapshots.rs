//! Laws of reads and marks during writes. A read must come from one snapshot, and a mark must be
//! one atomic change.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::{AgentId, RoomId, Seq};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join},
};

use super::{
    ensure::{Outcome, ensure, ensure_some},
    law_run::{LawRun, in_tasks},
};
use crate::pause::pause;

/// The number of messages that are written during reads. With so many writes, at least one falls
/// between the two parts of a read that does not use one snapshot.
const WRITES: usize = 24;

/// Appends messages of an agent, and sets `is_done` afterwards.
async fn answer_often(run: &LawRun, room: RoomId, agent: AgentId, is_done: &AtomicBool) -> Outcome {
    let mut written = Ok(());
    for n in 0..WRITES {
        written = run
            .answer(room, agent, &format!("answer {n}"))
            .await
            .map(drop);
        if written.is_err() {
            break;
        }
        pause().await;
    }
    // Relaxed, like the loads: reader and writer run in one task.
    is_done.store(true, Ordering::Relaxed);
    written
}

async fn ensure_whole_end(run: &LawRun, room: RoomId) -> Outcome {
    let end = run.ports.messages.end(room, 3).await?;
    let end = ensure_some("the end of a log", end)?;
    let newest = end.messages.last().map_or(Seq(0), |message| message.seq);
    ensure(
        newest == end.last_seq,
        format!(
            "the end of a log that is never cleared has the sequence number {}, \
             and its newest message has {newest}",
            end.last_seq
        ),
    )
}

async fn ensure_whole_counts(run: &LawRun, room: RoomId) -> Outcome {
    let counts = run.ports.messages.answer_counts(room).await?;
    let counts = ensure_some("the counts of a room", counts)?;
    let answers: u64 = counts.by_agent.values().sum();
    ensure(
        answers == counts.last_seq.0.unsigned_abs(),
        format!(
            "{answers} answers were counted in a log of {} answers",
            counts.last_seq
        ),
    )
}

/// Calls `check` again and again while an agent's messages are appended to a new room.
async fn check_during_writes(
    run: &LawRun,
    check: impl for<'a> Fn(&'a LawRun, RoomId) -> BoxFuture<'a, Outcome>,
) -> Outcome {
    let (room, agent) = (run.create_room("a").await?.id, run.create_agent("a").await?);
    let is_done = AtomicBool::new(false);
    let reading = async {
        while !is_done.load(Ordering::Relaxed) {
            check(run, room).await?;
            pause().await;
        }
        check(run, room).await
    };
    let (written, read) = join(answer_often(run, room, agent.id, &is_done), reading).await;
    written.and(read)
}

pub(super) async fn an_end_is_read_in_one_snapshot(run: LawRun) -> Outcome {
    check_during_writes(&run, |run, room| ensure_whole_end(run, room).boxed()).await
}

pub(super) async fn answer_counts_are_read_in_one_snapshot(run: LawRun) -> Outcome {
    check_during_writes(&run, |run, room| ensure_whole_counts(run, room).boxed()).await
}

pub(super) async fn a_mark_covers_what_was_acknowledged_before_it(run: LawRun) -> Outcome {
    let (user, room) = (run.user("reader")?, run.create_room("a").await?.id);
    let marks = (0..8).map(|n| {
        let run = run.clone();
        async move { say_and_mark(&run, room, n).await }
    });
    let marked: Vec<Seq> = in_tasks(marks).await?.into_iter().collect::<Outcome<_>>()?;
    let position = run.ports.read_positions.find(&user, room).await?;
    let position = ensure_some("a marked position", position)?;
    let highest = marked.into_iter().max().unwrap_or(Seq(0));
    ensure(
        position.read_seq >= highest,
        format!(
            "the position is {} after a mark returned {highest}",
            position.read_seq
        ),
    )
}

/// Appends a message, marks the room as read, and returns the marked sequence number.
async fn say_and_mark(run: &LawRun, room: RoomId, n: usize) -> Outcome<Seq> {
    let said = run.say(room, &format!("message {n}")).await?.seq;
    let user = run.user("reader")?;
    let marked = run.ports.read_positions.mark(user, room).await?.read_seq;
    ensure(
        marked >= said,
        format!("a mark after message {said} covers only {marked}"),
    )?;
    Ok(marked)
}
