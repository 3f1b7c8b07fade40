//! The follower of other processes: failures, calls that hang, and dropped calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cache_adapter::{Cache, Follower, NAMES, Options};
use cache_core::{Clock, ManualClock, Runtime};
use contract::memory::SharedStore;
use domain::{
    Began, Change, Changes, Error, Message, MessageId, MockChanges, NewMessage, Repositories,
    Result, RoomChange, RoomId, Seq,
};
use futures_util::{FutureExt, future::pending};

use crate::create_room;

const BOUND: Duration = Duration::from_secs(1);

/// The changes of a store whose calls can be made to fail or to hang.
struct Disturbed {
    changes: Arc<dyn Changes>,
    disturbance: Arc<Disturbance>,
}

#[derive(Default)]
struct Disturbance {
    next: AtomicBool,
    messages: AtomicBool,
    hangs: AtomicBool,
}

impl Disturbance {
    async fn disturb(&self, call: &AtomicBool) -> Result<()> {
        if !call.load(Ordering::SeqCst) {
            return Ok(());
        }
        if self.hangs.load(Ordering::SeqCst) {
            return pending().await;
        }
        Err(Error::unavailable("disturbed"))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Changes for Disturbed {
    async fn begin(&self) -> Result<Began> {
        self.changes.begin().await
    }

    async fn next(&self) -> Result<Vec<Change>> {
        self.disturbance.disturb(&self.disturbance.next).await?;
        self.changes.next().await
    }

    async fn messages(&self, appended: &[(RoomId, Seq)]) -> Result<Vec<Arc<Message>>> {
        self.disturbance.disturb(&self.disturbance.messages).await?;
        self.changes.messages(appended).await
    }
}

/// A process that follows another one.
struct Following {
    here: Cache,
    there: Repositories,
    follower: Follower,
    changes: Arc<dyn Changes>,
    disturbance: Arc<Disturbance>,
    hand: ManualClock,
    room: RoomId,
}

async fn following() -> Following {
    let store = SharedStore::default();
    let (node, there) = (store.node(), store.node().repositories);
    let (clock, hand) = Clock::manual();
    let options = Options {
        others_write: Some(BOUND),
        ..Options::default()
    };
    let here = Cache::with_runtime(node.repositories, &options, Runtime::tokio_with(clock));
    let disturbance = Arc::<Disturbance>::default();
    let changes: Arc<dyn Changes> = Arc::new(Disturbed {
        changes: node.changes,
        disturbance: disturbance.clone(),
    });
    let mut follower = here.follower(changes.clone());
    follower.catch_up().await.unwrap();
    let room = create_room(&there, "tea").await;
    Following {
        here,
        there,
        follower,
        changes,
        disturbance,
        hand,
        room,
    }
}

/// Returns a process with a room in memory, which another one has paused and written to. The call
/// that reads the message hangs.
async fn with_messages_that_hang() -> Following {
    let node = following().await;
    node.say("one").await;
    node.texts().await;
    node.is_paused().await;
    node.say("two").await;
    node.pause().await;
    node.disturbance.messages.store(true, Ordering::SeqCst);
    node.disturbance.hangs.store(true, Ordering::SeqCst);
    node
}

impl Following {
    async fn say(&self, text: &str) {
        let message = NewMessage::from_user(self.room, text);
        self.there.messages.append(message).await.unwrap();
    }

    async fn texts(&self) -> Vec<String> {
        let messages = &self.here.repositories.messages;
        let page = messages.since(self.room, MessageId(0), 100).await.unwrap();
        page.iter().map(|message| message.content.clone()).collect()
    }

    /// Catches up while this time passes.
    async fn catch_up_while(&mut self, time: Duration) -> Result<()> {
        let hand = self.hand.clone();
        let passes = async {
            tokio::task::yield_now().await;
            hand.advance(time);
        };
        tokio::join!(self.follower.catch_up(), passes).0
    }

    async fn is_paused(&self) -> bool {
        let room = self.here.repositories.rooms.find(self.room).await.unwrap();
        room.unwrap().is_paused
    }

    async fn pause(&self) {
        let pause = RoomChange {
            is_paused: Some(true),
            ..RoomChange::default()
        };
        self.there.rooms.update(self.room, pause).await.unwrap();
    }
}

#[tokio::test]
async fn a_message_elsewhere_is_appended_to_the_copy_in_memory() {
    let mut node = following().await;
    node.say("one").await;
    node.texts().await;
    for text in ["two", "three"] {
        node.say(text).await;
        node.follower.catch_up().await.unwrap();
    }
    assert_eq!(node.texts().await, ["one", "two", "three"]);
    let stats = node.here.manager.stats();
    let messages = stats
        .iter()
        .find(|region| region.name == NAMES.room_messages);
    assert_eq!(
        messages.unwrap().stats.loads,
        1,
        "the copy was filled again"
    );
}

#[tokio::test]
async fn a_copy_whose_message_cannot_be_read_is_removed() {
    let mut node = following().await;
    node.say("one").await;
    node.texts().await;
    node.say("two").await;
    node.disturbance.messages.store(true, Ordering::SeqCst);
    node.follower.catch_up().await.unwrap();
    assert_eq!(node.texts().await, ["one", "two"]);
}

#[tokio::test]
async fn a_dropped_call_loses_no_change() {
    let mut node = with_messages_that_hang().await;
    assert!(node.follower.catch_up().now_or_never().is_none());
    assert!(!node.is_paused().await, "the changes are not applied yet");
    node.disturbance.messages.store(false, Ordering::SeqCst);
    node.follower.catch_up().await.unwrap();
    assert!(node.is_paused().await);
    assert_eq!(node.texts().await, ["one", "two"]);
}

#[tokio::test]
async fn a_call_whose_messages_hang_applies_the_other_changes() {
    let mut node = with_messages_that_hang().await;
    node.catch_up_while(BOUND / 2).await.unwrap();
    assert!(node.is_paused().await);
    assert_eq!(node.texts().await, ["one", "two"]);
}

#[tokio::test]
async fn a_second_follower_of_one_port_begins_anew() {
    let mut node = with_messages_that_hang().await;
    assert!(node.follower.catch_up().now_or_never().is_none());
    node.disturbance.messages.store(false, Ordering::SeqCst);
    node.follower = node.here.follower(node.changes.clone());
    node.follower.catch_up().await.unwrap();
    assert!(node.is_paused().await);
}

#[tokio::test]
async fn changes_that_are_not_known_or_too_many_remove_everything() {
    let unknown = vec![Change::Everything];
    let many = vec![Change::RoomChanged(RoomId(999)); 10_001];
    let some = vec![Change::RoomChanged(RoomId(999)); 10_000];
    for (changes, is_kept) in [(unknown, false), (many, false), (some, true)] {
        let node = following().await;
        let mut port = MockChanges::new();
        port.expect_begin().returning(|| Ok(Began::WentOn));
        port.expect_next().times(1).returning(|| Ok(Vec::new()));
        port.expect_next().times(1).return_once(|| Ok(changes));
        let mut follower = node.here.follower(Arc::new(port));
        follower.catch_up().await.unwrap();
        node.is_paused().await;
        follower.catch_up().await.unwrap();
        let stats = node.here.manager.stats();
        let rooms = stats.iter().find(|region| region.name == NAMES.room_obj);
        assert_eq!(rooms.unwrap().stats.size, u64::from(is_kept));
    }
}

#[tokio::test]
async fn a_failed_call_renews_nothing_and_the_next_one_resumes() {
    let mut node = following().await;
    node.is_paused().await;
    node.pause().await;
    node.hand.advance(BOUND / 2);
    node.disturbance.next.store(true, Ordering::SeqCst);
    node.follower.catch_up().await.unwrap_err();
    assert!(!node.is_paused().await, "half of the bound has passed");
    node.hand.advance(BOUND / 2);
    assert!(node.is_paused().await);
    node.disturbance.next.store(false, Ordering::SeqCst);
    node.say("one").await;
    node.follower.catch_up().await.unwrap();
    assert_eq!(node.texts().await, ["one"]);
}

#[tokio::test]
async fn a_call_that_hangs_times_out() {
    let mut node = following().await;
    node.disturbance.next.store(true, Ordering::SeqCst);
    node.disturbance.hangs.store(true, Ordering::SeqCst);
    node.catch_up_while(BOUND).await.unwrap_err();
}

#[tokio::test]
async fn a_follower_that_runs_keeps_what_is_in_memory_served() {
    let node = following().await;
    node.is_paused().await;
    let running = tokio::spawn(node.follower.run());
    let rooms = node.here.repositories.rooms.clone();
    for _ in 0..30 {
        // More rounds than the task needs to poll and to sleep again.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        node.hand.advance(BOUND / 3);
        rooms.find(node.room).await.unwrap();
    }
    running.abort();
    let stats = node.here.manager.stats();
    let rooms = stats.iter().find(|region| region.name == NAMES.room_obj);
    assert_eq!(rooms.unwrap().stats.loads, 1);
}
