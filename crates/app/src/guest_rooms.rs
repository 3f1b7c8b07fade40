//! Removes the rooms of guests who have done nothing for a long time. A guest's id is lost with its
//! token, so nobody can enter such a room any more but the administrator.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Error, LIST_LIMIT, Repositories, Result, Room, RoomId, UserId};

use crate::{conversation::Trigger, state::App};

/// The interval at which unused rooms are looked for.
const INTERVAL: Duration = Duration::from_hours(1);

/// Removes the rooms of unseen guests at an interval, if the settings say so.
pub(crate) async fn remove_unused(app: Arc<App>) {
    loop {
        app.cache.manager.clock().sleep(INTERVAL).await;
        if let Err(error) = remove(&app, Utc::now()).await {
            tracing::warn!(%error, "cannot remove the rooms of guests who were not seen");
        }
    }
}

/// Removes the rooms of guests who were not seen in the last `guest_rooms_days`. If they are 0,
/// removes nothing.
async fn remove(app: &App, now: DateTime<Utc>) -> Result<()> {
    let days = app.limits().guest_rooms_days;
    if days == 0 {
        return Ok(());
    }
    let oldest = now - TimeDelta::days(i64::from(days));
    for user in guests(app).await? {
        // Read just before the deletion, so that a guest who comes back keeps its rooms.
        let rooms = &app.cache.bypassing.rooms;
        let rooms = rooms.list_by_owner(&user, None, LIST_LIMIT).await?;
        let seen_at = last_seen(app, &rooms).await?;
        if seen_at >= oldest {
            continue;
        }
        tracing::info!(%user, rooms = rooms.len(), %seen_at, "rooms of an unseen guest removed");
        for room in rooms {
            delete(app, &room).await?;
        }
    }
    Ok(())
}

/// Deletes a room. With the last room of a guest, deletes what agents remember of the guest.
pub(crate) async fn delete_room(app: &App, room: &Room) -> Result<()> {
    let (id, owner) = (room.id, room.owner.clone());
    let ports = app.cache.repositories.clone();
    let write = async move {
        ports.rooms.delete(id).await?;
        if owner == UserId::admin() {
            return Ok(());
        }
        // The room is deleted, whatever becomes of the memories.
        if let Err(error) = forget_without_rooms(&ports, &owner).await {
            tracing::warn!(%owner, %error, "cannot delete the memories of a guest without rooms");
        }
        Ok(())
    };
    app.conversations.write(id, Trigger::Changed, write).await
}

async fn forget_without_rooms(ports: &Repositories, owner: &UserId) -> Result<()> {
    let rooms = ports.rooms.list_by_owner(owner, None, 1).await?;
    if rooms.is_empty() {
        ports.memories.forget(owner.clone(), None).await?;
    }
    Ok(())
}

/// Deletes a room, if it still exists.
async fn delete(app: &App, room: &Room) -> Result<()> {
    let deleted = delete_room(app, room).await;
    match deleted {
        Err(Error::Missing { .. }) => Ok(()),
        deleted => deleted,
    }
}

/// Returns the guests that own rooms. Reads the store, so that rooms nobody uses do not displace
/// others in the cache.
async fn guests(app: &App) -> Result<BTreeSet<UserId>> {
    let ports = &app.cache.bypassing;
    let mut guests = BTreeSet::new();
    let mut last = RoomId(0);
    loop {
        let rooms = ports.rooms.list(Some(last), LIST_LIMIT).await?;
        let Some(newest) = rooms.last() else {
            return Ok(guests);
        };
        last = newest.id;
        let owners = rooms.iter().map(|room| room.owner.clone());
        guests.extend(owners.filter(|owner| *owner != UserId::admin()));
    }
}

/// Returns the time at which the owner last did something in one of its rooms.
async fn last_seen(app: &App, rooms: &[Arc<Room>]) -> Result<DateTime<Utc>> {
    let ports = &app.cache.bypassing;
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    let mut seen_at = rooms
        .iter()
        .map(|room| room.created_at)
        .max()
        .unwrap_or_default();
    for (_, activity) in ports.rooms.activities(&ids).await? {
        seen_at = seen_at.max(activity.last_activity_at.unwrap_or_default());
    }
    for room in rooms {
        let position = ports.read_positions.find(&room.owner, room.id).await?;
        seen_at = seen_at.max(
            position
                .map(|position| position.read_at)
                .unwrap_or_default(),
        );
    }
    Ok(seen_at)
}

#[cfg(test)]
mod tests {
    use cache_core::Runtime;
    use domain::{AgentConfig, AgentName, NewAgent, NewMessage, NewRoom, RecentEvent, RoomName};

    use super::*;
    use crate::{
        auth::Auth,
        conversation::Responders,
        settings::{Flags, Limits, Settings},
        wiring::with_store,
    };

    fn app() -> App {
        let mut settings = Settings::read(Flags::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        settings.auth.credentials = folder.path().join("credentials.yaml");
        let auth = Auth::open(&settings).unwrap();
        let store = contract::memory::repositories();
        with_store(
            store,
            &settings,
            auth,
            Responders::default(),
            Runtime::tokio(),
        )
    }

    #[tokio::test]
    async fn only_the_rooms_of_guests_who_did_nothing_are_removed() {
        let app = app();
        let rooms = &app.cache.repositories.rooms;
        let create = async |owner: UserId, name: &str| {
            let name = RoomName::parse(name).unwrap();
            let new = NewRoom {
                owner,
                name,
                max_interactions: None,
            };
            rooms.create(new).await.unwrap().id
        };
        let guest = UserId::parse("guest-1").unwrap();
        let unused = [
            create(guest.clone(), "a").await,
            create(guest.clone(), "b").await,
        ];
        let kept = create(UserId::admin(), "a").await;
        let ports = &app.cache.repositories;
        let new = NewAgent {
            name: AgentName::parse("Ada").unwrap(),
            group: None,
            config: AgentConfig::default(),
            picture: None,
        };
        let agent = ports.agents.create(new).await.unwrap().id;
        let event = RecentEvent {
            date: None,
            text: "the guest has a cat".into(),
        };
        let remembered = ports.memories.append(agent, guest.clone(), event, 10);
        assert_eq!(remembered.await.unwrap().len(), 1);
        // By default, nothing is removed.
        let after_years = Utc::now() + TimeDelta::days(10_000);
        remove(&app, after_years).await.unwrap();
        assert_eq!(rooms.list(None, 10).await.unwrap().len(), 3);
        let limits = Limits {
            guest_rooms_days: 30,
            ..Limits::default()
        };
        app.limits.store(Arc::new(limits));
        remove(&app, Utc::now() + TimeDelta::days(29))
            .await
            .unwrap();
        assert_eq!(rooms.list(None, 10).await.unwrap().len(), 3);
        // The guest is seen in one room, so both rooms stay.
        let later = NewMessage::from_user(unused[0], "I am here");
        app.cache.repositories.messages.append(later).await.unwrap();
        remove(&app, Utc::now() + TimeDelta::days(29))
            .await
            .unwrap();
        assert_eq!(rooms.list(None, 10).await.unwrap().len(), 3);
        remove(&app, Utc::now() + TimeDelta::days(31))
            .await
            .unwrap();
        let left = rooms.list(None, 10).await.unwrap();
        assert_eq!(left.iter().map(|room| room.id).collect::<Vec<_>>(), [kept]);
        let remembered = ports.memories.list(agent, &guest).await.unwrap();
        assert!(remembered.is_empty(), "{remembered:?}");
    }
}
