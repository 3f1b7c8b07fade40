//! Laws of rooms' names.

use domain::{LIST_LIMIT, NewRoom, RoomChange};
use futures_util::future::join_all;

use super::{
    ensure::{Outcome, ensure, ensure_conflict, ensure_eq, ensure_some},
    law_run::LawRun,
};

pub(super) async fn an_owners_room_name_is_a_conflict_for_that_owner_only(run: LawRun) -> Outcome {
    let room = run.create_room("a").await?;
    let again = NewRoom {
        max_interactions: Some(1),
        ..run.new_room("a")?
    };
    ensure_conflict(
        "creating a room with the name of another",
        run.ports.rooms.create(again.clone()).await,
    )?;
    run.ensure_room_shown(&room).await?;
    ensure_eq(
        "the owner's rooms",
        &run.ports
            .rooms
            .list_by_owner(&room.owner, None, LIST_LIMIT)
            .await?,
        &vec![room.clone()],
    )?;
    let other = run
        .ports
        .rooms
        .create(NewRoom {
            owner: run.user("other")?,
            ..again.clone()
        })
        .await?;
    ensure(
        other.id != room.id && other.owner != room.owner,
        "two owners share one room because of its name",
    )?;
    run.ensure_room_shown(&other).await?;
    run.ports.rooms.delete(room.id).await?;
    let next = run.ports.rooms.create(again).await?;
    run.ensure_room_shown(&next).await?;
    run.ensure_room_shown(&other).await
}

pub(super) async fn of_concurrent_creates_of_a_room_one_succeeds(run: LawRun) -> Outcome {
    let new = run.new_room("wanted")?;
    let mut created = None;
    for outcome in join_all((0..6).map(|_| run.ports.rooms.create(new.clone()))).await {
        match outcome {
            Ok(room) if created.is_none() => created = Some(room),
            Ok(_) => ensure(false, "an owner has two rooms of one name")?,
            other => ensure_conflict("creating a room that a concurrent call created", other)?,
        }
    }
    let room = ensure_some("the one created room", created)?;
    ensure_eq(
        "the owner's rooms",
        &run.ports
            .rooms
            .list_by_owner(&new.owner, None, LIST_LIMIT)
            .await?,
        &vec![room],
    )
}

pub(super) async fn an_update_to_a_taken_room_name_changes_nothing(run: LawRun) -> Outcome {
    let (taken, room) = (run.create_room("taken").await?, run.create_room("a").await?);
    run.say(room.id, "hello").await?;
    let change = RoomChange {
        name: Some(taken.name.clone()),
        max_interactions: Some(Some(1)),
        is_paused: Some(true),
        is_finished: Some(true),
        last_error: Some(Some("lost".into())),
    };
    run.ensure_room_shown(&room).await?;
    ensure_conflict(
        "renaming a room to the name of another",
        run.ports.rooms.update(room.id, change.clone()).await,
    )?;
    run.ensure_room_shown(&room).await?;
    run.ensure_room_shown(&taken).await?;
    let other = run
        .ports
        .rooms
        .create(NewRoom {
            owner: run.user("other")?,
            ..run.new_room("b")?
        })
        .await?;
    run.ensure_room_shown(&run.ports.rooms.update(other.id, change).await?)
        .await?;
    let own = RoomChange {
        name: Some(room.name.clone()),
        is_paused: Some(true),
        ..RoomChange::default()
    };
    run.ensure_room_shown(&run.ports.rooms.update(room.id, own).await?)
        .await?;
    let away = RoomChange {
        name: Some(run.room_name("away")?),
        ..RoomChange::default()
    };
    run.ports.rooms.update(taken.id, away).await?;
    let freed = RoomChange {
        name: Some(taken.name.clone()),
        ..RoomChange::default()
    };
    run.ensure_room_shown(&run.ports.rooms.update(room.id, freed).await?)
        .await
}
