//! Tests of dropped writes and of failed commits, which the laws cannot bring about.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use domain::{
    Health as _, Messages as _, NewMessage, NewRoom, RoomId, RoomName, Rooms as _, Seq,
    Settle as _, UserId,
};
use futures_util::FutureExt as _;
use redb::{Database, StorageBackend, backends::FileBackend};
use tokio::task::spawn_blocking;

use crate::{database_file::DatabaseFile, store::RedbStore, tables::create_tables};

/// The calls of the operating system that fail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum FailingCall {
    Write,
    Sync,
}

/// A file in which calls fail while a fault is set.
#[derive(Debug)]
struct FaultyFile {
    file: FileBackend,
    fault: Arc<Mutex<Option<FailingCall>>>,
}

impl FaultyFile {
    fn fail_at(&self, call: FailingCall) -> io::Result<()> {
        if *self.fault.lock().unwrap() == Some(call) {
            return Err(io::Error::other("planted"));
        }
        Ok(())
    }
}

impl StorageBackend for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fail_at(FailingCall::Sync)?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fail_at(FailingCall::Write)?;
        self.file.write(offset, data)
    }
}

/// Opens a store on `file`, and creates a room with one message.
async fn store_with_a_room(
    file: File,
    fault: Arc<Mutex<Option<FailingCall>>>,
) -> (RedbStore, RoomId) {
    let opener = Box::new(move || {
        let file = FileBackend::new(file.try_clone().unwrap())?;
        let fault = fault.clone();
        Database::builder().create_with_backend(FaultyFile { file, fault })
    });
    let store = RedbStore::open(opener).unwrap();
    store.write(create_tables).await.unwrap();
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("tea").unwrap(),
        max_interactions: None,
    };
    let room = store.create(new).await.unwrap().id;
    store.append(said(room, "first")).await.unwrap();
    (store, room)
}

fn said(room: RoomId, text: &str) -> NewMessage {
    NewMessage::from_user(room, text)
}

#[tokio::test]
async fn a_failed_commit_is_unknown_until_it_is_settled() {
    for call in [FailingCall::Write, FailingCall::Sync] {
        let fault = Arc::new(Mutex::new(None));
        let file = tempfile::tempfile().unwrap();
        let (store, room) = store_with_a_room(file, fault.clone()).await;

        *fault.lock().unwrap() = Some(call);
        let failed = store.append(said(room, "second")).await.unwrap_err();
        assert!(failed.may_be_applied(), "{call:?}: {failed}");
        let refused = store.append(said(room, "refused")).await.unwrap_err();
        assert!(!refused.may_be_applied(), "{call:?}: {refused}");
        assert!(store.settle().await.is_err(), "{call:?}");
        assert!(store.check().await.is_err(), "{call:?}");

        *fault.lock().unwrap() = None;
        store.settle().await.unwrap();
        let settled = store.recent(room, None, 10).await.unwrap();
        let texts: Vec<_> = settled.iter().map(|message| &*message.content).collect();
        assert!(
            ["first", "second"].starts_with(&texts),
            "{call:?}: {texts:?}"
        );
        assert!(store.check().await.is_ok(), "{call:?}");
        let next = store.append(said(room, "next")).await.unwrap();
        assert_eq!(
            next.seq.0,
            i64::try_from(settled.len()).unwrap() + 1,
            "{call:?}"
        );
        let log = store.recent(room, None, 10).await.unwrap();
        assert_eq!(*log, [&settled[..], &[next]].concat(), "{call:?}");
    }
}

#[tokio::test]
async fn health_checks_open_a_broken_file_again() {
    let fault = Arc::new(Mutex::new(None));
    let file = tempfile::tempfile().unwrap();
    let (store, room) = store_with_a_room(file, fault.clone()).await;
    *fault.lock().unwrap() = Some(FailingCall::Sync);
    store.append(said(room, "second")).await.unwrap_err();
    assert!(store.check().await.is_err());
    *fault.lock().unwrap() = None;
    assert!(store.check().await.is_ok());
    assert!(!store.recent(room, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn settling_waits_for_a_dropped_write_that_has_not_reached_redb() {
    let file = tempfile::tempfile().unwrap();
    let (store, room) = store_with_a_room(file, Arc::default()).await;
    let (let_go, is_let_go) = mpsc::channel::<()>();
    let has_ended = Arc::new(AtomicBool::new(false));
    let ended = has_ended.clone();
    let step = move |_: &DatabaseFile| {
        is_let_go.recv().unwrap();
        // Sequentially consistent, because the test compares the order in two threads.
        ended.store(true, Ordering::SeqCst);
        Ok(())
    };

    // Polled once and dropped, so the step holds the permit and has no transaction.
    assert!(store.in_turn(step).now_or_never().is_none());
    let mut settling = Box::pin(store.settle());
    assert!(settling.as_mut().now_or_never().is_none());
    for _ in 0..3 {
        // Gives a settle that does not wait for the permit the time to return.
        store.recent(room, None, 1).await.unwrap();
        assert!(settling.as_mut().now_or_never().is_none());
    }
    let_go.send(()).unwrap();
    settling.await.unwrap();
    assert!(has_ended.load(Ordering::SeqCst));
}

#[test]
fn a_dropped_write_that_waits_for_a_thread_has_landed_when_settled() {
    // With one thread for blocking calls, a write waits while the thread is occupied.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let file = tempfile::tempfile().unwrap();
        let (store, room) = store_with_a_room(file, Arc::default()).await;
        let (free_thread, is_free) = mpsc::channel::<()>();
        let occupied = spawn_blocking(move || is_free.recv());

        // Polled once, so its task waits for the thread. The second waits for the permit.
        assert!(store.append(said(room, "dropped")).now_or_never().is_none());
        assert!(
            store
                .append(said(room, "never begun"))
                .now_or_never()
                .is_none()
        );
        let mut settling = Box::pin(store.settle());
        assert!(settling.as_mut().now_or_never().is_none());
        free_thread.send(()).unwrap();
        occupied.await.unwrap().unwrap();
        settling.await.unwrap();

        let log = store.recent(room, None, 10).await.unwrap();
        let texts: Vec<_> = log.iter().map(|message| &*message.content).collect();
        assert_eq!(texts, ["first", "dropped"]);
        let next = store.append(said(room, "next")).await.unwrap();
        assert_eq!(next.seq, Seq(3));
    });
}
