//! Who is measured: the same 10,000 rooms in each, under their ids, with a TTL of an hour where there is one.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use cache_adapter::{Cache, NAMES, Options};
use cache_core::{Manager, Policy, Runtime};
use cached::ConcurrentCached;
use domain::{NewRoom, Room, RoomId, RoomName, UserId};
use futures_util::FutureExt;

/// How many rooms there are.
pub const KEYS: usize = 10_000;
const TTL: Duration = Duration::from_hours(1);
/// Room for all of them and as many again, so that nobody evicts.
const CAPACITY: usize = 2 * KEYS;

/// The place of the raw store.
pub const RAW: usize = 0;
/// The places of the region and the port.
pub const OURS: [usize; 2] = [1, 2];

/// Reads each of the keys once, and finds it.
type Read = Box<dyn Fn(&[RoomId]) + Send + Sync>;

/// A cache that is full of rooms.
pub struct Contestant {
    /// As it is shown.
    pub name: &'static str,
    /// Reads.
    pub read: Read,
}

/// Each with a loop of its own, so that nothing stands between the loop and the look-up.
macro_rules! contestant {
    ($name:expr, |$key:ident| $read:expr) => {
        Contestant {
            name: $name,
            read: Box::new(move |keys| {
                for $key in keys {
                    black_box($read.expect("it is here"));
                }
            }),
        }
    };
}

/// The same, in a task that awaits each: it never waits.
macro_rules! awaited {
    ($name:expr, |$key:ident| $read:expr) => {
        Contestant {
            name: $name,
            read: Box::new(move |keys| {
                let read = async {
                    for $key in keys {
                        black_box($read.expect("it is here"));
                    }
                };
                read.now_or_never().expect("it is in memory");
            }),
        }
    };
}

/// All of them, full.
pub async fn all() -> Vec<Contestant> {
    let store = domain::contract::memory::repositories();
    let options = Options {
        ttls: [(NAMES.room_obj.to_owned(), TTL)].into(),
        ..Options::default()
    };
    let port = Cache::new(store, options).repositories.rooms;
    let manager = Manager::builder(Runtime::tokio()).build();
    let region = manager.region::<RoomId, Arc<Room>>("rooms", Policy::new(TTL, CAPACITY as u64));
    let raw = quick_cache::sync::Cache::<RoomId, Arc<Room>>::new(CAPACITY);
    let moka = moka::sync::Cache::builder()
        .max_capacity(CAPACITY as u64)
        .time_to_live(TTL)
        .build();
    let moka_future = moka::future::Cache::builder()
        .max_capacity(CAPACITY as u64)
        .time_to_live(TTL)
        .build();
    let mini = mini_moka::sync::Cache::builder()
        .max_capacity(CAPACITY as u64)
        .time_to_live(TTL)
        .build();
    let foyer: foyer::Cache<RoomId, Arc<Room>> = foyer::CacheBuilder::new(CAPACITY).build();
    let cached = cached::ShardedLruTtlCache::new(CAPACITY, TTL);
    let mut map = HashMap::new();
    for key in 1..=KEYS {
        let name = RoomName::parse(&key.to_string()).expect("digits are a name");
        let made = port
            .create(NewRoom {
                owner: UserId::admin(),
                name,
                max_interactions: None,
            })
            .await
            .expect("memory takes it");
        // The same values everywhere: what differs is how they are reached.
        let (id, room) = (
            made.id,
            port.find(made.id)
                .await
                .expect("memory answers")
                .expect("it was made"),
        );
        raw.insert(id, room.clone());
        assert!(region.insert(id, room.clone()), "nothing is written");
        moka.insert(id, room.clone());
        moka_future.insert(id, room.clone()).await;
        mini.insert(id, room.clone());
        foyer.insert(id, room.clone());
        drop(cached.cache_set(id, room.clone()));
        map.insert(id, (room, Instant::now() + TTL));
    }
    let map = RwLock::new(map);
    let in_map = move |key: &RoomId| {
        let map = map.read().expect("no reader panics");
        map.get(key)
            .filter(|(_, until)| Instant::now() < *until)
            .map(|(room, _)| room.clone())
    };
    vec![
        contestant!("quick_cache, raw", |key| raw.get(key)),
        contestant!("`Region::look_up`", |key| region
            .look_up(key)
            .and_then(|read| read.value)),
        awaited!("`Rooms::find` behind `Arc<dyn Rooms>`", |key| port
            .find(*key)
            .await
            .expect("memory answers")),
        contestant!("moka, sync", |key| moka.get(key)),
        awaited!("moka, future", |key| moka_future.get(key).await),
        contestant!("mini-moka", |key| mini.get(key)),
        contestant!("foyer, in memory, without a TTL", |key| foyer
            .get(key)
            .map(|entry| entry.value().clone())),
        contestant!("cached, sharded", |key| cached
            .cache_get(key)
            .ok()
            .flatten()),
        contestant!("`RwLock<HashMap>` with expiry", |key| in_map(key)),
    ]
}
