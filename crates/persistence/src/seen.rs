//! How agents' files were when they were last read or written here, so that foreign changes are told from our own.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::Notify;

use crate::{
    disk::Stat,
    place::Place,
    yaml::{AGENT, MEMORY, Texts},
};

/// A file system's times are coarse: another edit of the same size within this hides behind an equal time.
const YOUNG: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Seen {
    files: Mutex<HashMap<Place, [Stamp; 3]>>,
    /// Whose files a reader found changed, to be told.
    changed: Mutex<BTreeSet<Place>>,
    pub(crate) news: Notify,
}

/// Of the texts of an agent's files; 0 for one that is empty or missing.
pub(crate) type Hashes = [u64; 3];

/// A file as it was: nothing if it was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    stat: Option<Stat>,
    hash: u64,
    /// The file was no longer young when it was read.
    is_settled: bool,
}

impl Stamp {
    fn new(stat: Option<Stat>, bytes: Option<&[u8]>) -> Self {
        let is_young = |stat: &Stat| {
            SystemTime::now()
                .duration_since(stat.modified)
                .map_or(true, |age| age < YOUNG)
        };
        Self {
            stat,
            hash: bytes.map_or(0, hash),
            is_settled: !stat.as_ref().is_some_and(is_young),
        }
    }
}

pub(crate) fn hashes(texts: &Texts) -> Hashes {
    [&texts.agent, &texts.memory, &texts.group].map(|text| hash(text.as_bytes()))
}

fn hash(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

impl Seen {
    fn files(&self) -> MutexGuard<'_, HashMap<Place, [Stamp; 3]>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether times, sizes and inodes say that nothing was changed, and can be trusted.
    pub(crate) fn is_same(&self, place: &Place, stats: &[Option<Stat>; 3]) -> bool {
        let files = self.files();
        files.get(place).is_some_and(|seen| {
            seen.iter()
                .zip(stats)
                .all(|(stamp, stat)| stamp.stat == *stat && stamp.is_settled)
        })
    }

    /// The same, and that they are the texts with these hashes.
    pub(crate) fn is_same_as(
        &self,
        place: &Place,
        stats: &[Option<Stat>; 3],
        hashes: &Hashes,
    ) -> bool {
        let is_as = |((stamp, stat), hash): ((&Stamp, &Option<Stat>), &u64)| {
            stamp.is_settled && stamp.stat == *stat && stamp.hash == *hash
        };
        self.files()
            .get(place)
            .is_some_and(|seen| seen.iter().zip(stats).zip(hashes).all(is_as))
    }

    /// Files as they were found. Whether they differ from how they were; who found that by chance has it told to others.
    pub(crate) fn note<T: AsRef<[u8]> + ?Sized>(
        &self,
        place: &Place,
        stats: [Option<Stat>; 3],
        texts: [Option<&T>; 3],
        is_told_here: bool,
    ) -> bool {
        let mut stamps = [Stamp::new(None, None); 3];
        for ((stamp, stat), text) in stamps.iter_mut().zip(stats).zip(texts) {
            *stamp = Stamp::new(stat, text.map(AsRef::as_ref));
        }
        let before = self.files().insert(place.clone(), stamps);
        let differs = before.is_some_and(|before| {
            before
                .iter()
                .zip(&stamps)
                .any(|(old, new)| old.hash != new.hash)
        });
        if differs && !is_told_here {
            self.tell(place.clone());
        }
        differs || (before.is_none() && is_told_here)
    }

    /// Files that were written here: they are no foreign change, but one that follows is.
    pub(crate) fn wrote<'a>(
        &self,
        from: &Place,
        to: &Place,
        stats: [Option<Stat>; 3],
        written: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) {
        let mut files = self.files();
        let mut stamps = files.remove(from).unwrap_or([Stamp::new(None, None); 3]);
        for (name, bytes) in written {
            let at = if name == AGENT {
                0
            } else {
                usize::from(name == MEMORY)
            };
            if name == AGENT || name == MEMORY {
                stamps[at] = Stamp {
                    is_settled: false,
                    ..Stamp::new(stats[at], Some(bytes))
                };
            }
        }
        files.insert(to.clone(), stamps);
    }

    /// Has a change told.
    pub(crate) fn tell(&self, place: Place) {
        self.changed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place);
        self.news.notify_one();
    }

    /// Whose changes are to be told, each once.
    pub(crate) fn take(&self) -> BTreeSet<Place> {
        std::mem::take(&mut self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
