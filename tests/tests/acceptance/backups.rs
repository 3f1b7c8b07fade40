//! Tests of backups that are made while another task writes to the store.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use domain::{AgentId, Error, NewMessage, RecentEvent, Repositories, RoomId};
use persistence::Backup;
use tests::{
    postgres,
    records::{create_agent, create_room, texts_and_seqs},
    wait::until,
};

const BACKUPS: usize = 5;

/// Writes messages and memories with ascending numbers until `stop` is set. Sets `written` to the
/// last number that was acknowledged in both.
async fn write_numbers(
    store: Repositories,
    room: RoomId,
    agent: AgentId,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicI64>,
) {
    // `SeqCst` in the whole test, because none of its accesses is time-critical.
    //
    // Stops below 1,000 events, because an agent's older events leave the persona.
    for number in 1..1_000 {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let text = number.to_string();
        let message = NewMessage::from_user(room, text.clone());
        store.messages.append(message).await.unwrap();
        // An append is refused if the backup locks the agents' folder for five seconds.
        let event = RecentEvent { date: None, text };
        loop {
            match store.configs.append_memory(agent, event.clone()).await {
                Err(Error::Conflict(_)) => {}
                appended => break drop(appended.unwrap()),
            }
        }
        written.store(number, Ordering::SeqCst);
    }
}

/// Checks that a store contains all numbers up to one that is at least `from`, without a gap.
async fn assert_complete(store: &Repositories, room: RoomId, agent: AgentId, from: i64) {
    let texts: Vec<_> = texts_and_seqs(store, room).await;
    let numbers: Vec<i64> = texts
        .iter()
        .map(|(text, _)| text.parse().unwrap())
        .collect();
    let last = i64::try_from(numbers.len()).unwrap();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    assert!(last >= from, "{last} of at least {from} messages");
    let persona = store.configs.find(agent).await.unwrap().unwrap();
    let events = persona.recent_events.iter();
    let events: Vec<i64> = events.map(|event| event.text.parse().unwrap()).collect();
    let memories = i64::try_from(events.len()).unwrap();
    assert_eq!(events, (1..=memories).collect::<Vec<_>>());
    // Each memory is written after its message, so at most one memory is missing.
    assert!(
        memories >= from && (memories == last || memories == last - 1),
        "{memories}, {last}"
    );
    assert_eq!(store.files.problems().await, Ok(Vec::new()));
}

/// Makes backups of a busy store, and restores each. `place` returns the database for a number.
async fn back_up_a_busy_store(place: impl AsyncFn(usize) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let database = place(0).await;
    let store = persistence::open(&database, at("agents")).await.unwrap();
    let room = create_room(&store, "tea").await.id;
    let agent = create_agent(&store, "Ada").await.id;
    let (stop, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicI64>::default());
    let writing = write_numbers(store.clone(), room, agent, stop.clone(), written.clone());
    let writing = tokio::spawn(writing);
    let backup_of = |database: &str, agents: &Path| Backup {
        database: database.to_owned(),
        agents: agents.to_path_buf(),
        files: Vec::new(),
    };
    let mut acknowledged = Vec::new();
    for number in 1..=BACKUPS {
        let last = written.load(Ordering::SeqCst);
        until("more numbers are written", || {
            writing.is_finished() || written.load(Ordering::SeqCst) > last
        })
        .await;
        acknowledged.push(written.load(Ordering::SeqCst));
        let backup = backup_of(&database, &at("agents"));
        backup
            .write(&at(&format!("backup {number}")))
            .await
            .unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    writing.await.unwrap();
    for (number, from) in (1..).zip(acknowledged) {
        let database = place(number).await;
        let agents = at(&format!("agents {number}"));
        let restored = backup_of(&database, &agents)
            .restore(&at(&format!("backup {number}")))
            .await;
        restored.unwrap();
        let store = persistence::open(&database, &agents).await.unwrap();
        assert_complete(&store, room, agent, from).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_store_on_sqlite_is_complete_and_consistent() {
    let folder = tempfile::tempdir().unwrap();
    back_up_a_busy_store(async |number| format!("sqlite:{}/{number}.db", folder.path().display()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_store_on_postgres_is_complete_and_consistent() {
    const TEST: &str = "backups of postgres";
    if !postgres::available() {
        tests::report_not_run(TEST, "no PostgreSQL server binaries");
        return;
    }
    back_up_a_busy_store(async |_| postgres::database(TEST).await.expect("it is available")).await;
}
