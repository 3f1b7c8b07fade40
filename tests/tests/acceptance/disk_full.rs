//! Tests that a full disk loses no acknowledged write.

use std::{fs, path::Path, process::Command};

use cache_adapter::{Cache, Options};
use domain::{MessageId, NewMessage, RecentEvent, Repositories, RoomId};
use tests::records::{create_agent, create_room, texts_and_seqs};

/// The number of consecutive failed writes after which the test considers the disk full. Small
/// writes may still fit after large ones have failed.
const FAILURES: usize = 60;
/// The maximum number of writes, many times as many as fit on the disk.
const ATTEMPTS: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_no_acknowledged_message() {
    let Some(disk) = SmallDisk::mount("a full disk") else {
        return;
    };
    let roomy = tempfile::tempdir().unwrap();
    let agents = roomy.path().join("agents");
    let store = persistence::open(&disk.database(), &agents).await.unwrap();
    let cache = Cache::new(store.clone(), Options::default());
    let room = create_room(&store, "full").await.id;
    let ballast = disk.folder.path().join("ballast");
    // The file is deleted later to free enough space for a write and its log.
    fs::write(&ballast, vec![0; 128 * 1024]).unwrap();

    let mut outcomes = Outcomes::default();
    let (mut failed, mut in_a_row, mut number) = (0, 0, 0);
    // The bound on attempts ends the loop if a faulty store acknowledges writes without storing
    // them, and therefore never fails.
    while in_a_row < FAILURES && number < ATTEMPTS {
        number += 1;
        // Every third message is large. Large messages fail first, while small ones still fit.
        let text = format!(
            "{number} {}",
            "x".repeat(if number % 3 == 0 { 6_000 } else { 40 })
        );
        // Writes through the cache and writes to the bare store alternate.
        let repositories = if number % 2 == 0 {
            &store
        } else {
            &cache.repositories
        };
        let new = NewMessage::from_user(room, text.clone());
        match repositories.messages.append(new).await {
            Ok(_) => {
                in_a_row = 0;
                outcomes.acknowledged.push(text);
            }
            Err(error) => {
                (failed, in_a_row) = (failed + 1, in_a_row + 1);
                if error.may_be_applied() {
                    outcomes.unknown.push(text);
                }
            }
        }
    }
    outcomes.assert_stored(&store, room).await;
    assert!(
        outcomes.acknowledged.len() >= 10 && in_a_row == FAILURES,
        "{} acknowledged, {failed} failed, of them {in_a_row} in a row",
        outcomes.acknowledged.len()
    );
    outcomes.assert_stored(&cache.repositories, room).await;

    // No write is in progress, so a copy of the files equals the files after a crash.
    for file in fs::read_dir(disk.folder.path()).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().starts_with("full.db")
            && !file.file_name().to_string_lossy().ends_with("-shm")
        {
            fs::copy(file.path(), roomy.path().join(file.file_name())).unwrap();
        }
    }
    let copy = format!("sqlite:{}", roomy.path().join("full.db").display());
    let reopened = persistence::open(&copy, roomy.path().join("other agents"))
        .await
        .unwrap();
    outcomes.assert_stored(&reopened, room).await;

    // Writes succeed as soon as there is space.
    fs::remove_file(&ballast).unwrap();
    store.settle.settle().await.unwrap();
    let before = texts_and_seqs(&store, room).await.len();
    for _ in 0..3 {
        cache
            .repositories
            .messages
            .append(NewMessage::from_user(room, "space again"))
            .await
            .unwrap();
    }
    assert_eq!(
        texts_and_seqs(&cache.repositories, room).await.len(),
        before + 3
    );
    let bypassing = &cache.bypassing.messages;
    let log = bypassing.since(room, MessageId(0), usize::MAX).await;
    assert_eq!(log.unwrap().len(), before + 3);
    let line = format!(
        "disk full: {} messages acknowledged and stored, {failed} refused, {} of unknown outcome",
        outcomes.acknowledged.len(),
        outcomes.unknown.len()
    );
    tests::report("disk-full.txt", &line);
}

/// The texts of the messages that a test has sent, by the outcome of their writes.
#[derive(Default)]
struct Outcomes {
    acknowledged: Vec<String>,
    unknown: Vec<String>,
}

impl Outcomes {
    /// Asserts that a store contains every acknowledged message and no refused one.
    async fn assert_stored(&self, repositories: &Repositories, room: RoomId) {
        let log = texts_and_seqs(repositories, room).await;
        let stored: Vec<_> = log.into_iter().map(|(text, _)| text).collect();
        let lost = self.acknowledged.iter();
        let lost = lost.filter(|text| !stored.contains(text)).count();
        assert_eq!(
            lost,
            0,
            "{lost} of {} acknowledged messages are not stored",
            self.acknowledged.len()
        );
        let refused = stored
            .iter()
            .filter(|text| !self.acknowledged.contains(text) && !self.unknown.contains(text))
            .count();
        assert_eq!(refused, 0, "{refused} refused messages are stored");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_damages_no_agents_files() {
    let Some(disk) = SmallDisk::mount("agents on a full disk") else {
        return;
    };
    let roomy = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", roomy.path().join("roomy.db").display());
    let store = persistence::open(&database, disk.folder.path().join("agents"))
        .await
        .unwrap();
    let cache = Cache::new(store.clone(), Options::default());
    let id = create_agent(&store, "Ada").await.id;
    let ballast = disk.folder.path().join("ballast");
    fs::write(&ballast, vec![0; 256 * 1024]).unwrap();

    let (mut stored, mut refused) = (Vec::new(), 0);
    while refused < FAILURES {
        let event = RecentEvent {
            date: None,
            text: format!("{} {}", stored.len(), "x".repeat(6_000)),
        };
        let repositories = if stored.len() % 2 == 0 {
            &store
        } else {
            &cache.repositories
        };
        match repositories.configs.append_memory(id, event.clone()).await {
            Ok(_) => stored.push(event),
            Err(error) => {
                assert!(
                    !error.may_be_applied(),
                    "a failure before the rename must have a known outcome: {error}"
                );
                refused += 1;
            }
        }
        assert!(
            stored.len() < ATTEMPTS,
            "the disk must be full after {ATTEMPTS} writes"
        );
    }
    assert!(stored.len() >= 10, "only {} stored", stored.len());
    for repositories in [&store, &cache.repositories] {
        assert_eq!(
            repositories
                .configs
                .find(id)
                .await
                .unwrap()
                .unwrap()
                .recent_events,
            stored
        );
        assert_eq!(repositories.files.problems().await.unwrap(), []);
    }
    let files: Vec<_> = fs::read_dir(disk.folder.path().join("agents/Ada"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files.len(), 2, "no temporary file must be left: {files:?}");

    // Writes succeed as soon as there is space.
    fs::remove_file(&ballast).unwrap();
    let event = RecentEvent {
        date: None,
        text: "space again".into(),
    };
    assert_eq!(
        cache
            .repositories
            .configs
            .append_memory(id, event)
            .await
            .unwrap()
            .recent_events
            .len(),
        stored.len() + 1
    );
    tests::report(
        "disk-full.txt",
        &format!(
            "disk full: {} memories stored, {refused} refused, none of unknown outcome",
            stored.len()
        ),
    );
}

/// A file system of 1 MiB in memory. It is unmounted on drop.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts a disk. Reports `test` as not run and returns `None` if this process may not mount.
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .output();
        let failure = match mounted {
            Ok(output) if output.status.success() => return Some(Self { folder }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        tests::report_not_run(test, &format!("cannot mount: {failure}"));
        None
    }

    fn database(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("full.db").display())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.folder.path());
    }
}

/// Unmounts a folder. The unmount is lazy, because threads of the store may not have closed their
/// files yet.
fn unmount(folder: &Path) {
    let unmounted = Command::new("umount").arg("-l").arg(folder).status();
    assert!(
        unmounted.is_ok_and(|status| status.success()),
        "{} cannot be unmounted",
        folder.display()
    );
}
