//! The caches that the benchmarks of hits compare. Each contains the same 10,000 rooms, with a TTL
//! of an hour if the cache supports TTLs.

use std::{sync::Arc, time::Duration};

use cache_adapter::{Cache, NAMES, Options};
use cache_core::{Manager, Policy, Runtime, Unknown};
use conformance::{
    filled,
    peers::{self, Filled, Size},
};
use domain::{NewRoom, Room, RoomId, RoomName, UserId};

/// The number of rooms.
pub const KEYS: usize = 10_000;

/// Twice the number of rooms, so that no cache evicts.
const SIZE: Size = Size {
    capacity: 2 * KEYS,
    ttl: Duration::from_hours(1),
};

/// The index of the raw store in the list that [`all`] returns.
pub const RAW: usize = 0;
/// The index of the region in the list that [`all`] returns.
pub const REGION: usize = 1;
/// The index of the cached port in the list that [`all`] returns.
pub const PORT: usize = 2;

/// Returns all caches. Each contains the same rooms.
pub async fn all() -> Vec<Filled<RoomId>> {
    let store = contract::memory::repositories();
    let options = Options {
        ttls: [(NAMES.room_obj.to_owned(), SIZE.ttl)].into(),
        ..Options::default()
    };
    let port = Cache::new(store, options).repositories.rooms;
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let policy = Policy::new(SIZE.ttl, SIZE.capacity as u64);
    let region = manager.region::<RoomId, Arc<Room>>("rooms", policy);
    let mut rooms = Vec::with_capacity(KEYS);
    for key in 1..=KEYS {
        let name = RoomName::parse(&key.to_string()).expect("digits are a valid name");
        let new = NewRoom {
            owner: UserId::admin(),
            name,
            max_interactions: None,
        };
        let id = port.create(new).await.expect("memory accepts writes").id;
        // All caches hold the same values, so that they differ only in the lookup.
        let room = port.find(id).await.expect("memory answers reads");
        let room = room.expect("the room was created");
        assert!(region.insert(id, room.clone()), "no write is open");
        rooms.push((id, room));
    }
    let mut caches = vec![
        peers::raw_store(&rooms, SIZE),
        filled!("`Region::look_up`", |key| region
            .look_up(key)
            .and_then(|read| read.value)),
        filled!(await "`Rooms::find` behind `Arc<dyn Rooms>`", |key| port
            .find(*key)
            .await
            .expect("memory answers reads")),
    ];
    caches.extend(peers::others(&rooms, SIZE).await);
    caches
}
