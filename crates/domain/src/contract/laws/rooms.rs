//! Laws of rooms: finding, making, changing, deleting.

use std::sync::Arc;

use futures_util::future::join_all;

use super::stage::{ALL, Found, NOBODY, NOWHERE, Stage, conflict, ensure, missing, same, there};
use crate::{NewMessage, NewRoom, Room, RoomChange, RoomId, Seq};

pub(super) async fn a_created_room_is_shown_by_every_read(s: Stage) -> Found {
    let new = NewRoom {
        max_interactions: Some(12),
        ..s.new_room("a")?
    };
    s.r.rooms.list().await?;
    s.r.rooms.list_by_owner(&new.owner).await?;
    let room = s.r.rooms.create(new.clone()).await?;
    let wanted = Room {
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
    same("the room that create gives", &*room, &wanted)?;
    ensure(room.id.0 > 0, "an id is not above 0")?;
    s.shows_room(&room).await
}

pub(super) async fn a_room_asked_for_before_it_was_made_is_found(s: Stage) -> Found {
    let last = s.room("last").await?.id.0;
    let owner = s.owner()?;
    let agent = s.agent("a").await?.id;
    let guesses: Vec<RoomId> = (1..=8).map(|n| RoomId(last + n)).collect();
    for &guess in &guesses {
        s.r.rooms.find(guess).await?;
        s.r.rooms.members(guess).await?;
        s.r.rooms.activity(guess).await?;
        s.r.messages.recent(guess, None, 10).await?;
        s.r.sessions.list(guess).await?;
        s.r.read_positions.find(&owner, guess).await?;
    }
    s.r.rooms.find_many(&guesses).await?;
    s.r.rooms.activities(&guesses).await?;
    for n in 0..3 {
        let room = s.room(&format!("asked for {n}")).await?;
        s.shows_room(&room).await?;
        same(
            "the activity of a new room",
            &*s.activity(room.id).await?,
            &crate::Activity::default(),
        )?;
        s.r.rooms.add_member(room.id, agent).await?;
        same("the members", &s.members(room.id).await?, &vec![agent])?;
        s.say(room.id, "hello").await?;
        same(
            "the log",
            &s.texts(room.id).await?,
            &vec!["hello".to_owned()],
        )?;
    }
    Ok(())
}

pub(super) async fn an_unknown_room_is_absent(s: Stage) -> Found {
    let (owner, agent) = (s.owner()?, s.agent("a").await?.id);
    for id in [
        NOWHERE,
        RoomId(0),
        RoomId(-1),
        s.deleted_room("gone").await?,
    ] {
        s.hides_room(id, &owner).await?;
        missing(
            "updating a room that is not there",
            s.r.rooms.update(id, RoomChange::default()).await,
        )?;
        missing(
            "deleting a room that is not there",
            s.r.rooms.delete(id).await,
        )?;
        missing(
            "joining a room that is not there",
            s.r.rooms.add_member(id, agent).await,
        )?;
        missing(
            "leaving a room that is not there",
            s.r.rooms.remove_member(id, agent).await,
        )?;
        missing(
            "appending to a room that is not there",
            s.r.messages
                .append(NewMessage::from_user(id, "hello"))
                .await,
        )?;
        missing(
            "clearing a room that is not there",
            s.r.messages.clear(id).await,
        )?;
        missing(
            "marking a room that is not there",
            s.r.read_positions.mark(owner.clone(), id).await,
        )?;
        missing(
            "saving a session in a room that is not there",
            s.r.sessions.save(id, agent, "x".into()).await,
        )?;
        s.hides_room(id, &owner).await?;
    }
    same(
        "the rooms of nobody",
        &s.r.rooms.list_by_owner(&s.user("nobody")?).await?,
        &vec![],
    )
}

pub(super) async fn rooms_are_listed_by_rising_id(s: Stage) -> Found {
    let (c, a, b) = (s.room("c").await?, s.room("a").await?, s.room("b").await?);
    let gone = s.deleted_room("gone").await?;
    let direct =
        s.r.rooms
            .create_direct(s.owner()?, s.agent("a").await?.id)
            .await?;
    let c =
        s.r.rooms
            .update(
                c.id,
                RoomChange {
                    is_paused: Some(true),
                    ..RoomChange::default()
                },
            )
            .await?;
    s.say(a.id, "hello").await?;
    let list = s.r.rooms.list().await?;
    ensure(
        list.is_sorted_by(|one, next| one.id < next.id),
        "rooms are not listed by rising id, each once",
    )?;
    for room in [&c, &a, &b, &direct] {
        ensure(list.contains(room), format!("list lacks {room:?}"))?;
    }
    ensure(
        list.iter().all(|room| room.id != gone),
        "a deleted room is listed",
    )
}

pub(super) async fn an_owners_rooms_are_listed_by_rising_id_and_no_others(s: Stage) -> Found {
    let (owner, other) = (s.owner()?, s.user("other")?);
    same(
        "the rooms of an owner without any",
        &s.r.rooms.list_by_owner(&owner).await?,
        &vec![],
    )?;
    let c = s.room("c").await?;
    same(
        "the rooms of an owner of one",
        &s.r.rooms.list_by_owner(&owner).await?,
        &vec![c.clone()],
    )?;
    let theirs =
        s.r.rooms
            .create(NewRoom {
                owner: other.clone(),
                ..s.new_room("x")?
            })
            .await?;
    let a = s.room("a").await?;
    let direct =
        s.r.rooms
            .create_direct(owner.clone(), s.agent("a").await?.id)
            .await?;
    let b = s.room("b").await?;
    let c =
        s.r.rooms
            .update(
                c.id,
                RoomChange {
                    is_paused: Some(true),
                    ..RoomChange::default()
                },
            )
            .await?;
    let wanted = vec![c.clone(), a.clone(), direct.clone(), b];
    same(
        "the owner's rooms",
        &s.r.rooms.list_by_owner(&owner).await?,
        &wanted,
    )?;
    same(
        "the other owner's rooms",
        &s.r.rooms.list_by_owner(&other).await?,
        &vec![theirs],
    )?;
    s.r.rooms.delete(a.id).await?;
    same(
        "the owner's rooms after a deletion",
        &s.r.rooms.list_by_owner(&owner).await?,
        &vec![c, direct, wanted[3].clone()],
    )
}

pub(super) async fn rooms_found_together_come_by_rising_id_each_once(s: Stage) -> Found {
    let (a, b, c) = (s.room("c").await?, s.room("a").await?, s.room("b").await?);
    s.r.rooms.find(b.id).await?;
    let found =
        s.r.rooms
            .find_many(&[c.id, NOWHERE, a.id, c.id, b.id, a.id])
            .await?;
    same("the rooms found together", &found, &vec![a, b, c])?;
    same(
        "the rooms of no ids",
        &s.r.rooms.find_many(&[]).await?,
        &vec![],
    )
}

pub(super) async fn an_owners_room_name_is_a_conflict_for_that_owner_only(s: Stage) -> Found {
    let room = s.room("a").await?;
    let again = NewRoom {
        max_interactions: Some(1),
        ..s.new_room("a")?
    };
    conflict(
        "creating a room with the name of another",
        s.r.rooms.create(again.clone()).await,
    )?;
    s.shows_room(&room).await?;
    same(
        "the owner's rooms",
        &s.r.rooms.list_by_owner(&room.owner).await?,
        &vec![room.clone()],
    )?;
    let theirs =
        s.r.rooms
            .create(NewRoom {
                owner: s.user("other")?,
                ..again.clone()
            })
            .await?;
    ensure(
        theirs.id != room.id && theirs.owner != room.owner,
        "another owner's room of the same name is not their own",
    )?;
    s.shows_room(&theirs).await?;
    s.r.rooms.delete(room.id).await?;
    let next = s.r.rooms.create(again).await?;
    s.shows_room(&next).await?;
    s.shows_room(&theirs).await
}

pub(super) async fn of_concurrent_creates_of_a_room_one_succeeds(s: Stage) -> Found {
    let new = s.new_room("wanted")?;
    let mut made = None;
    for outcome in join_all((0..6).map(|_| s.r.rooms.create(new.clone()))).await {
        match outcome {
            Ok(room) if made.is_none() => made = Some(room),
            Ok(_) => ensure(false, "an owner has two rooms of one name")?,
            other => conflict("creating a room that another call made", other)?,
        }
    }
    let room = there("the one room that was made", made)?;
    same(
        "the owner's rooms",
        &s.r.rooms.list_by_owner(&new.owner).await?,
        &vec![room],
    )
}

pub(super) async fn an_update_of_a_room_changes_what_it_names_and_nothing_else(s: Stage) -> Found {
    let mut room =
        s.r.rooms
            .create(NewRoom {
                max_interactions: Some(12),
                ..s.new_room("a")?
            })
            .await?;
    s.chat(room.id, 2).await?;
    let none = RoomChange::default;
    let changes = [
        RoomChange {
            last_error: Some(Some("it failed: \"no\" 하늘".into())),
            ..none()
        },
        RoomChange {
            is_paused: Some(true),
            ..none()
        },
        RoomChange {
            is_finished: Some(true),
            ..none()
        },
        RoomChange {
            name: Some(s.room_name("b")?),
            ..none()
        },
        RoomChange {
            max_interactions: Some(Some(0)),
            ..none()
        },
        RoomChange {
            max_interactions: Some(None),
            ..none()
        },
        none(),
        RoomChange {
            is_paused: Some(false),
            ..none()
        },
        RoomChange {
            is_finished: Some(false),
            ..none()
        },
        RoomChange {
            last_error: Some(None),
            ..none()
        },
    ];
    for change in changes {
        s.shows_room(&room).await?;
        let updated = s.r.rooms.update(room.id, change.clone()).await?;
        let last_seq = s.activity(room.id).await?.last_seq;
        let told = format!("the room after {change:?}");
        let wanted = Room {
            name: change.name.unwrap_or_else(|| room.name.clone()),
            max_interactions: change.max_interactions.unwrap_or(room.max_interactions),
            is_paused: change.is_paused.unwrap_or(room.is_paused),
            finished_seq: change
                .is_finished
                .map_or(room.finished_seq, |finished| finished.then_some(last_seq)),
            last_error: change.last_error.unwrap_or_else(|| room.last_error.clone()),
            version: room.version + 1,
            ..(*room).clone()
        };
        same(&told, &*updated, &wanted)?;
        s.shows_room(&updated).await?;
        room = updated;
    }
    Ok(())
}

pub(super) async fn an_update_to_a_taken_room_name_changes_nothing(s: Stage) -> Found {
    let (taken, room) = (s.room("taken").await?, s.room("a").await?);
    s.say(room.id, "hello").await?;
    let change = RoomChange {
        name: Some(taken.name.clone()),
        max_interactions: Some(Some(1)),
        is_paused: Some(true),
        is_finished: Some(true),
        last_error: Some(Some("lost".into())),
    };
    s.shows_room(&room).await?;
    conflict(
        "renaming a room to the name of another",
        s.r.rooms.update(room.id, change.clone()).await,
    )?;
    s.shows_room(&room).await?;
    s.shows_room(&taken).await?;
    let theirs =
        s.r.rooms
            .create(NewRoom {
                owner: s.user("other")?,
                ..s.new_room("b")?
            })
            .await?;
    s.shows_room(&s.r.rooms.update(theirs.id, change).await?)
        .await?;
    let own = RoomChange {
        name: Some(room.name.clone()),
        is_paused: Some(true),
        ..RoomChange::default()
    };
    s.shows_room(&s.r.rooms.update(room.id, own).await?).await?;
    let away = RoomChange {
        name: Some(s.room_name("away")?),
        ..RoomChange::default()
    };
    s.r.rooms.update(taken.id, away).await?;
    let freed = RoomChange {
        name: Some(taken.name.clone()),
        ..RoomChange::default()
    };
    s.shows_room(&s.r.rooms.update(room.id, freed).await?).await
}

pub(super) async fn concurrent_updates_of_a_room_all_stay(s: Stage) -> Found {
    let room = s.room("a").await?;
    s.shows_room(&room).await?;
    let none = RoomChange::default;
    let changes = [
        RoomChange {
            is_paused: Some(true),
            ..none()
        },
        RoomChange {
            max_interactions: Some(Some(5)),
            ..none()
        },
        RoomChange {
            last_error: Some(Some("failed".into())),
            ..none()
        },
        RoomChange {
            name: Some(s.room_name("b")?),
            ..none()
        },
    ];
    let mut updated: Vec<Arc<Room>> = Vec::new();
    for outcome in join_all(changes.map(|change| s.r.rooms.update(room.id, change))).await {
        updated.push(outcome?);
    }
    updated.sort_by_key(|room| room.version);
    same(
        "the versions of concurrent updates",
        &updated.iter().map(|room| room.version).collect(),
        &vec![2, 3, 4, 5],
    )?;
    let last = &updated[3];
    ensure(
        last.is_paused && last.max_interactions == Some(5) && last.last_error.is_some(),
        "an update of a room was lost",
    )?;
    same("the name", &last.name, &s.room_name("b")?)?;
    s.shows_room(last).await
}

pub(super) async fn a_room_is_finished_until_a_user_speaks(s: Stage) -> Found {
    let (id, agent) = (s.room("a").await?.id, s.agent("a").await?);
    let finish = |is_finished| {
        s.r.rooms.update(
            id,
            RoomChange {
                is_finished: Some(is_finished),
                ..RoomChange::default()
            },
        )
    };
    let room = finish(true).await?;
    same(
        "where an empty room was finished",
        &room.finished_seq,
        &Some(Seq(0)),
    )?;
    same(
        "where a room was finished, taken back,",
        &finish(false).await?.finished_seq,
        &None,
    )?;
    let said = s.chat(id, 2).await?;
    let room = finish(true).await?;
    same(
        "where the room was finished",
        &room.finished_seq,
        &Some(said[1].seq),
    )?;
    ensure(
        room.is_finished(&*s.activity(id).await?),
        "a finished room is not finished",
    )?;
    s.answer(id, agent.id, "goodbye").await?;
    s.r.rooms.add_member(id, agent.id).await?;
    ensure(
        room.is_finished(&*s.activity(id).await?),
        "an agent's or the system's message goes on with a finished room",
    )?;
    s.say(id, "wait").await?;
    ensure(
        !room.is_finished(&*s.activity(id).await?),
        "a user's message does not go on with a finished room",
    )?;
    s.r.messages.clear(id).await?;
    ensure(
        !room.is_finished(&*s.activity(id).await?),
        "clearing a room finishes it again",
    )?;
    let last_seq = s.activity(id).await?.last_seq;
    same(
        "where a cleared room was finished",
        &finish(true).await?.finished_seq,
        &Some(last_seq),
    )
}

pub(super) async fn what_is_said_in_a_room_does_not_change_it(s: Stage) -> Found {
    let (room, agent) = (s.room("a").await?, s.agent("a").await?.id);
    s.say(room.id, "hello").await?;
    s.r.rooms.add_member(room.id, agent).await?;
    s.answer(room.id, agent, "hello").await?;
    s.r.read_positions.mark(s.owner()?, room.id).await?;
    s.r.sessions.save(room.id, agent, "x".into()).await?;
    s.r.messages.clear(room.id).await?;
    s.r.rooms.remove_member(room.id, agent).await?;
    s.shows_room(&room).await
}

pub(super) async fn a_deleted_room_takes_everything_with_it(s: Stage) -> Found {
    let (room, owner, agent) = (s.room("a").await?, s.owner()?, s.agent("a").await?);
    s.r.rooms.add_member(room.id, agent.id).await?;
    let said = s.say(room.id, "hello").await?;
    s.answer(room.id, agent.id, "hello").await?;
    s.r.read_positions.mark(owner.clone(), room.id).await?;
    s.r.sessions.save(room.id, agent.id, "x".into()).await?;
    s.shows_room(&room).await?;
    ensure(
        s.log(room.id).await?.contains(&said),
        "a message is not in the log",
    )?;
    same("the members", &s.members(room.id).await?, &vec![agent.id])?;
    s.r.rooms.delete(room.id).await?;
    s.hides_room(room.id, &owner).await?;
    same(
        "how often agents spoke in a deleted room",
        &s.r.messages.answer_counts(room.id).await?,
        &None,
    )?;
    same(
        "the end of a deleted room's log",
        &s.r.messages.end(room.id, ALL).await?,
        &None,
    )?;
    missing("deleting a room again", s.r.rooms.delete(room.id).await)?;
    s.shows_agent(&agent).await?;
    let next = s.room("a").await?;
    ensure(next.id != room.id, "a deleted room's id came back")?;
    s.hides_room(room.id, &owner).await?;
    let again = s.deleted_room("b").await?;
    ensure(
        again != room.id && s.room("b").await?.id != again,
        "a deleted room's id came back",
    )?;
    same(
        "the members of the next room",
        &s.members(next.id).await?,
        &vec![],
    )?;
    same(
        "the log of the next room",
        &s.texts(next.id).await?,
        &vec![],
    )?;
    same(
        "the direct room of nobody",
        &s.r.rooms.find_direct(&owner, NOBODY).await?,
        &None,
    )
}
