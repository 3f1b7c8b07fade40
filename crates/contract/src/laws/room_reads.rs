//! Laws of finding and listing rooms.

use domain::{Activity, LIST_LIMIT, NewMessage, NewRoom, Room, RoomChange, RoomId};

use super::{
    ensure::{Outcome, UNKNOWN_ROOM, ensure, ensure_eq, ensure_missing},
    law_run::LawRun,
};

pub(super) async fn a_created_room_is_shown_by_every_read(run: LawRun) -> Outcome {
    let new = NewRoom {
        max_interactions: Some(12),
        ..run.new_room("a")?
    };
    run.ports.rooms.list(None, LIST_LIMIT).await?;
    run.ports
        .rooms
        .list_by_owner(&new.owner, None, LIST_LIMIT)
        .await?;
    let room = run.ports.rooms.create(new.clone()).await?;
    let expected = Room {
        id: room.id,
        owner: new.owner,
        name: new.name,
        direct_agent: None,
        max_interactions: new.max_interactions,
        is_paused: false,
        finished_seq: None,
        last_error: None,
        created_at: room.created_at,
        version: 1,
    };
    ensure_eq("the room that create returns", &*room, &expected)?;
    ensure(room.id.0 > 0, "an id is not above 0")?;
    run.ensure_room_shown(&room).await
}

pub(super) async fn a_room_looked_up_before_its_creation_is_found(run: LawRun) -> Outcome {
    let last = run.create_room("last").await?.id.0;
    let owner = run.owner()?;
    let agent = run.create_agent("a").await?.id;
    let guesses: Vec<RoomId> = (1..=8).map(|n| RoomId(last + n)).collect();
    for &guess in &guesses {
        run.ports.rooms.find(guess).await?;
        run.ports.rooms.members(guess).await?;
        run.ports.rooms.activity(guess).await?;
        run.ports.messages.recent(guess, None, 10).await?;
        run.ports.sessions.list(guess).await?;
        run.ports.read_positions.find(&owner, guess).await?;
    }
    run.ports.rooms.find_many(&guesses).await?;
    run.ports.rooms.activities(&guesses).await?;
    for n in 0..3 {
        let room = run.create_room(&format!("looked up {n}")).await?;
        run.ensure_room_shown(&room).await?;
        ensure_eq(
            "the activity of a new room",
            &*run.activity(room.id).await?,
            &Activity::default(),
        )?;
        run.ports.rooms.add_member(room.id, agent).await?;
        ensure_eq("the members", &run.members(room.id).await?, &vec![agent])?;
        run.say(room.id, "hello").await?;
        ensure_eq(
            "the log",
            &run.texts(room.id).await?,
            &vec!["hello".to_owned()],
        )?;
    }
    Ok(())
}

pub(super) async fn an_unknown_room_is_absent(run: LawRun) -> Outcome {
    let (owner, agent) = (run.owner()?, run.create_agent("a").await?.id);
    for id in [
        UNKNOWN_ROOM,
        RoomId(0),
        RoomId(-1),
        run.create_deleted_room("deleted").await?,
    ] {
        run.ensure_room_hidden(id, &owner).await?;
        ensure_missing(
            "updating a missing room",
            run.ports.rooms.update(id, RoomChange::default()).await,
        )?;
        ensure_missing("deleting a missing room", run.ports.rooms.delete(id).await)?;
        ensure_missing(
            "joining a missing room",
            run.ports.rooms.add_member(id, agent).await,
        )?;
        ensure_missing(
            "leaving a missing room",
            run.ports.rooms.remove_member(id, agent).await,
        )?;
        ensure_missing(
            "appending to a missing room",
            run.ports
                .messages
                .append(NewMessage::from_user(id, "hello"))
                .await,
        )?;
        ensure_missing(
            "clearing a missing room",
            run.ports.messages.clear(id).await,
        )?;
        ensure_missing(
            "marking a missing room",
            run.ports.read_positions.mark(owner.clone(), id).await,
        )?;
        ensure_missing(
            "saving a session in a missing room",
            run.ports.sessions.save(id, agent, "x".into()).await,
        )?;
        run.ensure_room_hidden(id, &owner).await?;
    }
    ensure_eq(
        "the rooms of an unknown user",
        &run.ports
            .rooms
            .list_by_owner(&run.user("unknown")?, None, LIST_LIMIT)
            .await?,
        &vec![],
    )
}

pub(super) async fn rooms_are_listed_by_ascending_id(run: LawRun) -> Outcome {
    let (c, a, b) = (
        run.create_room("c").await?,
        run.create_room("a").await?,
        run.create_room("b").await?,
    );
    let deleted = run.create_deleted_room("deleted").await?;
    let direct = run
        .ports
        .rooms
        .create_direct(run.owner()?, run.create_agent("a").await?.id)
        .await?;
    let c = run
        .ports
        .rooms
        .update(
            c.id,
            RoomChange {
                is_paused: Some(true),
                ..RoomChange::default()
            },
        )
        .await?;
    run.say(a.id, "hello").await?;
    let list = run.ports.rooms.list(None, LIST_LIMIT).await?;
    ensure(
        list.is_sorted_by(|one, next| one.id < next.id),
        "rooms are not listed by ascending id, each once",
    )?;
    for room in [&c, &a, &b, &direct] {
        ensure(list.contains(room), format!("list lacks {room:?}"))?;
    }
    ensure(
        list.iter().all(|room| room.id != deleted),
        "a deleted room is listed",
    )
}

pub(super) async fn an_owners_rooms_are_listed_by_ascending_id_and_no_others(
    run: LawRun,
) -> Outcome {
    let (owner, other) = (run.owner()?, run.user("other")?);
    ensure_eq(
        "the rooms of an owner without any",
        &run.ports
            .rooms
            .list_by_owner(&owner, None, LIST_LIMIT)
            .await?,
        &vec![],
    )?;
    let c = run.create_room("c").await?;
    ensure_eq(
        "the rooms of an owner with one room",
        &run.ports
            .rooms
            .list_by_owner(&owner, None, LIST_LIMIT)
            .await?,
        &vec![c.clone()],
    )?;
    let other_room = run
        .ports
        .rooms
        .create(NewRoom {
            owner: other.clone(),
            ..run.new_room("x")?
        })
        .await?;
    let a = run.create_room("a").await?;
    let direct = run
        .ports
        .rooms
        .create_direct(owner.clone(), run.create_agent("a").await?.id)
        .await?;
    let b = run.create_room("b").await?;
    let c = run
        .ports
        .rooms
        .update(
            c.id,
            RoomChange {
                is_paused: Some(true),
                ..RoomChange::default()
            },
        )
        .await?;
    let expected = vec![c.clone(), a.clone(), direct.clone(), b];
    ensure_eq(
        "the owner's rooms",
        &run.ports
            .rooms
            .list_by_owner(&owner, None, LIST_LIMIT)
            .await?,
        &expected,
    )?;
    ensure_eq(
        "the other owner's rooms",
        &run.ports
            .rooms
            .list_by_owner(&other, None, LIST_LIMIT)
            .await?,
        &vec![other_room],
    )?;
    run.ports.rooms.delete(a.id).await?;
    ensure_eq(
        "the owner's rooms after a deletion",
        &run.ports
            .rooms
            .list_by_owner(&owner, None, LIST_LIMIT)
            .await?,
        &vec![c, direct, expected[3].clone()],
    )
}

pub(super) async fn rooms_found_together_come_by_ascending_id_each_once(run: LawRun) -> Outcome {
    let (a, b, c) = (
        run.create_room("c").await?,
        run.create_room("a").await?,
        run.create_room("b").await?,
    );
    run.ports.rooms.find(b.id).await?;
    let found = run
        .ports
        .rooms
        .find_many(&[c.id, UNKNOWN_ROOM, a.id, c.id, b.id, a.id])
        .await?;
    ensure_eq("the rooms found together", &found, &vec![a, b, c])?;
    ensure_eq(
        "the rooms of no ids",
        &run.ports.rooms.find_many(&[]).await?,
        &vec![],
    )
}
