//! The agents' folder: one folder per agent, also inside a folder per group.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Component, Path, PathBuf},
    sync::{self, Arc, PoisonError},
};

use domain::{AgentConfig, AgentName, ConfigFile, Error, GroupName, Picture, Result};
use tokio::sync::{Mutex, OwnedMutexGuard, RwLock};

use crate::yaml;

const AGENT: &str = "agent.yaml";
const MEMORY: &str = "memory.yaml";
/// Where deleted agents' folders are set aside.
const DELETED: &str = ".deleted";

/// The agents' folder. Every call runs on a thread that may block.
pub(crate) struct Files {
    root: PathBuf,
    /// Held shared by each write from before its thread is asked for until its last system call returned.
    writes: Arc<RwLock<()>>,
    /// Held shared while an agent's files are read, alone while they are put into place: nobody sees half of a change.
    places: Arc<sync::RwLock<()>>,
    /// See [`Turn`].
    turn: Arc<Mutex<()>>,
}

/// Held from before a persona is read to be changed until its transaction ended; if that was given up meanwhile, until
/// the last system call of what changes it. So the next change reads what this one wrote.
#[derive(Clone)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, never read")] Arc<OwnedMutexGuard<()>>);

/// Where an agent's files stand: `[GROUP/]NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) group: Option<GroupName>,
    pub(crate) name: AgentName,
}

impl Place {
    fn folder(&self) -> PathBuf {
        let base = self.group.as_ref().map_or_else(PathBuf::new, |group| PathBuf::from(group.as_str()));
        base.join(self.name.as_str())
    }

    /// `[GROUP/]NAME/agent.yaml`, with slashes everywhere.
    pub(crate) fn config_file(&self) -> String {
        let group = self.group.as_ref().map_or(String::new(), |group| format!("{group}/"));
        format!("{group}{}/{AGENT}", self.name)
    }

    /// The place of a path as [`Place::config_file`] gives it. A path that leads elsewhere is invalid.
    pub(crate) fn parse(path: &str) -> Result<Self> {
        let invalid = || Error::Invalid(format!("{path} is not the path of an agent's {AGENT}, relative to the agents' folder"));
        if path.contains('\\') || !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(invalid());
        }
        let parts: Vec<_> = path.split('/').collect();
        match parts[..] {
            [name, AGENT] => Ok(Self { group: None, name: AgentName::parse(name)? }),
            [group, name, AGENT] => Ok(Self { group: Some(GroupName::parse(group)?), name: AgentName::parse(name)? }),
            _ => Err(invalid()),
        }
    }
}

impl Files {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), writes: Arc::default(), places: Arc::default(), turn: Arc::default() }
    }

    /// Waits until nobody else changes files. Taken before the transaction that it is for.
    pub(crate) async fn turn(&self) -> Turn {
        Turn(Arc::new(self.turn.clone().lock_owned().await))
    }

    /// What the files of an agent say; `Ok(None)` if it has no `agent.yaml`, invalid if they cannot be understood.
    pub(crate) async fn read(&self, place: Place) -> Result<Option<AgentConfig>> {
        let (folder, places) = (self.root.join(place.folder()), self.places.clone());
        blocking(move || {
            let _shared = places.read().unwrap_or_else(PoisonError::into_inner);
            read(&folder, &place)
        })
        .await
    }

    /// Writes an agent's files: each as a new file beside, and then all of them renamed over the old ones.
    pub(crate) async fn write(&self, turn: &Turn, place: Place, config: AgentConfig, picture: Option<Picture>) -> Result<()> {
        let (root, places) = (self.root.clone(), self.places.clone());
        self.writing(turn, move || {
            let _lock = lock(&root)?;
            let folder = root.join(place.folder());
            create_folder(&root, &folder).map_err(failed(&folder))?;
            let (agent, memory) = yaml::print(&config);
            let mut files = Vec::new();
            if let (Some(picture), Some(name)) = (&picture, &config.profile_pic) {
                files.push(Beside::write(folder.join(name), &picture.bytes)?);
            }
            files.push(Beside::write(folder.join(MEMORY), memory.as_bytes())?);
            files.push(Beside::write(folder.join(AGENT), agent.as_bytes())?);
            replace(files, &places)?;
            sync_folder(&folder)
        })
        .await
    }

    /// Writes `memory.yaml` alone.
    pub(crate) async fn write_memory(&self, turn: &Turn, place: Place, config: AgentConfig) -> Result<()> {
        let (root, places) = (self.root.clone(), self.places.clone());
        self.writing(turn, move || {
            let _lock = lock(&root)?;
            let folder = root.join(place.folder());
            create_folder(&root, &folder).map_err(failed(&folder))?;
            replace([Beside::write(folder.join(MEMORY), yaml::print(&config).1.as_bytes())?], &places)?;
            sync_folder(&folder)
        })
        .await
    }

    /// Moves an agent's folder.
    pub(crate) async fn rename(&self, turn: &Turn, from: Place, to: Place) -> Result<()> {
        let (root, places) = (self.root.clone(), self.places.clone());
        self.writing(turn, move || {
            let _lock = lock(&root)?;
            let (from, to) = (root.join(from.folder()), root.join(to.folder()));
            if to.exists() {
                return Err(Error::Conflict(format!("the folder {} is there already", to.display())));
            }
            let parent = to.parent().unwrap_or(&root);
            create_folder(&root, parent).map_err(failed(parent))?;
            move_folder(&from, &to, &places).map_err(failed(&from))?;
            sync_folder(parent)
        })
        .await
    }

    /// Sets an agent's folder aside, as `.deleted/NAME-ID`; one that is gone already is fine.
    pub(crate) async fn set_aside(&self, turn: &Turn, place: Place, id: i64) -> Result<()> {
        let (root, places) = (self.root.clone(), self.places.clone());
        self.writing(turn, move || {
            let _lock = lock(&root)?;
            let (from, to) = (root.join(place.folder()), root.join(DELETED).join(format!("{}-{id}", place.name)));
            let aside = root.join(DELETED);
            create_folder(&root, &aside).map_err(failed(&aside))?;
            match move_folder(&from, &to, &places) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                renamed => renamed.map_err(failed(&from)),
            }
        })
        .await
    }

    /// Moves the folder of a living agent back that a deletion set aside before it was given up.
    pub(crate) async fn bring_back(&self, turn: &Turn, place: Place, id: i64) -> Result<()> {
        let (root, places) = (self.root.clone(), self.places.clone());
        self.writing(turn, move || {
            let (from, to) = (root.join(DELETED).join(format!("{}-{id}", place.name)), root.join(place.folder()));
            if to.exists() || !from.exists() {
                return Ok(());
            }
            let _lock = lock(&root)?;
            move_folder(&from, &to, &places).map_err(failed(&from))
        })
        .await
    }

    /// All agents' files, by name, whether they can be understood or not.
    pub(crate) async fn list(&self) -> Result<Vec<(Place, ConfigFile)>> {
        let root = self.root.clone();
        blocking(move || {
            let mut found = Vec::new();
            for (name, folder) in folders(&root)? {
                if folder.join(AGENT).is_file() {
                    found.extend(AgentName::parse(&name).ok().map(|name| Place { group: None, name }));
                    continue;
                }
                let Ok(group) = GroupName::parse(&name) else { continue };
                for (name, folder) in folders(&folder)? {
                    if folder.join(AGENT).is_file() {
                        found.extend(AgentName::parse(&name).ok().map(|name| Place { group: Some(group.clone()), name }));
                    }
                }
            }
            found.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.group.cmp(&b.group)));
            Ok(found.into_iter().map(|place| (place.clone(), ConfigFile { name: place.name.clone(), path: place.config_file() })).collect())
        })
        .await
    }

    /// The bytes of an agent's picture, which never stands outside its folder.
    pub(crate) async fn picture(&self, place: Place, file: String) -> Result<Option<Vec<u8>>> {
        let folder = self.root.join(place.folder());
        blocking(move || {
            let is_plain = Path::new(&file).components().eq([Component::Normal(file.as_ref())]);
            let (Ok(folder), Ok(path)) = (folder.canonicalize(), folder.join(&file).canonicalize()) else { return Ok(None) };
            if !is_plain || path.parent() != Some(folder.as_path()) {
                return Ok(None);
            }
            fs::read(&path).map(Some).map_err(failed(&path))
        })
        .await
    }

    /// Returns when no write of files that was begun before can still land.
    pub(crate) async fn settle(&self) -> Result<()> {
        drop(self.writes.write().await);
        Ok(())
    }

    /// Runs a write on a thread that may block; it goes on if the caller goes away.
    async fn writing<T: Send + 'static>(&self, turn: &Turn, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let held = (turn.clone(), self.writes.clone().read_owned().await);
        blocking(move || {
            let _held = held;
            work()
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::unknown(format!("file access: {error}"))))
}

fn read(folder: &Path, place: &Place) -> Result<Option<AgentConfig>> {
    let text = |name: &str| match fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Error::Invalid(format!("{}: {name} is not UTF-8", place.name))),
        Err(error) => Err(failed(&folder.join(name))(error)),
    };
    let Some(agent) = text(AGENT)? else { return Ok(None) };
    let memory = text(MEMORY)?.unwrap_or_default();
    yaml::parse(&agent, &memory).map(Some).map_err(|error| Error::Invalid(format!("{}: {error}", place.name)))
}

/// Held against other writers until it is dropped, on the thread that writes.
fn lock(root: &Path) -> Result<File> {
    fs::create_dir_all(root).map_err(failed(root))?;
    let path = root.join(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed(&path))?;
    file.lock().map_err(failed(&path))?;
    Ok(file)
}

/// A new file beside the one that it replaces. Dropped before that, it goes.
struct Beside {
    beside: PathBuf,
    path: PathBuf,
}

impl Beside {
    /// Written and flushed.
    fn write(path: PathBuf, bytes: &[u8]) -> Result<Self> {
        let new = Self { beside: path.with_extension("new"), path };
        let write = || {
            let mut file = File::create(&new.beside)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(failed(&new.path))?;
        Ok(new)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It is gone if it was renamed, and no use to anybody if it was not.
        let _ = fs::remove_file(&self.beside);
    }
}

/// Renames all of `files` into place while nobody reads.
fn replace(files: impl IntoIterator<Item = Beside>, places: &sync::RwLock<()>) -> Result<()> {
    let _alone = places.write().unwrap_or_else(PoisonError::into_inner);
    files.into_iter().try_for_each(|file| fs::rename(&file.beside, &file.path).map_err(failed(&file.path)))
}

/// Moves a folder while nobody reads.
fn move_folder(from: &Path, to: &Path, places: &sync::RwLock<()>) -> io::Result<()> {
    let _alone = places.write().unwrap_or_else(PoisonError::into_inner);
    fs::rename(from, to)
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

fn create_folder(root: &Path, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // A link would lead out of the agents' folder.
    if folder.canonicalize()?.starts_with(root.canonicalize()?) { Ok(()) } else { Err(io::Error::other("leads out of the agents' folder")) }
}

fn folders(of: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(of) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(of)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed(of))?;
        if let (Ok(name), true) = (entry.file_name().into_string(), entry.path().is_dir())
            && !name.starts_with('.')
        {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| Error::unavailable(format!("{}: {error}", path.display()))
}
