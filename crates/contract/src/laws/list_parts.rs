//! Laws of lists that are read in parts.

use std::{fmt, sync::Arc};

use domain::{Agent, AgentId, Room, RoomId};

use super::{
    ensure::{Outcome, START, ensure, ensure_eq},
    law_run::LawRun,
};

/// Returns a breach unless `newest` are two ids, and none of them is below the second of `created`.
/// Other users of the store may have created newer rows meanwhile.
fn ensure_newest<T: Ord + fmt::Debug>(created: &[T], newest: &[T]) -> Outcome {
    ensure(
        newest.len() == 2 && newest.iter().all(|id| *id >= created[1]),
        format!("the newest two of a list that ends with {created:?} are {newest:?}"),
    )
}

pub(super) async fn agents_are_listed_in_parts(run: LawRun) -> Outcome {
    let agents = &run.ports.agents;
    let mut created: Vec<AgentId> = Vec::new();
    for name in ["c", "a", "b"] {
        created.push(run.create_agent(name).await?.id);
    }
    let ids =
        |list: Vec<Arc<Agent>>| -> Vec<AgentId> { list.iter().map(|agent| agent.id).collect() };
    ensure_newest(&created, &ids(agents.list(None, 2).await?))?;
    let next = ids(agents.list(Some(created[0]), 1).await?);
    ensure(
        next.len() == 1 && next[0] > created[0] && next[0] <= created[1],
        format!("the agent after the first of {created:?} is {next:?}"),
    )?;
    ensure_eq("a list of no agents", &agents.list(None, 0).await?, &vec![])?;
    let last = AgentId(i64::MAX);
    ensure_eq(
        "the agents after the last id",
        &agents.list(Some(last), 1).await?,
        &vec![],
    )
}

pub(super) async fn rooms_are_listed_in_parts(run: LawRun) -> Outcome {
    let rooms = &run.ports.rooms;
    let mut created: Vec<RoomId> = Vec::new();
    for name in ["c", "a", "b"] {
        created.push(run.create_room(name).await?.id);
    }
    let ids = |list: Vec<Arc<Room>>| -> Vec<RoomId> { list.iter().map(|room| room.id).collect() };
    ensure_newest(&created, &ids(rooms.list(None, 2).await?))?;
    let next = ids(rooms.list(Some(created[0]), 1).await?);
    ensure(
        next.len() == 1 && next[0] > created[0] && next[0] <= created[1],
        format!("the room after the first of {created:?} is {next:?}"),
    )?;
    ensure_eq("a list of no rooms", &rooms.list(None, 0).await?, &vec![])?;
    ensure_eq(
        "the rooms after the last id",
        &rooms.list(Some(RoomId(i64::MAX)), 1).await?,
        &vec![],
    )
}

pub(super) async fn an_owners_rooms_are_listed_in_parts(run: LawRun) -> Outcome {
    let rooms = &run.ports.rooms;
    let owner = run.owner()?;
    let mut created = Vec::new();
    for name in ["c", "a", "b"] {
        created.push(run.create_room(name).await?);
    }
    let zero = Some(RoomId(0));
    for (after, limit, expected) in [
        (None, 2, &created[1..]),
        (None, 0, &[]),
        (zero, 2, &created[..2]),
        (Some(created[0].id), 1, &created[1..2]),
        (Some(created[0].id), 5, &created[1..]),
        (Some(created[2].id), 5, &[]),
    ] {
        ensure_eq(
            &format!("{limit} rooms of the owner after {after:?}"),
            &rooms.list_by_owner(&owner, after, limit).await?,
            &expected.to_vec(),
        )?;
    }
    Ok(())
}

pub(super) async fn by_authors_without_after_returns_their_newest_messages(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?.id;
    let (a, b) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    );
    let mut theirs = Vec::new();
    for n in 0..4 {
        run.say(room, &format!("question {n}")).await?;
        let author = if n == 2 { b } else { a };
        theirs.push(run.answer(room, author, &format!("answer {n}")).await?);
    }
    let messages = &run.ports.messages;
    for limit in 0..6 {
        let newest = theirs[theirs.len() - limit.min(theirs.len())..].to_vec();
        ensure_eq(
            &format!("the newest {limit} messages of two authors"),
            &messages.by_authors(room, &[b, a], None, limit).await?,
            &newest,
        )?;
    }
    ensure_eq(
        "the newest message of one author",
        &messages.by_authors(room, &[b], None, 1).await?,
        &vec![theirs[2].clone()],
    )?;
    run.ports.messages.clear(room).await?;
    ensure_eq(
        "the newest messages after a clear",
        &messages.by_authors(room, &[a, b], None, 5).await?,
        &vec![],
    )?;
    let after_clear = run.answer(room, a, "again").await?;
    ensure_eq(
        "the only message after a clear",
        &messages.by_authors(room, &[a, b], Some(START), 5).await?,
        &vec![after_clear],
    )
}
