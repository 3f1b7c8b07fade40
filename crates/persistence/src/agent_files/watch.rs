//! A watcher that reports edits of agents' files as soon as the operating system reports them.

use std::{
    collections::BTreeSet,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use domain::{Error, Result};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};

use super::{folder::AgentsFolder, registry::AgentRegistry};

/// The pause after which a save counts as complete. An editor's save causes several events: create,
/// write, rename. A check between these events would find the files empty or missing.
const QUIET_PERIOD: Duration = Duration::from_millis(10);

/// The longest time for which events are collected before the files are checked. The acceptance
/// tests require that half of all edits are visible within 50 ms. This delay leaves 20 ms for
/// reading the files.
const MAX_DELAY: Duration = Duration::from_millis(30);

/// An event of the file system.
enum WatchEvent {
    /// A file or folder at this absolute path has changed.
    Changed(PathBuf),
    /// Events were lost, so any file may have changed.
    Lost,
}

/// The watcher of an agents' folder. Contains `None` until it is started.
#[derive(Default)]
pub(super) struct FolderWatcher(Mutex<Option<RecommendedWatcher>>);

impl FolderWatcher {
    /// Starts the watcher, unless it is running. From then on, a thread checks the files that
    /// events refer to. It reports each changed agent by [`FileStamps::announce`], which wakes the
    /// task that waits for changes.
    ///
    /// [`FileStamps::announce`]: super::stamps::FileStamps::announce
    pub(super) fn start(
        &self,
        folder: &Arc<AgentsFolder>,
        registry: &Arc<AgentRegistry>,
    ) -> Result<()> {
        let mut started = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if started.is_some() {
            return Ok(());
        }
        let root = folder.root();
        let failed = |why: &dyn Display| {
            Error::unavailable(format!("cannot watch {}: {why}", root.display()))
        };
        fs::create_dir_all(root).map_err(|error| failed(&error))?;
        // Events carry canonical paths on some operating systems.
        let root = root.canonicalize().map_err(|error| failed(&error))?;
        let (sender, receiver) = channel();
        let mut watcher =
            notify::recommended_watcher(forward(sender)).map_err(|error| failed(&error))?;
        watcher
            .watch(&root, RecursiveMode::Recursive)
            .map_err(|error| failed(&error))?;
        let (folder, registry) = (folder.clone(), registry.clone());
        // The thread ends when the watcher is dropped, which closes the channel.
        thread::spawn(move || check_events(&receiver, &root, &folder, &registry));
        *started = Some(watcher);
        Ok(())
    }
}

/// Returns a handler that forwards each event that may be a change. An error of the watcher means
/// that events were lost.
fn forward(sender: Sender<WatchEvent>) -> impl FnMut(notify::Result<Event>) {
    move |event| {
        let Ok(event) = event else {
            let _ = sender.send(WatchEvent::Lost);
            return;
        };
        if event.need_rescan() {
            let _ = sender.send(WatchEvent::Lost);
        }
        // Access events are ignored: each check reads files, and its own access events would cause
        // the next check. The exception is the closing of a file that was open for writing, which
        // ends a save in place.
        let is_change = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            EventKind::Access(_) => false,
            _ => true,
        };
        if is_change {
            for path in event.paths {
                let _ = sender.send(WatchEvent::Changed(path));
            }
        }
    }
}

/// Collects events until a save is complete, and then checks the files that the events refer to.
/// Runs until the watcher is dropped.
fn check_events(
    events: &Receiver<WatchEvent>,
    root: &Path,
    folder: &AgentsFolder,
    registry: &AgentRegistry,
) {
    while let Ok(first) = events.recv() {
        let began = Instant::now();
        let mut burst = vec![first];
        while began.elapsed() < MAX_DELAY {
            match events.recv_timeout(QUIET_PERIOD) {
                Ok(event) => burst.push(event),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        let mut paths = BTreeSet::new();
        for event in burst {
            match event {
                WatchEvent::Lost => paths.extend(registry.paths()),
                WatchEvent::Changed(path) => {
                    if let Ok(inside) = path.strip_prefix(root) {
                        paths.extend(registry.paths_affected_by(inside));
                    }
                }
            }
        }
        for path in paths {
            if folder.is_changed(&path) {
                folder.stamps.announce(path);
            }
        }
    }
}
