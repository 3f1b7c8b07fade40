//! Tests of writes with unknown outcome: reads stay correct, and the window closes when the write
//! is settled.

use std::sync::{Arc, Mutex};

use cache_adapter::{Cache, Options, observe};
use domain::{Error, MockRooms, NewRoom, Repositories, Result, RoomId, Settle};
use futures_util::FutureExt;
use tests::{
    records::{new_room, rename, room_name, user},
    region_stats::{unknown_windows, wait_until_windows_close},
};
use tokio::sync::Semaphore;

/// The time at which a write of unknown outcome is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AppliedWhen {
    /// Before its caller gets the error.
    AtOnce,
    /// At the last moment before the store reports that the write is settled.
    BeforeSettling,
    Never,
}

/// Writes that are not applied yet.
type PendingWrites = Arc<Mutex<Vec<Box<dyn FnOnce() + Send>>>>;

/// An in-memory store that loses the responses to creations and updates of rooms.
struct LossyStore {
    /// The underlying store, which loses no responses.
    bare: Repositories,
    repositories: Repositories,
    /// A semaphore without permits. Closing it lets the store settle.
    gate: Arc<Semaphore>,
}

#[tokio::test]
async fn reads_are_right_while_an_updates_outcome_is_unknown_and_after_it_is_settled() {
    for applied in [
        AppliedWhen::AtOnce,
        AppliedWhen::BeforeSettling,
        AppliedWhen::Never,
    ] {
        let store = LossyStore::new(applied);
        let room = store.bare.rooms.create(guest_room("old")).await.unwrap();
        let cache = Cache::new(store.repositories.clone(), Options::default());
        let read = async || observe(cache.repositories.rooms.find(room.id)).await;
        read().await.0.unwrap();
        assert!(
            read().await.1.is_hit(),
            "the room must be cached before the write"
        );

        let error = cache
            .repositories
            .rooms
            .update(room.id, rename("new"))
            .await
            .unwrap_err();
        assert!(error.may_be_applied(), "{error}");
        assert_eq!(unknown_windows(&cache), 1);
        for _ in 0..3 {
            let (found, observed) = read().await;
            assert_eq!(found, store.bare.rooms.find(room.id).await, "{applied:?}");
            assert!(
                !observed.is_hit(),
                "{applied:?}: data that may change at any time must not come from memory"
            );
        }

        store.gate.close();
        wait_until_windows_close(&cache).await;
        let wanted = if applied == AppliedWhen::Never {
            "old"
        } else {
            "new"
        };
        assert_eq!(
            read().await.0.unwrap().unwrap().name,
            room_name(wanted),
            "{applied:?}"
        );
        let (found, observed) = read().await;
        assert_eq!(
            found.unwrap().unwrap().name,
            room_name(wanted),
            "{applied:?}"
        );
        assert!(
            observed.is_hit(),
            "{applied:?}: the data must be cached again after settling"
        );
    }
}

#[tokio::test]
async fn a_room_whose_creation_is_unknown_shows_as_soon_as_it_exists() {
    for applied in [
        AppliedWhen::AtOnce,
        AppliedWhen::BeforeSettling,
        AppliedWhen::Never,
    ] {
        let store = LossyStore::new(applied);
        let cache = Cache::new(store.repositories.clone(), Options::default());
        let rooms = &cache.repositories.rooms;
        let (id, owner) = (RoomId(1), user("guest-1"));
        // The absence of the room and the lists of rooms are cached before the write.
        assert_eq!(
            (
                rooms.find(id).await,
                rooms.list(None, 1_000).await,
                rooms.list_by_owner(&owner, None, 1_000).await
            ),
            (Ok(None), Ok(vec![]), Ok(vec![]))
        );

        let error = rooms.create(guest_room("perhaps")).await.unwrap_err();
        assert!(error.may_be_applied(), "{error}");
        assert!(unknown_windows(&cache) > 0);
        // Asserts that cached and bare reads are equal. Returns the number of rooms.
        let compare_rooms = async || {
            let bare = &store.bare.rooms;
            assert_eq!(rooms.find(id).await, bare.find(id).await, "{applied:?}");
            assert_eq!(
                rooms.list(None, 1_000).await,
                bare.list(None, 1_000).await,
                "{applied:?}"
            );
            assert_eq!(
                rooms.list_by_owner(&owner, None, 1_000).await,
                bare.list_by_owner(&owner, None, 1_000).await,
                "{applied:?}"
            );
            bare.list(None, 1_000).await.unwrap().len()
        };
        assert_eq!(
            compare_rooms().await,
            usize::from(applied == AppliedWhen::AtOnce)
        );
        store.gate.close();
        wait_until_windows_close(&cache).await;
        assert_eq!(
            compare_rooms().await,
            usize::from(applied != AppliedWhen::Never)
        );
        let (_, observed) = observe(rooms.list(None, 1_000)).await;
        assert!(
            observed.is_hit(),
            "{applied:?}: the data must be cached again after settling"
        );
    }
}

#[tokio::test]
async fn a_write_after_one_of_unknown_outcome_is_acknowledged_and_seen() {
    let store = LossyStore::new(AppliedWhen::AtOnce);
    let room = store.bare.rooms.create(guest_room("old")).await.unwrap();
    let cache = Cache::new(store.repositories.clone(), Options::default());
    cache
        .repositories
        .rooms
        .update(room.id, rename("new"))
        .await
        .unwrap_err();

    // The window of one key does not affect other keys: the room's messages are cached as usual.
    let messages = &cache.repositories.messages;
    messages
        .append(domain::NewMessage::from_user(room.id, "hello"))
        .await
        .unwrap();
    messages.recent(room.id, None, 10).await.unwrap();
    let (found, observed) = observe(messages.recent(room.id, None, 10)).await;
    assert_eq!((found.unwrap().len(), observed.is_hit()), (1, true));

    // The deletion opens another window for the same key. From now on no read returns the room,
    // whether the first write is settled or not.
    cache.repositories.rooms.delete(room.id).await.unwrap();
    assert_eq!(cache.repositories.rooms.find(room.id).await, Ok(None));
    store.gate.close();
    wait_until_windows_close(&cache).await;
    assert_eq!(cache.repositories.rooms.find(room.id).await, Ok(None));
}

impl LossyStore {
    fn new(applied: AppliedWhen) -> Self {
        let bare = contract::memory::repositories();
        let gate = Arc::new(Semaphore::new(0));
        let pending = PendingWrites::default();
        let mut rooms = MockRooms::new();
        // The in-memory store never waits, so each of its futures is ready at the first poll.
        let store = bare.rooms.clone();
        rooms
            .expect_find()
            .returning(move |id| store.find(id).now_or_never().unwrap());
        let store = bare.rooms.clone();
        rooms
            .expect_find_many()
            .returning(move |ids| store.find_many(ids).now_or_never().unwrap());
        let store = bare.rooms.clone();
        rooms
            .expect_list()
            .returning(move |after, limit| store.list(after, limit).now_or_never().unwrap());
        let store = bare.rooms.clone();
        rooms
            .expect_list_by_owner()
            .returning(move |owner, after, limit| {
                store
                    .list_by_owner(owner, after, limit)
                    .now_or_never()
                    .unwrap()
            });
        let store = bare.rooms.clone();
        rooms
            .expect_delete()
            .returning(move |id| store.delete(id).now_or_never().unwrap());
        let (store, queue) = (bare.rooms.clone(), pending.clone());
        rooms.expect_update().returning(move |id, change| {
            let store = store.clone();
            lose(applied, &queue, move || {
                drop(store.update(id, change).now_or_never().unwrap());
            })
        });
        let (store, queue) = (bare.rooms.clone(), pending.clone());
        rooms.expect_create().returning(move |new| {
            let store = store.clone();
            lose(applied, &queue, move || {
                drop(store.create(new).now_or_never().unwrap());
            })
        });
        let repositories = Repositories {
            rooms: Arc::new(rooms),
            settle: Arc::new(GatedSettle {
                gate: gate.clone(),
                pending,
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

/// A [`Settle`] that waits until its gate is closed, then applies the pending writes.
struct GatedSettle {
    gate: Arc<Semaphore>,
    pending: PendingWrites,
}

#[async_trait::async_trait]
impl Settle for GatedSettle {
    async fn settle(&self) -> Result<()> {
        self.gate
            .acquire()
            .await
            .expect_err("the semaphore has no permits, so that only closing it ends the wait");
        let pending = std::mem::take(&mut *self.pending.lock().unwrap());
        for write in pending {
            write();
        }
        Ok(())
    }
}

/// Applies a write at the given time, and returns an error of unknown outcome.
fn lose<T>(
    applied: AppliedWhen,
    pending: &PendingWrites,
    write: impl FnOnce() + Send + 'static,
) -> Result<T> {
    match applied {
        AppliedWhen::AtOnce => write(),
        AppliedWhen::BeforeSettling => pending.lock().unwrap().push(Box::new(write)),
        AppliedWhen::Never => {}
    }
    Err(Error::unknown("the connection was lost at COMMIT"))
}

fn guest_room(name: &str) -> NewRoom {
    new_room(user("guest-1"), name)
}
