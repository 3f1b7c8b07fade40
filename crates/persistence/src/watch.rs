//! Foreign changes of agents' files: a watcher, and a probe where watching does not work.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use domain::{AgentConfig, AgentId, Error, Result};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};

use crate::{files::Files, folder::Folder, place::Place, seen::Hashes, yaml::GROUP};

/// A save is over when nothing happened for so long…
const QUIET: Duration = Duration::from_millis(10);
/// …or it is looked at all the same.
const PATIENCE: Duration = Duration::from_millis(30);
/// How often a probe may ask the file system in all. More agents than that wait longer, each for its turn.
const STATS_A_SECOND: f64 = 2_000.0;
/// What may be asked at once, after a pause.
const BURST: f64 = 200.0;

/// Whose files stand where, and what they last said.
#[derive(Clone, Default)]
pub(crate) struct Known {
    places: Arc<Mutex<HashMap<i64, Place>>>,
    good: Arc<Mutex<HashMap<i64, LastGood>>>,
}

/// The last persona that an agent's files gave, if they gave one since the start. Held while the files are read or put
/// into their place: so it is the newest that anybody was given.
pub(crate) type LastGood = Arc<tokio::sync::Mutex<Option<Good>>>;

/// A persona as it was given.
pub(crate) struct Good {
    pub(crate) config: Arc<AgentConfig>,
    /// Of the texts that it was read of; none if they were written.
    pub(crate) hashes: Option<Hashes>,
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn last_good(&self, id: AgentId) -> LastGood {
        self.good
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(id.0)
            .or_default()
            .clone()
    }

    /// A new agent, whose id may have been that of one that did not come to be.
    pub(crate) fn begins(&self, id: AgentId, place: Place) {
        self.forget(id);
        self.stands(id, place);
    }

    pub(crate) fn forget(&self, id: AgentId) {
        self.lock().remove(&id.0);
        self.good
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id.0);
    }

    /// Where the files of each stand, and what they gave last.
    pub(crate) fn known(&self, ids: &[AgentId]) -> Vec<(AgentId, Place, LastGood)> {
        let places = self.lock();
        ids.iter()
            .filter_map(|id| Some((*id, places.get(&id.0)?.clone(), self.last_good(*id))))
            .collect()
    }

    pub(crate) fn stands(&self, id: AgentId, place: Place) {
        self.lock().insert(id.0, place);
    }

    fn at(&self, places: &BTreeSet<Place>) -> Vec<AgentId> {
        let mut ids: Vec<_> = self
            .lock()
            .iter()
            .filter(|(_, place)| places.contains(place))
            .map(|(id, _)| AgentId(*id))
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Those that an event at `path`, inside the agents' folder, may be about.
    fn touched_by(&self, path: &Path) -> Vec<Place> {
        let is_touched = |place: &&Place| {
            let folder = place.folder();
            let group = place
                .group
                .as_ref()
                .map(|group| Path::new(group.as_str()).join(GROUP));
            path.starts_with(&folder) || folder.starts_with(path) || group.as_deref() == Some(path)
        };
        self.lock().values().filter(is_touched).cloned().collect()
    }
}

/// What watches, once it was asked for.
#[derive(Default)]
pub(crate) struct Watching(Mutex<Option<RecommendedWatcher>>);

/// Where a probe of many agents is.
pub(crate) struct Probe {
    next: usize,
    allowed: f64,
    at: Instant,
    is_late: bool,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            next: 0,
            allowed: BURST,
            at: Instant::now(),
            is_late: false,
        }
    }
}

impl Files {
    /// Waits until files were changed by others, and tells whose.
    pub(crate) async fn watch(&self) -> Result<Vec<AgentId>> {
        self.start_watching()?;
        loop {
            let news = self.folder.seen.news.notified();
            let changed = self.known.at(&self.folder.seen.take());
            if !changed.is_empty() {
                return Ok(changed);
            }
            news.await;
        }
    }

    fn start_watching(&self) -> Result<()> {
        let mut watching = self
            .watching
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if watching.is_some() {
            return Ok(());
        }
        let root = self.folder.root().to_path_buf();
        let failed = |why: String| {
            Error::unavailable(format!("{} cannot be watched: {why}", root.display()))
        };
        std::fs::create_dir_all(&root).map_err(|error| failed(error.to_string()))?;
        let root = root
            .canonicalize()
            .map_err(|error| failed(error.to_string()))?;
        let (sender, receiver) = channel();
        let mut watcher =
            notify::recommended_watcher(take(sender)).map_err(|error| failed(error.to_string()))?;
        watcher
            .watch(&root, RecursiveMode::Recursive)
            .map_err(|error| failed(error.to_string()))?;
        let (folder, known) = (self.folder.clone(), self.known.clone());
        // It ends when the watcher is dropped.
        std::thread::spawn(move || look(&receiver, &root, &folder, &known));
        *watching = Some(watcher);
        Ok(())
    }

    /// Those of `ids` whose files were changed by others, each told once. Asks the file system no more often than the
    /// bound allows, and goes on with the next call.
    pub(crate) async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>> {
        let known = self.known.clone();
        let asked: Vec<_> = {
            let known = known.lock();
            ids.iter()
                .filter_map(|id| Some((*id, known.get(&id.0)?.clone())))
                .collect()
        };
        let probe = self.probe.clone();
        self.reading(move |folder| {
            let mut probe = probe.lock().unwrap_or_else(PoisonError::into_inner);
            let mut changed = probe.round(&asked, |place| folder.is_changed(place, false));
            // What a reader found meanwhile, too.
            for place in folder.seen.take() {
                match asked.iter().find(|(_, asked)| *asked == place) {
                    Some((id, _)) => changed.push(*id),
                    None => folder.seen.tell(place),
                }
            }
            changed.sort_unstable();
            changed.dedup();
            Ok(changed)
        })
        .await
    }
}

impl Probe {
    fn round(
        &mut self,
        asked: &[(AgentId, Place)],
        is_changed: impl Fn(&Place) -> (bool, usize),
    ) -> Vec<AgentId> {
        let now = Instant::now();
        self.allowed =
            (self.allowed + now.duration_since(self.at).as_secs_f64() * STATS_A_SECOND).min(BURST);
        self.at = now;
        let mut changed = Vec::new();
        let mut seen = 0;
        while seen < asked.len() && self.allowed >= 3.0 {
            let (id, place) = &asked[(self.next + seen) % asked.len()];
            let (is_changed, stats) = is_changed(place);
            self.allowed -= f64::from(u32::try_from(stats).unwrap_or(u32::MAX));
            seen += 1;
            if is_changed {
                changed.push(*id);
            }
        }
        self.next = (self.next + seen).checked_rem(asked.len()).unwrap_or(0);
        let is_late = seen < asked.len();
        if is_late && !self.is_late {
            tracing::warn!(
                agents = asked.len(),
                stats_a_second = STATS_A_SECOND,
                "more agents are read than their files can be looked at: an edit that is not watched shows later"
            );
        } else if self.is_late && !is_late {
            tracing::info!(
                agents = asked.len(),
                "the files of all agents that are read are looked at in time again"
            );
        }
        self.is_late = is_late;
        changed
    }
}

/// What the watcher tells: a path, or nothing where it lost count.
fn take(sender: Sender<Option<PathBuf>>) -> impl FnMut(notify::Result<Event>) {
    move |event| {
        let Ok(event) = event else {
            let _ = sender.send(None);
            return;
        };
        let is_read = matches!(event.kind, EventKind::Access(kind) if !matches!(kind, AccessKind::Close(notify::event::AccessMode::Write)));
        if event.need_rescan() {
            let _ = sender.send(None);
        }
        if !is_read {
            event
                .paths
                .into_iter()
                .for_each(|path| drop(sender.send(Some(path))));
        }
    }
}

/// Collects events until a save is over, and then looks at the files that they may be about.
fn look(events: &Receiver<Option<PathBuf>>, root: &Path, folder: &Folder, known: &Known) {
    while let Ok(first) = events.recv() {
        let began = Instant::now();
        let mut met = vec![first];
        while began.elapsed() < PATIENCE {
            match events.recv_timeout(QUIET) {
                Ok(event) => met.push(event),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        let mut places = BTreeSet::new();
        for path in met {
            match path.as_deref().map(|path| path.strip_prefix(root)) {
                // Events were lost.
                None => places.extend(known.lock().values().cloned()),
                Some(Ok(inside)) => places.extend(known.touched_by(inside)),
                Some(Err(_)) => {}
            }
        }
        for place in places {
            if folder.is_changed(&place, true).0 {
                folder.seen.tell(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::AgentName;

    use super::*;

    #[test]
    fn a_probe_keeps_to_its_bound_and_gets_round_all() {
        let asked: Vec<_> = (1..=500)
            .map(|n| {
                (
                    AgentId(n),
                    Place {
                        group: None,
                        name: AgentName::parse(&n.to_string()).unwrap(),
                    },
                )
            })
            .collect();
        let mut probe = Probe::default();
        let began = Instant::now();
        let (mut found, mut stats) = (BTreeSet::new(), 0.0);
        while found.len() < asked.len() {
            let round = probe.round(&asked, |_| (true, 2));
            stats += 2.0 * f64::from(u32::try_from(round.len()).unwrap());
            assert!(
                stats <= BURST + began.elapsed().as_secs_f64() * STATS_A_SECOND,
                "{stats} in {:?}",
                began.elapsed()
            );
            assert!(probe.is_late);
            found.extend(round);
            std::thread::yield_now();
        }
    }
}
