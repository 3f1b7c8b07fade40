//! A write whose outcome nobody knows: reads are right all the while, and the window closes when it is settled.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_adapter::{Cache, Options, observe};
use domain::{
    Error, MockRooms, NewRoom, Repositories, Result, RoomChange, RoomId, RoomName, Settle,
};
use futures_util::FutureExt;
use tokio::sync::Semaphore;

use crate::store::user;

/// When a write happens that its caller only knows to be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lands {
    /// Before its caller is told.
    AtOnce,
    /// At the last moment before the store says that it is settled.
    BeforeSettling,
    Never,
}

/// Writes that are yet to happen.
type Late = Arc<Mutex<Vec<Box<dyn FnOnce() + Send>>>>;

/// A store in memory whose writes to rooms lose their answers.
struct Lossy {
    bare: Repositories,
    repositories: Repositories,
    /// Closed, it lets the store settle.
    gate: Arc<Semaphore>,
}

#[tokio::test]
async fn reads_are_right_while_an_updates_outcome_is_unknown_and_after_it_is_settled() {
    for lands in [Lands::AtOnce, Lands::BeforeSettling, Lands::Never] {
        let store = Lossy::new(lands);
        let room = store.bare.rooms.create(new_room("old")).await.unwrap();
        let cache = Cache::new(store.repositories.clone(), Options::default());
        let read = async || observe(cache.repositories.rooms.find(room.id)).await;
        read().await.0.unwrap();
        assert!(read().await.1.is_hit(), "it was kept before the write");

        let change = RoomChange {
            name: Some(name("new")),
            ..RoomChange::default()
        };
        let error = cache
            .repositories
            .rooms
            .update(room.id, change)
            .await
            .unwrap_err();
        assert!(error.may_be_applied(), "{error}");
        assert_eq!(unknown_windows(&cache), 1);
        for _ in 0..3 {
            let (found, observed) = read().await;
            assert_eq!(found, store.bare.rooms.find(room.id).await, "{lands:?}");
            assert!(
                !observed.is_hit(),
                "{lands:?}: what may change at any time is not served from memory"
            );
        }

        store.gate.close();
        closed(&cache).await;
        let wanted = if lands == Lands::Never { "old" } else { "new" };
        assert_eq!(
            read().await.0.unwrap().unwrap().name,
            name(wanted),
            "{lands:?}"
        );
        let (found, observed) = read().await;
        assert_eq!(found.unwrap().unwrap().name, name(wanted), "{lands:?}");
        assert!(
            observed.is_hit(),
            "{lands:?}: once settled it is kept again"
        );
    }
}

#[tokio::test]
async fn a_room_whose_creation_is_unknown_is_seen_as_soon_as_it_is_there() {
    for lands in [Lands::AtOnce, Lands::BeforeSettling, Lands::Never] {
        let store = Lossy::new(lands);
        let cache = Cache::new(store.repositories.clone(), Options::default());
        let rooms = &cache.repositories.rooms;
        let (id, owner) = (RoomId(1), user("guest-1"));
        // The absence and the lists are kept before the write.
        assert_eq!(
            (
                rooms.find(id).await,
                rooms.list().await,
                rooms.list_by_owner(&owner).await
            ),
            (Ok(None), Ok(vec![]), Ok(vec![]))
        );

        let error = rooms.create(new_room("perhaps")).await.unwrap_err();
        assert!(error.may_be_applied(), "{error}");
        assert!(unknown_windows(&cache) > 0);
        let same = async || {
            let bare = &store.bare.rooms;
            assert_eq!(rooms.find(id).await, bare.find(id).await, "{lands:?}");
            assert_eq!(rooms.list().await, bare.list().await, "{lands:?}");
            assert_eq!(
                rooms.list_by_owner(&owner).await,
                bare.list_by_owner(&owner).await,
                "{lands:?}"
            );
            bare.list().await.unwrap().len()
        };
        assert_eq!(same().await, usize::from(lands == Lands::AtOnce));
        store.gate.close();
        closed(&cache).await;
        assert_eq!(same().await, usize::from(lands != Lands::Never));
        let (_, observed) = observe(rooms.list()).await;
        assert!(
            observed.is_hit(),
            "{lands:?}: once settled it is kept again"
        );
    }
}

#[tokio::test]
async fn a_write_after_one_of_unknown_outcome_is_acknowledged_and_seen() {
    let store = Lossy::new(Lands::AtOnce);
    let room = store.bare.rooms.create(new_room("old")).await.unwrap();
    let cache = Cache::new(store.repositories.clone(), Options::default());
    let change = RoomChange {
        name: Some(name("new")),
        ..RoomChange::default()
    };
    cache
        .repositories
        .rooms
        .update(room.id, change)
        .await
        .unwrap_err();

    // Another key: kept as ever.
    let messages = &cache.repositories.messages;
    messages
        .append(domain::NewMessage::from_user(room.id, "hello"))
        .await
        .unwrap();
    messages.recent(room.id, None, 10).await.unwrap();
    let (found, observed) = observe(messages.recent(room.id, None, 10)).await;
    assert_eq!((found.unwrap().len(), observed.is_hit()), (1, true));

    // Deleting it guards the same key once more; nobody sees the room again, settled or not.
    cache.repositories.rooms.delete(room.id).await.unwrap();
    assert_eq!(cache.repositories.rooms.find(room.id).await, Ok(None));
    store.gate.close();
    closed(&cache).await;
    assert_eq!(cache.repositories.rooms.find(room.id).await, Ok(None));
}

impl Lossy {
    fn new(lands: Lands) -> Self {
        let bare = contract::memory::repositories();
        let gate = Arc::new(Semaphore::new(0));
        let late = Late::default();
        let mut rooms = MockRooms::new();
        let of = || bare.rooms.clone();
        // The store in memory never waits.
        let store = of();
        rooms
            .expect_find()
            .returning(move |id| store.find(id).now_or_never().unwrap());
        let store = of();
        rooms
            .expect_find_many()
            .returning(move |ids| store.find_many(ids).now_or_never().unwrap());
        let store = of();
        rooms
            .expect_list()
            .returning(move || store.list().now_or_never().unwrap());
        let store = of();
        rooms
            .expect_list_by_owner()
            .returning(move |owner| store.list_by_owner(owner).now_or_never().unwrap());
        let store = of();
        rooms
            .expect_delete()
            .returning(move |id| store.delete(id).now_or_never().unwrap());
        let (store, queue) = (of(), late.clone());
        rooms.expect_update().returning(move |id, change| {
            let store = store.clone();
            lose(lands, &queue, move || {
                drop(store.update(id, change).now_or_never().unwrap());
            })
        });
        let (store, queue) = (of(), late.clone());
        rooms.expect_create().returning(move |new| {
            let store = store.clone();
            lose(lands, &queue, move || {
                drop(store.create(new).now_or_never().unwrap());
            })
        });
        let repositories = Repositories {
            rooms: Arc::new(rooms),
            settle: Arc::new(Gate {
                gate: gate.clone(),
                late,
            }),
            ..bare.clone()
        };
        Self {
            bare,
            repositories,
            gate,
        }
    }
}

/// Settles once its gate is closed, after what is late has landed.
struct Gate {
    gate: Arc<Semaphore>,
    late: Late,
}

#[async_trait::async_trait]
#[deny(clippy::missing_trait_methods)]
impl Settle for Gate {
    async fn settle(&self) -> Result<()> {
        self.gate
            .acquire()
            .await
            .expect_err("it gives no permits, it closes");
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        for write in late {
            write();
        }
        Ok(())
    }
}

/// Does a write when it lands, and answers that nobody knows.
fn lose<T>(lands: Lands, late: &Late, write: impl FnOnce() + Send + 'static) -> Result<T> {
    match lands {
        Lands::AtOnce => write(),
        Lands::BeforeSettling => late.lock().unwrap().push(Box::new(write)),
        Lands::Never => {}
    }
    Err(Error::unknown("the connection was lost at COMMIT"))
}

pub(crate) fn unknown_windows(cache: &Cache) -> u64 {
    cache
        .manager
        .stats()
        .iter()
        .map(|(_, _, stats)| stats.unknown_windows)
        .sum()
}

/// Waits until no window is open.
pub(crate) async fn closed(cache: &Cache) {
    let windows = || {
        cache
            .manager
            .stats()
            .iter()
            .map(|(_, _, stats)| stats.open_windows)
            .sum::<u64>()
    };
    let closed = async {
        while windows() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed)
        .await
        .expect("settled windows close");
}

fn name(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn new_room(called: &str) -> NewRoom {
    NewRoom {
        owner: user("guest-1"),
        name: name(called),
        max_interactions: None,
    }
}
