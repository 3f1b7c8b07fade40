//! Laws of the agents' sessions with their provider.

use futures_util::future::join_all;

use super::stage::{Found, NOBODY, NOWHERE, Stage, ensure, missing, same};
use domain::{AgentId, RoomId, Session};

async fn stored(s: &Stage, room: RoomId) -> Found<Vec<(AgentId, String)>> {
    let sessions = s.r.sessions.list(room).await?;
    Ok(sessions
        .iter()
        .map(|Session { agent, session_id }| (*agent, session_id.clone()))
        .collect())
}

/// Three agents by rising id, in a room of their own.
async fn company(s: &Stage) -> Found<(RoomId, [AgentId; 3])> {
    let room = s.room("a").await?.id;
    let agents = [
        s.agent("c").await?.id,
        s.agent("a").await?.id,
        s.agent("b").await?.id,
    ];
    for agent in agents {
        s.r.rooms.add_member(room, agent).await?;
    }
    Ok((room, agents))
}

pub(super) async fn sessions_come_by_rising_agent(s: Stage) -> Found {
    let (room, [a, b, c]) = company(&s).await?;
    same(
        "the sessions of a new room",
        &stored(&s, room).await?,
        &vec![],
    )?;
    for (agent, session) in [(c, "of c"), (a, "of a"), (b, "of 'b' 하늘")] {
        s.r.sessions.save(room, agent, session.into()).await?;
    }
    let wanted = vec![
        (a, "of a".to_owned()),
        (b, "of 'b' 하늘".to_owned()),
        (c, "of c".to_owned()),
    ];
    same("the sessions", &stored(&s, room).await?, &wanted)
}

pub(super) async fn saving_a_session_leaves_the_others(s: Stage) -> Found {
    let (room, [a, b, _]) = company(&s).await?;
    let other = s.room("other").await?.id;
    s.r.rooms.add_member(other, a).await?;
    s.r.sessions.save(room, a, "first".into()).await?;
    same(
        "one session",
        &stored(&s, room).await?,
        &vec![(a, "first".to_owned())],
    )?;
    s.r.sessions.save(room, b, "of b".into()).await?;
    same(
        "two sessions",
        &stored(&s, room).await?,
        &vec![(a, "first".to_owned()), (b, "of b".to_owned())],
    )?;
    s.r.sessions.save(room, a, "second".into()).await?;
    same(
        "the replaced session",
        &stored(&s, room).await?,
        &vec![(a, "second".to_owned()), (b, "of b".to_owned())],
    )?;
    same(
        "the sessions of the other room",
        &stored(&s, other).await?,
        &vec![],
    )?;
    s.r.sessions.save(other, a, "elsewhere".into()).await?;
    same(
        "the session of the other room",
        &stored(&s, other).await?,
        &vec![(a, "elsewhere".to_owned())],
    )?;
    same(
        "the sessions",
        &stored(&s, room).await?,
        &vec![(a, "second".to_owned()), (b, "of b".to_owned())],
    )
}

pub(super) async fn concurrent_sessions_all_stay(s: Stage) -> Found {
    let (room, agents) = company(&s).await?;
    stored(&s, room).await?;
    for outcome in
        join_all(agents.map(|agent| s.r.sessions.save(room, agent, format!("of {agent}")))).await
    {
        outcome?;
    }
    same(
        "the sessions",
        &stored(&s, room).await?,
        &agents.map(|agent| (agent, format!("of {agent}"))).to_vec(),
    )
}

pub(super) async fn an_agent_outside_has_no_session(s: Stage) -> Found {
    let (room, [a, b, _]) = company(&s).await?;
    let outside = s.agent("outside").await?.id;
    s.r.sessions.save(room, a, "of a".into()).await?;
    s.r.rooms.remove_member(room, b).await?;
    for agent in [outside, b, NOBODY] {
        missing(
            "saving the session of an agent that is not in",
            s.r.sessions.save(room, agent, "x".into()).await,
        )?;
    }
    for room in [NOWHERE, RoomId(0), s.deleted_room("gone").await?] {
        missing(
            "saving a session in a room that is not there",
            s.r.sessions.save(room, a, "x".into()).await,
        )?;
        ensure(
            s.r.sessions.list(room).await?.is_empty(),
            "a room that is not there has sessions",
        )?;
    }
    same(
        "the sessions",
        &stored(&s, room).await?,
        &vec![(a, "of a".to_owned())],
    )
}
