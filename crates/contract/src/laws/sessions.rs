//! Laws of the agents' sessions with their provider.

use domain::{AgentId, RoomId, Session};
use futures_util::future::join_all;

use super::{
    ensure::{Outcome, UNKNOWN_AGENT, UNKNOWN_ROOM, ensure, ensure_eq, ensure_missing},
    law_run::LawRun,
};

async fn stored(run: &LawRun, room: RoomId) -> Outcome<Vec<(AgentId, String)>> {
    let sessions = run.ports.sessions.list(room).await?;
    Ok(sessions
        .iter()
        .map(|Session { agent, session_id }| (*agent, session_id.clone()))
        .collect())
}

/// Creates a room with three members. Returns the id of the room, and those of the agents in
/// ascending order.
async fn company(run: &LawRun) -> Outcome<(RoomId, [AgentId; 3])> {
    let room = run.create_room("a").await?.id;
    let agents = [
        run.create_agent("c").await?.id,
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    ];
    for agent in agents {
        run.ports.rooms.add_member(room, agent).await?;
    }
    Ok((room, agents))
}

pub(super) async fn sessions_come_by_ascending_agent(run: LawRun) -> Outcome {
    let (room, [a, b, c]) = company(&run).await?;
    ensure_eq(
        "the sessions of a new room",
        &stored(&run, room).await?,
        &vec![],
    )?;
    for (agent, session) in [(c, "of c"), (a, "of a"), (b, "of 'b' 하늘")] {
        run.ports.sessions.save(room, agent, session.into()).await?;
    }
    let expected = vec![
        (a, "of a".to_owned()),
        (b, "of 'b' 하늘".to_owned()),
        (c, "of c".to_owned()),
    ];
    ensure_eq("the sessions", &stored(&run, room).await?, &expected)
}

pub(super) async fn saving_a_session_leaves_the_others(run: LawRun) -> Outcome {
    let (room, [a, b, _]) = company(&run).await?;
    let other = run.create_room("other").await?.id;
    run.ports.rooms.add_member(other, a).await?;
    run.ports.sessions.save(room, a, "first".into()).await?;
    ensure_eq(
        "one session",
        &stored(&run, room).await?,
        &vec![(a, "first".to_owned())],
    )?;
    run.ports.sessions.save(room, b, "of b".into()).await?;
    ensure_eq(
        "two sessions",
        &stored(&run, room).await?,
        &vec![(a, "first".to_owned()), (b, "of b".to_owned())],
    )?;
    run.ports.sessions.save(room, a, "second".into()).await?;
    ensure_eq(
        "the replaced session",
        &stored(&run, room).await?,
        &vec![(a, "second".to_owned()), (b, "of b".to_owned())],
    )?;
    ensure_eq(
        "the sessions of the other room",
        &stored(&run, other).await?,
        &vec![],
    )?;
    run.ports
        .sessions
        .save(other, a, "elsewhere".into())
        .await?;
    ensure_eq(
        "the session of the other room",
        &stored(&run, other).await?,
        &vec![(a, "elsewhere".to_owned())],
    )?;
    ensure_eq(
        "the sessions",
        &stored(&run, room).await?,
        &vec![(a, "second".to_owned()), (b, "of b".to_owned())],
    )
}

pub(super) async fn concurrent_sessions_all_stay(run: LawRun) -> Outcome {
    let (room, agents) = company(&run).await?;
    stored(&run, room).await?;
    for outcome in
        join_all(agents.map(|agent| run.ports.sessions.save(room, agent, format!("of {agent}"))))
            .await
    {
        outcome?;
    }
    ensure_eq(
        "the sessions",
        &stored(&run, room).await?,
        &agents.map(|agent| (agent, format!("of {agent}"))).to_vec(),
    )
}

pub(super) async fn an_agent_that_is_not_a_member_has_no_session(run: LawRun) -> Outcome {
    let (room, [a, b, _]) = company(&run).await?;
    let outside = run.create_agent("outside").await?.id;
    run.ports.sessions.save(room, a, "of a".into()).await?;
    run.ports.rooms.remove_member(room, b).await?;
    for agent in [outside, b, UNKNOWN_AGENT] {
        ensure_missing(
            "saving the session of an agent that is not a member",
            run.ports.sessions.save(room, agent, "x".into()).await,
        )?;
    }
    for room in [
        UNKNOWN_ROOM,
        RoomId(0),
        run.create_deleted_room("deleted").await?,
    ] {
        ensure_missing(
            "saving a session in a missing room",
            run.ports.sessions.save(room, a, "x".into()).await,
        )?;
        ensure(
            run.ports.sessions.list(room).await?.is_empty(),
            "a missing room has sessions",
        )?;
    }
    ensure_eq(
        "the sessions",
        &stored(&run, room).await?,
        &vec![(a, "of a".to_owned())],
    )
}
