//! A full disk loses nothing that was acknowledged.

use std::{fs, path::Path, process::Command};

use cache_adapter::{Cache, Options};
use domain::{AgentConfig, AgentName, MessageId, NewAgent, NewMessage, RecentEvent};

use crate::store::{room, texts_and_seqs};

/// Enough of them in a row that no commit gets through by chance.
const FAILURES: usize = 60;
/// Many times what the disk holds.
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
    let room = room(&store, "full").await.id;
    let ballast = disk.folder.path().join("ballast");
    fs::write(&ballast, vec![0; 128 * 1024]).unwrap();

    let (mut acknowledged, mut unknown) = (Vec::new(), Vec::new());
    let (mut failed, mut in_a_row, mut number) = (0, 0, 0);
    // A store that acknowledges what it does not keep never gets there.
    while in_a_row < FAILURES && number < ATTEMPTS {
        number += 1;
        // Large ones fail first; small ones still fit then.
        let text = format!(
            "{number} {}",
            "x".repeat(if number % 3 == 0 { 6_000 } else { 40 })
        );
        // Bare and cached writers take turns.
        let r = if number % 2 == 0 {
            &store
        } else {
            &cache.repositories
        };
        match r
            .messages
            .append(NewMessage::from_user(room, text.clone()))
            .await
        {
            Ok(_) => {
                in_a_row = 0;
                acknowledged.push(text);
            }
            Err(error) => {
                (failed, in_a_row) = (failed + 1, in_a_row + 1);
                if error.may_be_applied() {
                    unknown.push(text);
                }
            }
        }
    }
    let is_right = |stored: &[String]| {
        let missing: Vec<_> = acknowledged
            .iter()
            .filter(|text| !stored.contains(text))
            .collect();
        assert!(
            missing.is_empty(),
            "{} of {} acknowledged messages are not stored",
            missing.len(),
            acknowledged.len()
        );
        let strange: Vec<_> = stored
            .iter()
            .filter(|text| !acknowledged.contains(text) && !unknown.contains(text))
            .collect();
        assert!(
            strange.is_empty(),
            "{} messages are stored that were reported as not applied",
            strange.len()
        );
    };
    let texts = |log: Vec<(String, i64)>| log.into_iter().map(|(text, _)| text).collect::<Vec<_>>();
    is_right(&texts(texts_and_seqs(&store, room).await));
    assert!(
        acknowledged.len() >= 10 && in_a_row == FAILURES,
        "{} acknowledged, {failed} failed",
        acknowledged.len()
    );
    is_right(&texts(texts_and_seqs(&cache.repositories, room).await));

    // Nothing is written meanwhile, so a copy is what a crash now would leave.
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
    is_right(&texts(texts_and_seqs(&reopened, room).await));

    // As soon as there is space it goes on.
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
    assert_eq!(
        cache
            .bypassing
            .messages
            .since(room, MessageId(0), usize::MAX)
            .await
            .unwrap()
            .len(),
        before + 3
    );
    let line = format!(
        "disk full: {} messages acknowledged and stored, {failed} refused, {} of unknown outcome",
        acknowledged.len(),
        unknown.len()
    );
    tests::report("disk-full.txt", &line);
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
    let name = AgentName::parse("Ada").unwrap();
    let id = store
        .agents
        .create(NewAgent {
            name,
            group: None,
            config: AgentConfig::default(),
            picture: None,
        })
        .await
        .unwrap()
        .id;
    let ballast = disk.folder.path().join("ballast");
    fs::write(&ballast, vec![0; 256 * 1024]).unwrap();

    let (mut kept, mut refused) = (Vec::new(), 0);
    while refused < FAILURES {
        let event = RecentEvent {
            date: None,
            text: format!("{} {}", kept.len(), "x".repeat(6_000)),
        };
        let r = if kept.len() % 2 == 0 {
            &store
        } else {
            &cache.repositories
        };
        match r.configs.append_memory(id, event.clone()).await {
            Ok(_) => kept.push(event),
            Err(error) => {
                assert!(
                    !error.may_be_applied(),
                    "a disk that is full before anything is renamed leaves nothing unknown: {error}"
                );
                refused += 1;
            }
        }
        assert!(kept.len() < ATTEMPTS, "the disk does not fill");
    }
    assert!(kept.len() >= 10, "{} kept", kept.len());
    for r in [&store, &cache.repositories] {
        assert_eq!(
            r.configs.find(id).await.unwrap().unwrap().recent_events,
            kept
        );
        assert_eq!(r.configs.problems().await.unwrap(), []);
    }
    let left: Vec<_> = fs::read_dir(disk.folder.path().join("agents/Ada"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");

    // As soon as there is space it goes on.
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
        kept.len() + 1
    );
    tests::report(
        "disk-full.txt",
        &format!(
            "disk full: {} memories kept, {refused} refused, none of unknown outcome",
            kept.len()
        ),
    );
}

/// A file system of 1 MiB in memory. Unmounted when it is dropped.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where this process may not mount; then `test` is reported as not run.
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => {
                tests::not_run(
                    test,
                    &format!(
                        "cannot mount: {}",
                        String::from_utf8_lossy(&output.stderr).trim()
                    ),
                );
                None
            }
            Err(error) => {
                tests::not_run(test, &format!("cannot mount: {error}"));
                None
            }
        }
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

/// Also while the store's threads still close its files.
fn unmount(folder: &Path) {
    let unmounted = Command::new("umount").arg("-l").arg(folder).status();
    assert!(
        unmounted.is_ok_and(|status| status.success()),
        "{} stays mounted",
        folder.display()
    );
}
