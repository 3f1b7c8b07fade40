//! Removes the rooms of guests who have done nothing for a long time. A guest's id is lost with its
//! token, so nobody can enter such a room any more but the administrator.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{LIST_LIMIT, Result, Room, RoomId, UserId};

use crate::{conversation::Trigger, state::App};

/// The interval at which unused rooms are looked for.
const INTERVAL: Duration = Duration::from_hours(1);

/// A guest's rooms, and the time at which the guest last did something in one of them.
struct Guest {
    seen_at: DateTime<Utc>,
    rooms: Vec<RoomId>,
}

/// Removes the rooms of unseen guests at an interval, if the settings say so.
pub(crate) async fn remove_unused(app: Arc<App>) {
    loop {
        app.cache.manager.clock().sleep(INTERVAL).await;
        let days = app.limits().guest_rooms_days;
        if days == 0 {
            continue;
        }
        if let Err(error) = remove(&app, days, Utc::now()).await {
            tracing::warn!(%error, "cannot remove the rooms of guests who were not seen");
        }
    }
}

/// Removes the rooms of guests who were not seen in the last `days`.
async fn remove(app: &App, days: u32, now: DateTime<Utc>) -> Result<()> {
    let oldest = now - TimeDelta::days(i64::from(days));
    for (user, guest) in guests(app).await? {
        if guest.seen_at >= oldest {
            continue;
        }
        let rooms = guest.rooms.len();
        tracing::info!(%user, rooms, seen_at = %guest.seen_at, "rooms of an unseen guest removed");
        for room in guest.rooms {
            let port = app.cache.repositories.rooms.clone();
            let write = async move { port.delete(room).await };
            app.conversations
                .write(room, Trigger::Changed, write)
                .await?;
        }
    }
    Ok(())
}

/// Returns all guests that own rooms. Reads the store, so that rooms nobody uses do not displace
/// others in the cache.
async fn guests(app: &App) -> Result<BTreeMap<UserId, Guest>> {
    let ports = &app.cache.bypassing;
    let mut guests = BTreeMap::new();
    let mut last = RoomId(0);
    loop {
        let rooms = ports.rooms.list(Some(last), LIST_LIMIT).await?;
        let Some(newest) = rooms.last() else {
            return Ok(guests);
        };
        last = newest.id;
        let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
        let activities = ports.rooms.activities(&ids).await?;
        let activities: BTreeMap<_, _> = activities.into_iter().collect();
        for room in rooms.iter().filter(|room| room.owner != UserId::admin()) {
            let written_at = activities
                .get(&room.id)
                .and_then(|room| room.last_activity_at);
            let read_at = read_at(app, room).await?;
            let seen_at = [Some(room.created_at), written_at, read_at];
            let seen_at = seen_at
                .into_iter()
                .flatten()
                .max()
                .unwrap_or(room.created_at);
            let guest = guests.entry(room.owner.clone()).or_insert(Guest {
                seen_at,
                rooms: Vec::new(),
            });
            guest.seen_at = guest.seen_at.max(seen_at);
            guest.rooms.push(room.id);
        }
    }
}

/// Returns the time at which the owner last marked the room as read.
async fn read_at(app: &App, room: &Room) -> Result<Option<DateTime<Utc>>> {
    let positions = &app.cache.bypassing.read_positions;
    let position = positions.find(&room.owner, room.id).await?;
    Ok(position.map(|position| position.read_at))
}

#[cfg(test)]
mod tests {
    use cache_core::Runtime;
    use domain::{NewMessage, NewRoom, RoomName};

    use super::*;
    use crate::{
        auth::Auth,
        conversation::Responders,
        settings::{Flags, Settings},
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
        remove(&app, 30, Utc::now() + TimeDelta::days(29))
            .await
            .unwrap();
        assert_eq!(rooms.list(None, 10).await.unwrap().len(), 3);
        // The guest is seen in one room, so both rooms stay.
        let later = NewMessage::from_user(unused[0], "I am here");
        app.cache.repositories.messages.append(later).await.unwrap();
        remove(&app, 30, Utc::now() + TimeDelta::days(29))
            .await
            .unwrap();
        assert_eq!(rooms.list(None, 10).await.unwrap().len(), 3);
        remove(&app, 30, Utc::now() + TimeDelta::days(31))
            .await
            .unwrap();
        let left = rooms.list(None, 10).await.unwrap();
        assert_eq!(left.iter().map(|room| room.id).collect::<Vec<_>>(), [kept]);
    }
}
