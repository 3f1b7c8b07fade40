//! Laws of direct rooms.

use domain::{AgentChange, LIST_LIMIT, NewRoom, RoomChange, RoomName};
use futures_util::future::join_all;

use super::{
    ensure::{Outcome, UNKNOWN_AGENT, ensure, ensure_eq, ensure_missing},
    law_run::LawRun,
};

pub(super) async fn a_direct_room_is_created_once_with_its_agent_in_it(run: LawRun) -> Outcome {
    let (owner, agent) = (run.owner()?, run.create_agent("a").await?);
    ensure_eq(
        "the direct room before its creation",
        &run.ports.rooms.find_direct(&owner, agent.id).await?,
        &None,
    )?;
    let room = run
        .ports
        .rooms
        .create_direct(owner.clone(), agent.id)
        .await?;
    ensure_eq(
        "the direct room's name",
        &room.name.as_str(),
        &&*format!("Direct: {}", agent.name),
    )?;
    ensure_eq("the direct room's owner", &room.owner, &owner)?;
    ensure_eq(
        "the direct room's agent",
        &room.direct_agent,
        &Some(agent.id),
    )?;
    ensure_eq("the direct room's first version", &room.version, &1)?;
    run.ensure_room_shown(&room).await?;
    ensure_eq(
        "the direct room's members",
        &run.members(room.id).await?,
        &vec![agent.id],
    )?;
    ensure_eq("the direct room's log", &run.texts(room.id).await?, &vec![])?;
    run.say(room.id, "hello").await?;
    ensure_eq(
        "the direct room, created again,",
        &run.ports
            .rooms
            .create_direct(owner.clone(), agent.id)
            .await?,
        &room,
    )?;
    ensure_eq(
        "the direct room's members",
        &run.members(room.id).await?,
        &vec![agent.id],
    )?;
    ensure_eq(
        "the direct room's log",
        &run.texts(room.id).await?,
        &vec!["hello".to_owned()],
    )?;
    ensure_eq(
        "the owner's rooms",
        &run.ports
            .rooms
            .list_by_owner(&owner, None, LIST_LIMIT)
            .await?,
        &vec![room],
    )
}

pub(super) async fn an_owner_and_an_agent_have_a_direct_room_of_their_own(run: LawRun) -> Outcome {
    let (owner, other) = (run.owner()?, run.user("other")?);
    let (a, b) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    );
    let room = run.ports.rooms.create_direct(owner.clone(), a).await?;
    ensure_eq(
        "the direct room of another owner",
        &run.ports.rooms.find_direct(&other, a).await?,
        &None,
    )?;
    ensure_eq(
        "the direct room of another agent",
        &run.ports.rooms.find_direct(&owner, b).await?,
        &None,
    )?;
    let of_other = run.ports.rooms.create_direct(other.clone(), a).await?;
    let of_b = run.ports.rooms.create_direct(owner.clone(), b).await?;
    ensure(
        room.id != of_other.id && room.id != of_b.id && of_other.id != of_b.id,
        "two owners or two agents share a direct room",
    )?;
    for room in [&room, &of_other, &of_b] {
        run.ensure_room_shown(room).await?;
    }
    ensure_eq(
        "the direct room of an unknown agent",
        &run.ports.rooms.find_direct(&owner, UNKNOWN_AGENT).await?,
        &None,
    )?;
    ensure_missing(
        "creating a direct room of an unknown agent",
        run.ports.rooms.create_direct(owner, UNKNOWN_AGENT).await,
    )
}

pub(super) async fn concurrent_calls_create_one_direct_room(run: LawRun) -> Outcome {
    let (owner, agent) = (run.owner()?, run.create_agent("a").await?.id);
    run.ports.rooms.find_direct(&owner, agent).await?;
    let mut rooms = Vec::new();
    for outcome in
        join_all((0..6).map(|_| run.ports.rooms.create_direct(owner.clone(), agent))).await
    {
        rooms.push(outcome?);
    }
    ensure(
        rooms.iter().all(|room| room.id == rooms[0].id),
        "an owner and an agent have two direct rooms",
    )?;
    run.ensure_room_shown(&rooms[0]).await?;
    ensure_eq(
        "the direct room's members",
        &run.members(rooms[0].id).await?,
        &vec![agent],
    )?;
    ensure_eq(
        "the owner's rooms",
        &run.ports
            .rooms
            .list_by_owner(&owner, None, LIST_LIMIT)
            .await?,
        &vec![rooms[0].clone()],
    )
}

pub(super) async fn a_direct_room_is_found_whatever_its_name(run: LawRun) -> Outcome {
    let (owner, agent) = (run.owner()?, run.create_agent("a").await?);
    let room = run
        .ports
        .rooms
        .create_direct(owner.clone(), agent.id)
        .await?;
    let change = RoomChange {
        name: Some(run.room_name("renamed")?),
        ..RoomChange::default()
    };
    let renamed = run.ports.rooms.update(room.id, change).await?;
    run.ensure_room_shown(&renamed).await?;
    ensure_eq(
        "the renamed direct room, created again,",
        &run.ports
            .rooms
            .create_direct(owner.clone(), agent.id)
            .await?,
        &renamed,
    )?;
    let change = AgentChange {
        name: Some(run.agent_name("renamed")?),
        ..AgentChange::default()
    };
    run.ports.agents.update(agent.id, change).await?;
    ensure_eq(
        "the renamed agent's direct room, created again,",
        &run.ports.rooms.create_direct(owner, agent.id).await?,
        &renamed,
    )?;
    run.ensure_room_shown(&renamed).await
}

pub(super) async fn direct_rooms_names_are_no_conflicts(run: LawRun) -> Outcome {
    let (owner, a, b) = (
        run.owner()?,
        run.create_agent("a").await?,
        run.create_agent("b").await?,
    );
    let name_of_a = RoomName::parse(&format!("Direct: {}", a.name))?;
    let name_of_b = RoomName::parse(&format!("Direct: {}", b.name))?;
    let named = NewRoom {
        owner: owner.clone(),
        name: name_of_a.clone(),
        max_interactions: None,
    };
    let plain = run.ports.rooms.create(named).await?;
    let direct = run.ports.rooms.create_direct(owner.clone(), a.id).await?;
    ensure(
        plain.id != direct.id,
        "a room counted as a direct room because of its name",
    )?;
    let direct_b = run.ports.rooms.create_direct(owner.clone(), b.id).await?;
    ensure_eq("the direct room's name", &direct_b.name, &name_of_b)?;
    let other = run
        .ports
        .rooms
        .create(NewRoom {
            owner,
            name: name_of_b,
            max_interactions: None,
        })
        .await?;
    let same_name = RoomChange {
        name: Some(plain.name.clone()),
        ..RoomChange::default()
    };
    let direct_b = run.ports.rooms.update(direct_b.id, same_name).await?;
    for room in [&plain, &direct, &direct_b, &other] {
        run.ensure_room_shown(room).await?;
    }
    Ok(())
}

pub(super) async fn a_deleted_agent_gets_no_direct_room_and_keeps_its_old_one(
    run: LawRun,
) -> Outcome {
    let (owner, agent, deleted) = (
        run.owner()?,
        run.create_agent("a").await?.id,
        run.create_deleted_agent("deleted").await?.id,
    );
    ensure_missing(
        "creating a direct room of a deleted agent",
        run.ports.rooms.create_direct(owner.clone(), deleted).await,
    )?;
    ensure_eq(
        "the direct room of a deleted agent",
        &run.ports.rooms.find_direct(&owner, deleted).await?,
        &None,
    )?;
    let room = run.ports.rooms.create_direct(owner.clone(), agent).await?;
    run.ports.agents.delete(agent).await?;
    run.ensure_room_shown(&room).await?;
    ensure_missing(
        "creating the direct room of an agent again after its deletion",
        run.ports.rooms.create_direct(owner.clone(), agent).await,
    )?;
    ensure_eq(
        "the owner's rooms",
        &run.ports
            .rooms
            .list_by_owner(&owner, None, LIST_LIMIT)
            .await?,
        &vec![room],
    )
}

pub(super) async fn a_deleted_direct_room_is_created_again(run: LawRun) -> Outcome {
    let (owner, agent) = (run.owner()?, run.create_agent("a").await?.id);
    let room = run.ports.rooms.create_direct(owner.clone(), agent).await?;
    run.ensure_room_shown(&room).await?;
    run.ports.rooms.delete(room.id).await?;
    ensure_eq(
        "a deleted direct room",
        &run.ports.rooms.find_direct(&owner, agent).await?,
        &None,
    )?;
    let next = run.ports.rooms.create_direct(owner, agent).await?;
    ensure(next.id != room.id, "a deleted direct room's id was reused")?;
    run.ensure_room_shown(&next).await?;
    ensure_eq(
        "the new direct room's members",
        &run.members(next.id).await?,
        &vec![agent],
    )
}
