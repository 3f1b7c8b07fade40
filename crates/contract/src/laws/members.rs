//! Laws of a room's members.

use domain::Member;

use super::{
    ensure::{Outcome, UNKNOWN_AGENT, ensure, ensure_eq, ensure_missing},
    law_run::LawRun,
};

pub(super) async fn members_come_in_the_order_of_joining(run: LawRun) -> Outcome {
    let (a, b, c) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
        run.create_agent("c").await?.id,
    );
    let (room, other) = (
        run.create_room("a").await?.id,
        run.create_room("other").await?.id,
    );
    ensure_eq(
        "the members of a new room",
        &run.members(room).await?,
        &vec![],
    )?;
    let mut members: Vec<Member> = Vec::new();
    for agent in [b, c, a] {
        members.push(run.ports.rooms.add_member(room, agent).await?.member);
        ensure_eq(
            "the members",
            &run.ports.rooms.members(room).await?.to_vec(),
            &members,
        )?;
    }
    run.ports.rooms.remove_member(room, b).await?;
    ensure_eq(
        "the members after one left",
        &run.members(room).await?,
        &vec![c, a],
    )?;
    run.ports.rooms.add_member(room, b).await?;
    ensure_eq(
        "the members after it joined again",
        &run.members(room).await?,
        &vec![c, a, b],
    )?;
    ensure_eq(
        "the members of another room",
        &run.members(other).await?,
        &vec![],
    )
}

pub(super) async fn adding_an_agent_twice_is_the_same_as_once(run: LawRun) -> Outcome {
    let (agent, room) = (
        run.create_agent("a").await?.id,
        run.create_room("a").await?.id,
    );
    run.say(room, "hello").await?;
    let first = run.ports.rooms.add_member(room, agent).await?;
    ensure(
        first.message.is_some(),
        "joining a room with messages appended no announcement",
    )?;
    run.say(room, "welcome").await?;
    let log = run.log(room).await?;
    let second = run.ports.rooms.add_member(room, agent).await?;
    ensure_eq(
        "the membership, added again,",
        &second.member,
        &first.member,
    )?;
    ensure_eq("the announcement of joining again", &second.message, &None)?;
    ensure_eq(
        "the members",
        &run.ports.rooms.members(room).await?.to_vec(),
        &vec![first.member],
    )?;
    ensure_eq("the log", &run.log(room).await?, &log)
}

pub(super) async fn a_deleted_agent_stays_in_its_rooms_until_its_removal(run: LawRun) -> Outcome {
    let (a, b, room) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
        run.create_room("a").await?.id,
    );
    let other = run.create_room("other").await?.id;
    run.say(room, "hello").await?;
    run.ports.rooms.add_member(room, a).await?;
    run.ports.rooms.add_member(room, b).await?;
    let (members, log) = (run.ports.rooms.members(room).await?, run.log(room).await?);
    run.ports.agents.delete(a).await?;
    ensure_eq(
        "the members, including a deleted agent,",
        &run.ports.rooms.members(room).await?,
        &members,
    )?;
    ensure_missing(
        "adding a deleted agent",
        run.ports.rooms.add_member(other, a).await,
    )?;
    ensure_eq(
        "the members of the room that refused it",
        &run.members(other).await?,
        &vec![],
    )?;
    ensure_missing(
        "adding a deleted agent to a room that has it",
        run.ports.rooms.add_member(room, a).await,
    )?;
    ensure_eq(
        "the members",
        &run.ports.rooms.members(room).await?,
        &members,
    )?;
    run.ports.rooms.remove_member(room, a).await?;
    ensure_eq(
        "the members after its removal",
        &run.members(room).await?,
        &vec![b],
    )?;
    ensure_eq("the log", &run.log(room).await?, &log)
}

pub(super) async fn removing_an_agent_that_is_not_a_member_is_missing(run: LawRun) -> Outcome {
    let (a, b, room) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
        run.create_room("a").await?.id,
    );
    let other = run.create_room("other").await?.id;
    run.ports.rooms.add_member(room, a).await?;
    run.ports.rooms.add_member(other, b).await?;
    ensure_missing(
        "removing an agent that is not a member",
        run.ports.rooms.remove_member(room, b).await,
    )?;
    ensure_missing(
        "removing an unknown agent",
        run.ports.rooms.remove_member(room, UNKNOWN_AGENT).await,
    )?;
    ensure_missing(
        "adding an unknown agent",
        run.ports.rooms.add_member(room, UNKNOWN_AGENT).await,
    )?;
    ensure_eq("the members", &run.members(room).await?, &vec![a])?;
    run.ports.rooms.remove_member(room, a).await?;
    ensure_eq(
        "the members after the last one left",
        &run.members(room).await?,
        &vec![],
    )?;
    ensure_missing(
        "removing a member again",
        run.ports.rooms.remove_member(room, a).await,
    )?;
    ensure_eq(
        "the members of the other room",
        &run.members(other).await?,
        &vec![b],
    )
}
