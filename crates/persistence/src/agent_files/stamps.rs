//! File stamps: the state of each agent's files when this process last read or wrote them.
//!
//! Stamps distinguish edits by other programs from this process's own writes. A file counts as
//! edited if the hash of its content has changed. Times, sizes and inodes only avoid reading files
//! that have not changed.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::{Notify, futures::Notified};

use super::{disk::Stat, path::AgentPath};
use crate::yaml::{AGENT, MEMORY, Texts};

/// The age from which a file's modification time is trusted.
///
/// File systems round modification times, up to two seconds on FAT. A second edit within that
/// interval may change neither the time nor the size.
const SETTLED_AGE: Duration = Duration::from_secs(2);

/// One value for each file that an agent's persona is read from, in this order: `agent.yaml`,
/// `memory.yaml`, the group's `group.yaml`.
pub(super) type PerFile<T> = [T; 3];

/// Hashes of an agent's files. The hash of an empty or missing file is 0.
pub(super) type Hashes = PerFile<u64>;

/// The stamps of all agents' files, and the agents whose files other programs have changed.
#[derive(Default)]
pub(super) struct FileStamps {
    stamps: Mutex<HashMap<AgentPath, PerFile<Stamp>>>,
    changed: Mutex<BTreeSet<AgentPath>>,
    announced: Notify,
}

/// The state of one file when this process last read or wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stamp {
    /// `None` if the file was missing.
    stat: Option<Stat>,
    hash: u64,
    /// `true` if the file was older than [`SETTLED_AGE`] when the stamp was taken. An equal `stat`
    /// then proves that the file has not changed.
    is_settled: bool,
}

/// A comparison of an agent's files with their previous stamps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// The files had no previous stamps.
    New,
    Equal,
    Different,
}

impl Stamp {
    fn new(stat: Option<Stat>, content: Option<&[u8]>) -> Self {
        let is_young = |stat: Stat| {
            SystemTime::now()
                .duration_since(stat.modified)
                // A modification time in the future is not trusted either.
                .map_or(true, |age| age < SETTLED_AGE)
        };
        Self {
            stat,
            hash: content.map_or(0, hash),
            is_settled: !stat.is_some_and(is_young),
        }
    }
}

/// Returns the hashes of an agent's files.
pub(super) fn hashes(texts: &Texts) -> Hashes {
    [&texts.agent, &texts.memory, &texts.group].map(|text| hash(text.as_bytes()))
}

fn hash(content: &[u8]) -> u64 {
    if content.is_empty() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

impl FileStamps {
    /// Returns `true` if `stats` prove that an agent's files have not changed since their stamps
    /// were taken. A stamp that is not settled proves nothing.
    pub(super) fn is_unchanged(&self, path: &AgentPath, stats: &PerFile<Option<Stat>>) -> bool {
        self.lock().get(path).is_some_and(|stamps| {
            stamps
                .iter()
                .zip(stats)
                .all(|(stamp, stat)| stamp.is_settled && stamp.stat == *stat)
        })
    }

    /// Returns `true` if [`FileStamps::is_unchanged`] holds and the stamps have these hashes.
    pub(super) fn is_unchanged_since(
        &self,
        path: &AgentPath,
        stats: &PerFile<Option<Stat>>,
        hashes: &Hashes,
    ) -> bool {
        let is_same = |((stamp, stat), hash): ((&Stamp, &Option<Stat>), &u64)| {
            stamp.is_settled && stamp.stat == *stat && stamp.hash == *hash
        };
        self.lock()
            .get(path)
            .is_some_and(|stamps| stamps.iter().zip(stats).zip(hashes).all(is_same))
    }

    /// Stores the stamps of files that a reader has read. If their content has changed, announces
    /// the agent, so that caches drop the old persona.
    pub(super) fn record_read(
        &self,
        path: &AgentPath,
        stats: PerFile<Option<Stat>>,
        contents: PerFile<Option<&[u8]>>,
    ) {
        if self.replace(path, stats, contents) == Comparison::Different {
            self.announce(path.clone());
        }
    }

    /// Stores the stamps of files that were read to detect a change. Returns `true` if the files
    /// have changed or had no stamps. Does not announce the change, because the caller reports it.
    pub(super) fn record_check(
        &self,
        path: &AgentPath,
        stats: PerFile<Option<Stat>>,
        contents: PerFile<Option<&[u8]>>,
    ) -> bool {
        self.replace(path, stats, contents) != Comparison::Equal
    }

    fn replace(
        &self,
        path: &AgentPath,
        stats: PerFile<Option<Stat>>,
        contents: PerFile<Option<&[u8]>>,
    ) -> Comparison {
        let mut stamps = PerFile::<Stamp>::default();
        for ((stamp, stat), content) in stamps.iter_mut().zip(stats).zip(contents) {
            *stamp = Stamp::new(stat, content);
        }
        let Some(previous) = self.lock().insert(path.clone(), stamps) else {
            return Comparison::New;
        };
        let is_equal = previous
            .iter()
            .zip(&stamps)
            .all(|(old, new)| old.hash == new.hash);
        if is_equal {
            Comparison::Equal
        } else {
            Comparison::Different
        }
    }

    /// Stores the stamps of files that this process has written. `from` and `to` are the agent's
    /// path before and after the write. The write does not count as a change by another program,
    /// but a later edit does.
    pub(super) fn record_write<'a>(
        &self,
        from: &AgentPath,
        to: &AgentPath,
        stats: PerFile<Option<Stat>>,
        written: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) {
        let mut all = self.lock();
        let mut stamps = all.remove(from).unwrap_or_else(|| {
            // The stamps of missing files. They are settled, because no modification time is
            // involved.
            [Stamp::new(None, None); 3]
        });
        for (name, content) in written {
            let index = match name {
                AGENT => 0,
                MEMORY => 1,
                _ => continue,
            };
            // Not settled, because another program may have written the file between the rename and
            // `stat`.
            stamps[index] = Stamp {
                is_settled: false,
                ..Stamp::new(stats[index], Some(content))
            };
        }
        all.insert(to.clone(), stamps);
    }

    /// Adds an agent to the changed agents, and wakes the task that waits for them.
    pub(super) fn announce(&self, path: AgentPath) {
        self.lock_changed().insert(path);
        // If no task is waiting, `Notify` stores a permit, and the next wait returns at once.
        self.announced.notify_one();
    }

    /// Returns a future that completes at the next [`FileStamps::announce`]. Call it before
    /// [`FileStamps::take_changed`]. In the other order, an announcement between the two calls is
    /// missed.
    pub(super) fn announcement(&self) -> Notified<'_> {
        self.announced.notified()
    }

    /// Removes and returns the agents whose files other programs have changed.
    pub(super) fn take_changed(&self) -> BTreeSet<AgentPath> {
        std::mem::take(&mut self.lock_changed())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentPath, PerFile<Stamp>>> {
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_changed(&self) -> MutexGuard<'_, BTreeSet<AgentPath>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
