//! A cached store and its agents' files, which a test edits by hand.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use app::FileWatch;
use cache_adapter::{Cache, Options};
use domain::{AgentConfig, AgentId, Error, NewAgent, Repositories};
use tempfile::TempDir;
use tests::{
    records::new_agent,
    wait::{PATIENCE, soon, within},
};
use tokio::task::JoinHandle;

/// The interval at which the probe checks files. It is short, so that the tests are fast.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// The means by which the server detects edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detection {
    /// The operating system reports edits to a file watcher.
    Watcher,
    /// The probe, a background job, reads the files periodically, as on file systems that report no
    /// edits.
    Probe,
}

impl Detection {
    pub(super) const ALL: [Self; 2] = [Self::Watcher, Self::Probe];
}

/// A cache over a store on SQLite, with the background jobs that detect edits.
pub(super) struct EditFixture {
    pub(super) cache: Cache,
    pub(super) store: Repositories,
    folder: TempDir,
    jobs: Vec<JoinHandle<()>>,
    detection: Detection,
}

impl EditFixture {
    pub(super) async fn new(detection: Detection) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).await;
        let cache = Cache::new(store.clone(), Options::default());
        let files = FileWatch {
            watch: detection == Detection::Watcher,
            probe: PROBE_INTERVAL,
        };
        let mut jobs = vec![tokio::spawn(app::watch_files(cache.clone(), files))];
        if detection == Detection::Probe {
            jobs.push(tokio::spawn(app::probe_files(cache.clone(), files)));
        }
        Self {
            cache,
            store,
            folder,
            jobs,
            detection,
        }
    }

    /// Returns the path of a file in an agent's folder.
    pub(super) fn path(&self, agent: &str, file: &str) -> PathBuf {
        self.folder.path().join("agents").join(agent).join(file)
    }

    /// Returns a path in the fixture's folder, outside of the agents' folder.
    pub(super) fn path_outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Creates an agent without a group.
    pub(super) async fn create_agent(&self, name: &str) -> AgentId {
        self.create(new_agent(name), name).await
    }

    /// Creates an agent whose files are in `folder`. Returns once the server detects edits of these
    /// files.
    pub(super) async fn create(&self, new: NewAgent, folder: &str) -> AgentId {
        let created = self.cache.repositories.agents.create(new).await;
        let id = created.unwrap().id;
        if self.detection == Detection::Watcher {
            self.wait_until_watched(folder, id).await;
        }
        id
    }

    /// Edits a file of a new folder until the edit is detected. The watcher watches a new folder
    /// only some moments after its creation.
    async fn wait_until_watched(&self, folder: &str, id: AgentId) {
        let is_watched = async {
            for priority in 1_000.. {
                self.write_priority(folder, id, priority);
                let shown = self.wait_for_priority(id, priority);
                // An edit of an unwatched folder is never detected, so a short wait before the next
                // edit is enough.
                let shown = tokio::time::timeout(Duration::from_millis(200), shown).await;
                if shown.is_ok() {
                    return;
                }
            }
        };
        soon("an edit of a new folder is detected", is_watched).await;
    }

    /// Writes an `agent.yaml` that holds only the agent's id and this priority.
    pub(super) fn write_priority(&self, folder: &str, id: AgentId, priority: i32) {
        let text = format!("id: {id}\npriority: {priority}\n");
        fs::write(self.path(folder, "agent.yaml"), text).unwrap();
    }

    /// Reads a persona through the cache.
    pub(super) async fn read(&self, id: AgentId) -> Arc<AgentConfig> {
        let configs = &self.cache.repositories.configs;
        configs.find(id).await.unwrap().unwrap()
    }

    /// Reads through the cache until the persona has this priority. Returns the elapsed time.
    pub(super) async fn wait_for_priority(&self, id: AgentId, priority: i32) -> Duration {
        self.wait_until(id, |config| config.priority == priority)
            .await
    }

    /// Reads through the cache until `is_wanted` accepts the persona. Returns the elapsed time.
    pub(super) async fn wait_until(
        &self,
        id: AgentId,
        is_wanted: impl Fn(&AgentConfig) -> bool,
    ) -> Duration {
        let began = Instant::now();
        while !is_wanted(&*self.read(id).await) {
            assert!(
                began.elapsed() < PATIENCE,
                "an edit does not show after {PATIENCE:?}: {:?}",
                self.read(id).await
            );
            tokio::task::yield_now().await;
        }
        began.elapsed()
    }
}

impl Drop for EditFixture {
    fn drop(&mut self) {
        self.jobs.iter().for_each(JoinHandle::abort);
    }
}

/// Opens the store in `folder`. If a store in this folder was just closed, waits until its lock is
/// released.
pub(super) async fn open_store(folder: &Path) -> Repositories {
    let database = format!("sqlite:{}", folder.join("edits.db").display());
    let opened = async {
        loop {
            match persistence::open(&database, folder.join("agents")).await {
                Err(Error::Conflict(_)) => tokio::task::yield_now().await,
                opened => return opened.unwrap(),
            }
        }
    };
    // Creating a thousand agents from their files takes a while on a busy disk.
    let patience = 3 * PATIENCE;
    within(patience, "the store opens", opened).await
}
