//! A room with a conversation, for the laws of reading logs.

use std::sync::Arc;

use domain::{AgentId, Message, NewMessage, RoomId};

use super::{
    ensure::{Outcome, ensure_eq},
    law_run::LawRun,
};

/// Two rooms. `room` has messages of a user, two agents and the system. Messages of `neighbour`
/// were sent in between.
pub(super) struct Talk {
    pub(super) room: RoomId,
    pub(super) neighbour: RoomId,
    pub(super) a: AgentId,
    pub(super) b: AgentId,
    /// The room's log, oldest first.
    pub(super) log: Vec<Arc<Message>>,
}

/// Creates the two rooms and appends their messages.
pub(super) async fn talk(run: &LawRun) -> Outcome<Talk> {
    let (room, neighbour) = (
        run.create_room("talk").await?.id,
        run.create_room("neighbour").await?.id,
    );
    let (a, b) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    );
    run.ports.rooms.add_member(room, a).await?;
    run.ports.rooms.add_member(room, b).await?;
    run.ports.rooms.add_member(neighbour, a).await?;
    let mut log = Vec::new();
    for n in 0..3 {
        log.push(run.say(room, &format!("user {n}")).await?);
        run.answer(neighbour, a, "from the neighbour").await?;
        log.push(run.answer(room, a, &format!("a {n}")).await?);
        log.push(
            run.ports
                .messages
                .append(NewMessage::from_system(room, format!("system {n}")))
                .await?,
        );
        run.say(neighbour, "from the neighbour").await?;
        log.push(run.answer(room, b, &format!("b {n}")).await?);
    }
    ensure_eq("the log", &run.log(room).await?, &log)?;
    Ok(Talk {
        room,
        neighbour,
        a,
        b,
        log,
    })
}
