//! Laws of direct rooms.

use futures_util::future::join_all;

use super::stage::{Found, NOBODY, Stage, ensure, missing, same};
use domain::{AgentChange, NewRoom, RoomChange, RoomName};

pub(super) async fn a_direct_room_is_made_once_with_its_agent_in_it(s: Stage) -> Found {
    let (owner, agent) = (s.owner()?, s.agent("a").await?);
    same(
        "the direct room before it was made",
        &s.r.rooms.find_direct(&owner, agent.id).await?,
        &None,
    )?;
    let room = s.r.rooms.create_direct(owner.clone(), agent.id).await?;
    same(
        "the direct room's name",
        &room.name.as_str(),
        &&*format!("Direct: {}", agent.name),
    )?;
    same("the direct room's owner", &room.owner, &owner)?;
    same(
        "the direct room's agent",
        &room.direct_agent,
        &Some(agent.id),
    )?;
    same("the direct room's first version", &room.version, &1)?;
    s.shows_room(&room).await?;
    same(
        "the direct room's members",
        &s.members(room.id).await?,
        &vec![agent.id],
    )?;
    same("the direct room's log", &s.texts(room.id).await?, &vec![])?;
    s.say(room.id, "hello").await?;
    same(
        "the direct room, asked for again,",
        &s.r.rooms.create_direct(owner.clone(), agent.id).await?,
        &room,
    )?;
    same(
        "the direct room's members",
        &s.members(room.id).await?,
        &vec![agent.id],
    )?;
    same(
        "the direct room's log",
        &s.texts(room.id).await?,
        &vec!["hello".to_owned()],
    )?;
    same(
        "the owner's rooms",
        &s.r.rooms.list_by_owner(&owner).await?,
        &vec![room],
    )
}

pub(super) async fn an_owner_and_an_agent_have_a_direct_room_of_their_own(s: Stage) -> Found {
    let (owner, other) = (s.owner()?, s.user("other")?);
    let (a, b) = (s.agent("a").await?.id, s.agent("b").await?.id);
    let room = s.r.rooms.create_direct(owner.clone(), a).await?;
    same(
        "the direct room of another owner",
        &s.r.rooms.find_direct(&other, a).await?,
        &None,
    )?;
    same(
        "the direct room of another agent",
        &s.r.rooms.find_direct(&owner, b).await?,
        &None,
    )?;
    let theirs = s.r.rooms.create_direct(other.clone(), a).await?;
    let of_b = s.r.rooms.create_direct(owner.clone(), b).await?;
    ensure(
        room.id != theirs.id && room.id != of_b.id && theirs.id != of_b.id,
        "two share a direct room",
    )?;
    for room in [&room, &theirs, &of_b] {
        s.shows_room(room).await?;
    }
    same(
        "the direct room of nobody",
        &s.r.rooms.find_direct(&owner, NOBODY).await?,
        &None,
    )?;
    missing(
        "making a direct room of nobody",
        s.r.rooms.create_direct(owner, NOBODY).await,
    )
}

pub(super) async fn concurrent_calls_make_one_direct_room(s: Stage) -> Found {
    let (owner, agent) = (s.owner()?, s.agent("a").await?.id);
    s.r.rooms.find_direct(&owner, agent).await?;
    let mut rooms = Vec::new();
    for outcome in join_all((0..6).map(|_| s.r.rooms.create_direct(owner.clone(), agent))).await {
        rooms.push(outcome?);
    }
    ensure(
        rooms.iter().all(|room| room.id == rooms[0].id),
        "an owner and an agent have two direct rooms",
    )?;
    s.shows_room(&rooms[0]).await?;
    same(
        "the direct room's members",
        &s.members(rooms[0].id).await?,
        &vec![agent],
    )?;
    same(
        "the owner's rooms",
        &s.r.rooms.list_by_owner(&owner).await?,
        &vec![rooms[0].clone()],
    )
}

pub(super) async fn a_direct_room_is_found_whatever_its_name(s: Stage) -> Found {
    let (owner, agent) = (s.owner()?, s.agent("a").await?);
    let room = s.r.rooms.create_direct(owner.clone(), agent.id).await?;
    let change = RoomChange {
        name: Some(s.room_name("renamed")?),
        ..RoomChange::default()
    };
    let renamed = s.r.rooms.update(room.id, change).await?;
    s.shows_room(&renamed).await?;
    same(
        "the renamed direct room, asked for again,",
        &s.r.rooms.create_direct(owner.clone(), agent.id).await?,
        &renamed,
    )?;
    let change = AgentChange {
        name: Some(s.agent_name("renamed")?),
        ..AgentChange::default()
    };
    s.r.agents.update(agent.id, change).await?;
    same(
        "the renamed agent's direct room, asked for again,",
        &s.r.rooms.create_direct(owner, agent.id).await?,
        &renamed,
    )?;
    s.shows_room(&renamed).await
}

pub(super) async fn direct_rooms_names_are_no_conflicts(s: Stage) -> Found {
    let (owner, a, b) = (s.owner()?, s.agent("a").await?, s.agent("b").await?);
    let name_of_a = RoomName::parse(&format!("Direct: {}", a.name))?;
    let name_of_b = RoomName::parse(&format!("Direct: {}", b.name))?;
    let named = NewRoom {
        owner: owner.clone(),
        name: name_of_a.clone(),
        max_interactions: None,
    };
    let plain = s.r.rooms.create(named).await?;
    let direct = s.r.rooms.create_direct(owner.clone(), a.id).await?;
    ensure(
        plain.id != direct.id,
        "a room was taken for a direct one by its name",
    )?;
    let direct_b = s.r.rooms.create_direct(owner.clone(), b.id).await?;
    same("the direct room's name", &direct_b.name, &name_of_b)?;
    let other =
        s.r.rooms
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
    let direct_b = s.r.rooms.update(direct_b.id, same_name).await?;
    for room in [&plain, &direct, &direct_b, &other] {
        s.shows_room(room).await?;
    }
    Ok(())
}

pub(super) async fn a_deleted_agent_gets_no_direct_room_and_keeps_its_old_one(s: Stage) -> Found {
    let (owner, agent, gone) = (
        s.owner()?,
        s.agent("a").await?.id,
        s.deleted_agent("gone").await?.id,
    );
    missing(
        "making a direct room of a deleted agent",
        s.r.rooms.create_direct(owner.clone(), gone).await,
    )?;
    same(
        "the direct room of a deleted agent",
        &s.r.rooms.find_direct(&owner, gone).await?,
        &None,
    )?;
    let room = s.r.rooms.create_direct(owner.clone(), agent).await?;
    s.r.agents.delete(agent).await?;
    s.shows_room(&room).await?;
    missing(
        "asking again for the direct room of an agent deleted since",
        s.r.rooms.create_direct(owner.clone(), agent).await,
    )?;
    same(
        "the owner's rooms",
        &s.r.rooms.list_by_owner(&owner).await?,
        &vec![room],
    )
}

pub(super) async fn a_deleted_direct_room_is_made_anew(s: Stage) -> Found {
    let (owner, agent) = (s.owner()?, s.agent("a").await?.id);
    let room = s.r.rooms.create_direct(owner.clone(), agent).await?;
    s.shows_room(&room).await?;
    s.r.rooms.delete(room.id).await?;
    same(
        "a deleted direct room",
        &s.r.rooms.find_direct(&owner, agent).await?,
        &None,
    )?;
    let next = s.r.rooms.create_direct(owner, agent).await?;
    ensure(next.id != room.id, "a deleted direct room's id came back")?;
    s.shows_room(&next).await?;
    same(
        "the new direct room's members",
        &s.members(next.id).await?,
        &vec![agent],
    )
}
