//! The agents' folder as the repositories use it: what may block runs on threads of its own and ends there, whoever
//! goes away.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use domain::{AgentConfig, AgentId, ConfigFile, Error, RecentEvent, Result};
use tokio::sync::{Mutex, OwnedMutexGuard, RwLock};

use crate::{
    folder::{Folder, Locked, Staged},
    place::Place,
    seen::{self, Hashes},
    watch::{Good, Known, LastGood, Probe, Watching},
    yaml::{self, AGENT, MEMORY, Persona, Texts},
};

pub(crate) struct Files {
    pub(crate) folder: Arc<Folder>,
    /// Held shared by each write from before its thread is asked for until its last system call returned.
    writes: Arc<RwLock<()>>,
    /// See [`Turn`].
    turn: Arc<Mutex<()>>,
    pub(crate) known: Known,
    pub(crate) watching: Watching,
    pub(crate) probe: Arc<std::sync::Mutex<Probe>>,
    /// Files were changed for a write whose outcome nobody saw: files and table may say different things.
    unsure: AtomicBool,
}

/// Held from before a persona is read to be changed until its transaction ended; if that was given up meanwhile, until
/// the last system call of what changes it. So the next change reads what this one wrote.
#[derive(Clone)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, never read")] Arc<OwnedMutexGuard<()>>);

/// A picture's file name and bytes.
pub(crate) type PictureFile = (String, Vec<u8>);

/// A change of files that is written and flushed, and not in its place yet.
pub(crate) struct Prepared {
    locked: Locked,
    staged: Staged,
    /// As a reader gets it after the change.
    pub(crate) config: Arc<AgentConfig>,
}

impl Files {
    pub(crate) fn new(folder: Folder) -> Self {
        Self {
            folder: Arc::new(folder),
            writes: Arc::default(),
            turn: Arc::default(),
            known: Known::default(),
            watching: Watching::default(),
            probe: Arc::default(),
            unsure: AtomicBool::new(false),
        }
    }

    /// Waits until nobody else changes files. Taken before the transaction that it is for.
    pub(crate) async fn turn(&self) -> Turn {
        Turn(Arc::new(self.turn.clone().lock_owned().await))
    }

    /// Whether files may have been changed by a write that was given up. Asked by who has the turn.
    pub(crate) fn is_unsure(&self) -> bool {
        self.unsure.load(Ordering::SeqCst)
    }

    /// The outcome of a write, told by who has the turn.
    pub(crate) fn ended<T>(&self, outcome: &Result<T>) {
        let is_known = outcome
            .as_ref()
            .map_or_else(|error| !error.may_be_applied(), |_| true);
        if is_known {
            self.unsure.store(false, Ordering::SeqCst);
        }
    }

    /// What the files of an agent say; `Ok(None)` if it has no `agent.yaml`, invalid if they cannot be understood or
    /// carry another agent's id.
    pub(crate) async fn read(&self, place: Place, id: Option<i64>) -> Result<Option<Persona>> {
        self.reading(move |folder| Ok(read(folder, &place, id)?.map(|(persona, _)| persona)))
            .await
    }

    /// The same, for who gives it on: it is the last good one then.
    pub(crate) async fn give(&self, id: AgentId, place: Place) -> Result<Option<Arc<AgentConfig>>> {
        let good = self.known.last_good(id);
        self.reading(move |folder| {
            let mut good = good.blocking_lock();
            let Some((persona, hashes)) = read(folder, &place, Some(id.0))? else {
                return Ok(None);
            };
            let same = good
                .take()
                .map(|good| good.config)
                .filter(|good| **good == persona.config);
            let config = same.unwrap_or_else(|| Arc::new(persona.config));
            *good = Some(Good {
                config: config.clone(),
                hashes: Some(hashes),
            });
            Ok(Some(config))
        })
        .await
    }

    /// What the files of those of `ids` gave last that are as they were then, which their times, sizes and inodes tell.
    pub(crate) async fn unchanged(
        &self,
        ids: &[AgentId],
    ) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let known = self.known.known(ids);
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let unchanged = |folder: &Folder, place: &Place, good: &LastGood| {
            let good = good.blocking_lock();
            let Good { config, hashes } = good.as_ref()?;
            folder
                .is_same(place, hashes.as_ref()?)
                .then(|| config.clone())
        };
        self.reading(move |folder| {
            Ok(known
                .into_iter()
                .filter_map(|(id, place, good)| Some((id, unchanged(folder, &place, &good)?)))
                .collect())
        })
        .await
    }

    /// Prepares the files of a new agent. A folder with an agent in it is a conflict.
    pub(crate) async fn prepare_new(
        &self,
        turn: &Turn,
        place: Place,
        id: i64,
        config: AgentConfig,
        picture: Option<PictureFile>,
    ) -> Result<Prepared> {
        self.writing(turn, move |folder| {
            let locked = folder.lock()?;
            folder.finish(&locked, &place)?;
            if !matches!(folder.texts(&place), Ok(None)) {
                return Err(Error::Conflict(format!(
                    "the folder of {} is there already: use its config_file",
                    place.name
                )));
            }
            let group = folder.group(&place)?;
            let texts = yaml::print(Some(id), &config, group);
            let read = Texts {
                group: texts.group,
                ..Texts::default()
            };
            let mut files: Vec<_> = picture.into_iter().collect();
            files.extend([
                (MEMORY.to_owned(), texts.memory.into_bytes()),
                (AGENT.to_owned(), texts.agent.into_bytes()),
            ]);
            if let Some(there) = folder.occupied(&place, &files) {
                return Err(Error::Conflict(format!(
                    "{} is there already, in a folder of no agent",
                    there.display()
                )));
            }
            let staged = folder.stage(&locked, &place, read, files, None)?;
            Ok(Prepared {
                locked,
                staged,
                config: Arc::new(config),
            })
        })
        .await
    }

    /// Prepares a change of an agent's files, which may move. What cannot be written faithfully is a conflict.
    pub(crate) async fn prepare(
        &self,
        turn: &Turn,
        (place, to): (Place, Place),
        id: i64,
        picture: Option<PictureFile>,
        change: impl FnOnce(&mut AgentConfig) + Send + 'static,
    ) -> Result<Prepared> {
        self.writing(turn, move |folder| {
            let locked = folder.lock()?;
            folder.finish(&locked, &place)?;
            let mut texts = texts_to_change(folder, &place)?;
            texts.group = folder.group(&to)?;
            let old = yaml::parse(&texts).map_err(|why| {
                Error::Conflict(format!("{}: to be mended first: {why}", place.name))
            })?;
            must_be(&place, old.id, id).map_err(|why| Error::Conflict(why.to_string()))?;
            let mut new = Persona {
                id: Some(id),
                config: old.config.clone(),
            };
            change(&mut new.config);
            let edited = yaml::edited(&texts, &old, &new)
                .map_err(|why| Error::Conflict(format!("{}: {why}", place.name)))?;
            let mut files: Vec<_> = picture.into_iter().collect();
            for (name, before, after) in [
                (MEMORY, &texts.memory, edited.memory),
                (AGENT, &texts.agent, edited.agent),
            ] {
                if *before != after {
                    files.push((name.to_owned(), after.into_bytes()));
                }
            }
            let staged =
                folder.stage(&locked, &place, texts, files, (place != to).then_some(to))?;
            Ok(Prepared {
                locked,
                staged,
                config: Arc::new(new.config),
            })
        })
        .await
    }

    /// Prepares the writing of an agent's id into its `agent.yaml`, in the place of another one if there is one.
    pub(crate) async fn prepare_id(&self, turn: &Turn, place: Place, id: i64) -> Result<Prepared> {
        self.writing(turn, move |folder| {
            let locked = folder.lock()?;
            let texts = texts_to_change(folder, &place)?;
            let old = yaml::parse(&texts).map_err(Error::Conflict)?;
            let new = Persona {
                id: Some(id),
                config: old.config.clone(),
            };
            let edited = yaml::edited(&texts, &old, &new).map_err(Error::Conflict)?;
            let staged = folder.stage(
                &locked,
                &place,
                texts,
                vec![(AGENT.to_owned(), edited.agent.into_bytes())],
                None,
            )?;
            Ok(Prepared {
                locked,
                staged,
                config: Arc::new(new.config),
            })
        })
        .await
    }

    /// Prepares one more recent event, in `memory.yaml` alone. If `agent.yaml` is broken, `last_good` is in force.
    pub(crate) async fn prepare_event(
        &self,
        turn: &Turn,
        place: Place,
        event: RecentEvent,
        last_good: AgentConfig,
    ) -> Result<Prepared> {
        self.writing(turn, move |folder| {
            let locked = folder.lock()?;
            folder.finish(&locked, &place)?;
            let (texts, memory) = with_event(folder, &place, event)?;
            let config = if let Ok(persona) = yaml::parse(&Texts {
                memory: memory.clone(),
                ..texts.clone()
            }) {
                persona.config
            } else {
                let (recent_events, long_term_memories) =
                    yaml::parse_memory(&memory).map_err(Error::Conflict)?;
                AgentConfig {
                    recent_events,
                    long_term_memories,
                    ..last_good
                }
            };
            let staged = folder.stage(
                &locked,
                &place,
                texts,
                vec![(MEMORY.to_owned(), memory.into_bytes())],
                None,
            )?;
            Ok(Prepared {
                locked,
                staged,
                config: Arc::new(config),
            })
        })
        .await
    }

    /// Puts a prepared change of an agent's files into its place: the renaming in it is what makes it happen.
    pub(crate) async fn commit(&self, turn: &Turn, id: AgentId, prepared: Prepared) -> Result<()> {
        let good = self.known.last_good(id);
        self.unsure.store(true, Ordering::SeqCst);
        self.writing(turn, move |folder| {
            let mut good = good.blocking_lock();
            let committed = folder.commit(&prepared.locked, prepared.staged);
            if committed
                .as_ref()
                .map_or_else(Error::may_be_applied, |()| true)
            {
                *good = Some(Good {
                    config: prepared.config,
                    hashes: None,
                });
            }
            committed
        })
        .await
    }

    /// See [`Folder::set_aside`].
    pub(crate) async fn set_aside(&self, turn: &Turn, place: Place, id: i64) -> Result<()> {
        self.unsure.store(true, Ordering::SeqCst);
        self.writing(turn, move |folder| {
            folder.set_aside(&folder.lock()?, &place, id)
        })
        .await
    }

    /// Ends what was left half done. All agents' places then, each with the id that its `agent.yaml` carries; the
    /// folders of `living` that were set aside are back.
    pub(crate) async fn recover(
        &self,
        turn: &Turn,
        living: Vec<(i64, Place)>,
    ) -> Result<Vec<(Place, Option<i64>)>> {
        self.writing(turn, move |folder| {
            let listed = folder.list()?;
            if listed.is_empty() && living.is_empty() {
                return Ok(Vec::new());
            }
            let locked = folder.lock()?;
            for place in listed {
                folder.finish(&locked, &place)?;
            }
            for (id, place) in &living {
                folder.bring_back(&locked, place, *id)?;
            }
            let id = |place: &Place| {
                folder
                    .texts(place)
                    .ok()
                    .flatten()
                    .and_then(|texts| yaml::id_of(&texts.agent))
            };
            Ok(folder
                .list()?
                .into_iter()
                .map(|place| (place.clone(), id(&place)))
                .collect())
        })
        .await
    }

    /// Where the folder stands whose `agent.yaml` carries `id`, if there is just one.
    pub(crate) async fn locate(&self, id: i64) -> Result<Option<Place>> {
        self.reading(move |folder| {
            let carries = |place: &Place| {
                folder
                    .texts(place)
                    .ok()
                    .flatten()
                    .and_then(|texts| yaml::id_of(&texts.agent))
                    == Some(id)
            };
            let mut found: Vec<_> = folder.list()?.into_iter().filter(carries).collect();
            Ok(if found.len() == 1 { found.pop() } else { None })
        })
        .await
    }

    /// All agents' files, by name, whether they can be understood or not.
    pub(crate) async fn list(&self) -> Result<Vec<(Place, ConfigFile)>> {
        self.reading(|folder| {
            let file = |place: &Place| ConfigFile {
                name: place.name.clone(),
                path: place.config_file(),
            };
            Ok(folder
                .list()?
                .into_iter()
                .map(|place| (place.clone(), file(&place)))
                .collect())
        })
        .await
    }

    /// See [`Folder::picture`].
    pub(crate) async fn picture(&self, place: Place, file: String) -> Result<Option<Vec<u8>>> {
        self.reading(move |folder| folder.picture(&place, &file))
            .await
    }

    /// Returns when no write of files that was begun before can still land.
    pub(crate) async fn settle(&self) -> Result<()> {
        drop(self.writes.write().await);
        Ok(())
    }

    pub(crate) async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = self.folder.clone();
        blocking(move || work(&folder)).await
    }

    /// Runs a write on a thread that may block; it goes on if the caller goes away.
    async fn writing<T: Send + 'static>(
        &self,
        turn: &Turn,
        work: impl FnOnce(&Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let held = (turn.clone(), self.writes.clone().read_owned().await);
        let folder = self.folder.clone();
        blocking(move || {
            let _held = held;
            work(&folder)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::unknown(format!("file access: {error}"))))
}

fn read(folder: &Folder, place: &Place, id: Option<i64>) -> Result<Option<(Persona, Hashes)>> {
    let Some(texts) = folder.texts(place)? else {
        return Ok(None);
    };
    let persona =
        yaml::parse(&texts).map_err(|why| Error::Invalid(format!("{}: {why}", place.name)))?;
    if let Some(id) = id {
        must_be(place, persona.id, id)?;
    }
    Ok(Some((persona, seen::hashes(&texts))))
}

fn must_be(place: &Place, found: Option<i64>, id: i64) -> Result<()> {
    match found {
        Some(other) if other != id => Err(Error::Invalid(format!(
            "{}: {AGENT}: id: expected {id}, which this agent has, found {other}",
            place.name
        ))),
        _ => Ok(()),
    }
}

fn texts_to_change(folder: &Folder, place: &Place) -> Result<Texts> {
    folder
        .texts(place)?
        .ok_or_else(|| Error::Conflict(format!("the folder of {} is missing", place.name)))
}

/// The texts of an agent's files, and `memory.yaml` with one more event.
pub(crate) fn with_event(
    folder: &Folder,
    place: &Place,
    event: RecentEvent,
) -> Result<(Texts, String)> {
    let texts = texts_to_change(folder, place)?;
    let broken = |why| Error::Conflict(format!("{}: to be mended first: {why}", place.name));
    let (recent_events, long_term_memories) = yaml::parse_memory(&texts.memory).map_err(broken)?;
    let old = AgentConfig {
        recent_events,
        long_term_memories,
        ..AgentConfig::default()
    };
    let mut new = old.clone();
    new.recent_events.push(event);
    let memory = yaml::edited_memory(&texts.memory, &old, &new)
        .map_err(|why| Error::Conflict(format!("{}: {why}", place.name)))?;
    Ok((texts, memory))
}
