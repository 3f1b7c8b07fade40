//! The agents' folder: one folder per agent, also inside a folder per group. Every call may block.
//!
//! One file is changed by a new one beside it that is renamed over it. Several are changed in one step all the same:
//! the new ones are written into `.change.new`, whose renaming to `.change` is the step; from then on they count, and
//! are moved to their places by whoever comes next ([`Folder::finish`]). A file `move` among them names the place that
//! the folder itself moves to.

use std::{
    fs::File,
    io,
    path::{Component, Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use domain::{AgentName, Error, GroupName, Result};

use crate::{
    disk::{Disk, Stat},
    place::Place,
    seen::{Hashes, Seen},
    yaml::{AGENT, GROUP, MEMORY, Texts},
};

/// Where deleted agents' folders are set aside.
const DELETED: &str = ".deleted";
const CHANGE: &str = ".change";
const CHANGE_NEW: &str = ".change.new";
const MOVE: &str = "move";

/// The agents' folder on a disk.
pub(crate) struct Folder {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    /// Held shared while an agent's files are read, alone while they are put into place: nobody sees half of a change.
    places: RwLock<()>,
    pub(crate) seen: Seen,
}

/// Held against other writers, in other processes, too, until it is dropped.
pub(crate) struct Locked(#[expect(dead_code, reason = "held, never read")] File);

/// New files, written and flushed, that are not in their places yet. Dropped before that, they go.
pub(crate) struct Staged {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    place: Place,
    to: Option<Place>,
    files: Vec<(String, Vec<u8>)>,
    /// What the change was made of.
    read: Texts,
    is_pending: bool,
}

impl Folder {
    pub(crate) fn new(root: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Self {
        Self {
            root: root.into(),
            disk,
            places: RwLock::default(),
            seen: Seen::default(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Waits for other writers.
    pub(crate) fn lock(&self) -> Result<Locked> {
        std::fs::create_dir_all(&self.root).map_err(failed(&self.root))?;
        let path = self.root.join(".lock");
        self.disk.lock(&path).map(Locked).map_err(failed(&path))
    }

    /// The texts of an agent's files; `None` if it has no `agent.yaml`.
    pub(crate) fn texts(&self, place: &Place) -> Result<Option<Texts>> {
        let _shared = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let stats = self.stats(place);
        tracing::trace!(target: "persistence::files", agent = %place.name, "read");
        let (agent, memory) = self.own_texts(place)?;
        let group = self.group(place)?;
        self.seen.note(
            place,
            stats,
            [agent.as_deref(), memory.as_deref(), Some(&*group)],
            false,
        );
        Ok(agent.map(|agent| Texts {
            agent,
            memory: memory.unwrap_or_default(),
            group,
        }))
    }

    /// The texts of `agent.yaml` and `memory.yaml`.
    fn own_texts(&self, place: &Place) -> Result<(Option<String>, Option<String>)> {
        let folder = self.root.join(place.folder());
        let change = folder.join(CHANGE);
        let is_changing = self.disk.stat(&change).is_ok();
        let text = |name: &str| {
            let changed = if is_changing {
                self.text(&change.join(name), name, place)?
            } else {
                None
            };
            changed.map_or_else(
                || self.text(&folder.join(name), name, place),
                |text| Ok(Some(text)),
            )
        };
        Ok((text(AGENT)?, text(MEMORY)?))
    }

    /// What the group of a place sets; empty without one.
    pub(crate) fn group(&self, place: &Place) -> Result<String> {
        let Some(group) = &place.group else {
            return Ok(String::new());
        };
        Ok(self
            .text(&self.root.join(group.as_str()).join(GROUP), GROUP, place)?
            .unwrap_or_default())
    }

    fn text(&self, path: &Path, name: &str, place: &Place) -> Result<Option<String>> {
        let not_text = || Error::Invalid(format!("{}: {name} is not UTF-8", place.name));
        match self.disk.read(path) {
            Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| not_text()),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed(path)(error)),
        }
    }

    /// How the files stand that [`Folder::texts`] reads.
    fn stats(&self, place: &Place) -> [Option<Stat>; 3] {
        self.paths(place)
            .map(|path| path.and_then(|path| self.disk.stat(&path).ok()))
    }

    fn paths(&self, place: &Place) -> [Option<PathBuf>; 3] {
        let folder = self.root.join(place.folder());
        let group = place
            .group
            .as_ref()
            .map(|group| self.root.join(group.as_str()).join(GROUP));
        [Some(folder.join(AGENT)), Some(folder.join(MEMORY)), group]
    }

    /// Whether an agent's files are not as they were last read or written. Told once. Reads them if their times may hide
    /// it, or if `reads_anyway`. How many times a file's state was asked for.
    pub(crate) fn is_changed(&self, place: &Place, reads_anyway: bool) -> (bool, usize) {
        let _shared = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let paths = self.paths(place);
        let stats = self.stats(place);
        let asked = paths.iter().flatten().count();
        if !reads_anyway && self.seen.is_same(place, &stats) {
            return (false, asked);
        }
        tracing::trace!(target: "persistence::probe", agent = %place.name, "hashed");
        let texts = paths.map(|path| path.and_then(|path| self.disk.read(&path).ok()));
        let is_changed = self.seen.note(
            place,
            stats,
            [
                texts[0].as_deref(),
                texts[1].as_deref(),
                texts[2].as_deref(),
            ],
            true,
        );
        (is_changed, asked)
    }

    /// Whether an agent's files are as they were last read, the texts with these hashes: by times, sizes and inodes alone.
    pub(crate) fn is_same(&self, place: &Place, hashes: &Hashes) -> bool {
        let _shared = self.places.read().unwrap_or_else(PoisonError::into_inner);
        self.seen.is_same_as(place, &self.stats(place), hashes)
    }

    /// Ends what a crash or an error left half done in an agent's folder. Where the agent stands then.
    pub(crate) fn finish(&self, _locked: &Locked, place: &Place) -> Result<Place> {
        let folder = self.root.join(place.folder());
        let names = match self.disk.list(&folder) {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(place.clone()),
            Err(error) => return Err(failed(&folder)(error)),
        };
        let mut stands = place.clone();
        for (path, is_folder) in names {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if is_folder && name == CHANGE {
                let _alone = self.places.write().unwrap_or_else(PoisonError::into_inner);
                stands = spread(&*self.disk, &self.root, &folder, place).map_err(failed(&path))?;
            } else if is_folder && name == CHANGE_NEW {
                discard(&*self.disk, &path);
            } else if name.starts_with('.')
                && path.extension().is_some_and(|ending| ending == "new")
            {
                let _ = self.disk.remove_file(&path);
            }
        }
        Ok(stands)
    }

    /// The first of a new agent's files that stands there already, in a folder of no agent: somebody's, to be left alone.
    pub(crate) fn occupied(&self, place: &Place, files: &[(String, Vec<u8>)]) -> Option<PathBuf> {
        let folder = self.root.join(place.folder());
        files
            .iter()
            .map(|(name, _)| folder.join(name))
            .find(|path| self.disk.stat(path).is_ok())
    }

    /// Writes new files beside an agent's old ones, and flushes them: nothing is changed yet. They were made of what was
    /// `read` (empty for a new agent; the group's as where it is to stand). The agent's folder is made if it is new; with
    /// `to` the folder is to move.
    pub(crate) fn stage(
        &self,
        _locked: &Locked,
        place: &Place,
        read: Texts,
        files: Vec<(String, Vec<u8>)>,
        to: Option<Place>,
    ) -> Result<Staged> {
        let folder = self.root.join(place.folder());
        let is_pending = !files.is_empty() || to.is_some();
        let staged = Staged {
            disk: self.disk.clone(),
            folder,
            place: place.clone(),
            to,
            files,
            read,
            is_pending,
        };
        if is_pending {
            self.create_folder(&staged.folder)
                .map_err(failed(&staged.folder))?;
            staged.write().map_err(failed(&staged.folder))?;
        }
        Ok(staged)
    }

    /// Puts staged files into their places, if the old ones still say what the change was made of. An error says whether
    /// that may have happened.
    pub(crate) fn commit(&self, _locked: &Locked, mut staged: Staged) -> Result<()> {
        let _alone = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let folder = staged.folder.clone();
        let (agent, memory) = self.own_texts(&staged.place)?;
        let group = self.group(staged.to.as_ref().unwrap_or(&staged.place))?;
        if staged.read
            != (Texts {
                agent: agent.unwrap_or_default(),
                memory: memory.unwrap_or_default(),
                group,
            })
        {
            return Err(Error::Conflict(format!(
                "the files of {} were changed meanwhile: try again",
                staged.place.name
            )));
        }
        if !staged.is_pending {
            return Ok(());
        }
        if let Some(to) = staged.to.as_ref().map(|to| self.root.join(to.folder()))
            && self.disk.stat(&to).is_ok()
        {
            return Err(Error::Conflict(format!(
                "the folder {} is there already",
                to.display()
            )));
        }
        let (from, into) = match staged.single() {
            Some(name) => (beside(&folder, name), folder.join(name)),
            None => (folder.join(CHANGE_NEW), folder.join(CHANGE)),
        };
        self.disk.rename(&from, &into).map_err(failed(&into))?;
        staged.is_pending = false;
        let unsure = |error| Error::unknown(failed(&folder)(error));
        let stands = if staged.single().is_some() {
            staged.place.clone()
        } else {
            self.disk.sync_folder(&folder).map_err(unsure)?;
            spread(&*self.disk, &self.root, &folder, &staged.place).map_err(unsure)?
        };
        let written = staged
            .files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        let mut stats = self.stats(&stands);
        stats[2] = None;
        self.seen.wrote(&staged.place, &stands, stats, written);
        self.disk
            .sync_folder(&self.root.join(stands.folder()))
            .map_err(unsure)
    }

    /// Sets an agent's folder aside, as `.deleted/NAME-ID`; one that is gone already is fine.
    pub(crate) fn set_aside(&self, _locked: &Locked, place: &Place, id: i64) -> Result<()> {
        let (from, aside) = (self.root.join(place.folder()), self.root.join(DELETED));
        self.create_folder(&aside).map_err(failed(&aside))?;
        self.move_folder(&from, &aside.join(format!("{}-{id}", place.name)))
    }

    /// Moves the folder of a living agent back that a deletion set aside before it was given up.
    pub(crate) fn bring_back(&self, _locked: &Locked, place: &Place, id: i64) -> Result<()> {
        let (from, to) = (
            self.root.join(DELETED).join(format!("{}-{id}", place.name)),
            self.root.join(place.folder()),
        );
        if self.disk.stat(&to).is_ok() {
            return Ok(());
        }
        self.move_folder(&from, &to)
    }

    fn move_folder(&self, from: &Path, to: &Path) -> Result<()> {
        let _alone = self.places.write().unwrap_or_else(PoisonError::into_inner);
        match self.disk.rename(from, to) {
            Err(error) if is_missing(&error) => return Ok(()),
            renamed => renamed.map_err(failed(from))?,
        }
        for folder in [to.parent(), from.parent()].into_iter().flatten() {
            self.disk
                .sync_folder(folder)
                .map_err(|error| Error::unknown(failed(folder)(error)))?;
        }
        Ok(())
    }

    /// All agents' places, by name, whether their files can be understood or not.
    pub(crate) fn list(&self) -> Result<Vec<Place>> {
        let mut found = Vec::new();
        for (name, folder) in self.folders(&self.root)? {
            if self.is_agent(&folder) {
                found.extend(
                    AgentName::parse(&name)
                        .ok()
                        .map(|name| Place { group: None, name }),
                );
                continue;
            }
            let Ok(group) = GroupName::parse(&name) else {
                continue;
            };
            for (name, folder) in self.folders(&folder)? {
                if self.is_agent(&folder) {
                    found.extend(AgentName::parse(&name).ok().map(|name| Place {
                        group: Some(group.clone()),
                        name,
                    }));
                }
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.group.cmp(&b.group)));
        Ok(found)
    }

    fn is_agent(&self, folder: &Path) -> bool {
        self.disk.stat(&folder.join(AGENT)).is_ok()
            || self.disk.stat(&folder.join(CHANGE).join(AGENT)).is_ok()
    }

    fn folders(&self, of: &Path) -> Result<Vec<(String, PathBuf)>> {
        let entries = match self.disk.list(of) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(failed(of)(error)),
        };
        let named = entries
            .into_iter()
            .filter(|(_, is_folder)| *is_folder)
            .filter_map(|(path, _)| {
                let name = path.file_name()?.to_str()?.to_owned();
                Some((name, path))
            });
        Ok(named.filter(|(name, _)| !name.starts_with('.')).collect())
    }

    /// The bytes of an agent's picture, which never stands outside its folder, nor its folder outside the agents'.
    pub(crate) fn picture(&self, place: &Place, file: &str) -> Result<Option<Vec<u8>>> {
        let _shared = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let folder = self.root.join(place.folder());
        let is_plain = Path::new(file)
            .components()
            .eq([Component::Normal(file.as_ref())]);
        let (Ok(root), Ok(inside)) = (self.root.canonicalize(), folder.canonicalize()) else {
            return Ok(None);
        };
        let Ok(path) = inside.join(file).canonicalize() else {
            return Ok(None);
        };
        if !is_plain || path.parent() != Some(inside.as_path()) || !inside.starts_with(root) {
            return Ok(None);
        }
        self.disk.read(&path).map(Some).map_err(failed(&path))
    }

    /// Makes a folder inside the agents', and makes it last.
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        let mut at = folder;
        while at != self.root && self.disk.stat(at).is_err() {
            missing.push(at);
            at = at.parent().unwrap_or(&self.root);
        }
        for folder in missing.into_iter().rev() {
            self.disk.create_folder(folder)?;
            self.disk
                .sync_folder(folder.parent().unwrap_or(&self.root))?;
        }
        // A link would lead out of the agents' folder.
        if folder
            .canonicalize()?
            .starts_with(self.root.canonicalize()?)
        {
            Ok(())
        } else {
            Err(io::Error::other("leads out of the agents' folder"))
        }
    }
}

impl Staged {
    /// The one file that is renamed over its old one.
    fn single(&self) -> Option<&str> {
        match &self.files[..] {
            [(name, _)] if self.to.is_none() => Some(name),
            _ => None,
        }
    }

    fn write(&self) -> io::Result<()> {
        let put = |path: &Path, bytes: &[u8]| {
            self.disk
                .create(path, bytes)
                .and_then(|file| self.disk.sync_file(&file, path))
        };
        if self.single().is_some() {
            return self
                .files
                .iter()
                .try_for_each(|(name, bytes)| put(&beside(&self.folder, name), bytes));
        }
        let folder = self.folder.join(CHANGE_NEW);
        self.disk.create_folder(&folder)?;
        self.files
            .iter()
            .try_for_each(|(name, bytes)| put(&folder.join(name), bytes))?;
        if let Some(to) = &self.to {
            put(&folder.join(MOVE), to.config_file().as_bytes())?;
        }
        self.disk.sync_folder(&folder)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_pending {
            return;
        }
        match self.single() {
            Some(name) => drop(self.disk.remove_file(&beside(&self.folder, name))),
            None => discard(&*self.disk, &self.folder.join(CHANGE_NEW)),
        }
        // One that was made for these files is empty now.
        let _ = self.disk.remove_folder(&self.folder);
    }
}

fn beside(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}.new"))
}

/// Removes a folder of files that never counted.
fn discard(disk: &dyn Disk, folder: &Path) {
    for (path, _) in disk.list(folder).unwrap_or_default() {
        let _ = disk.remove_file(&path);
    }
    let _ = disk.remove_folder(folder);
}

/// Moves what stands in `.change` to its places. Where the agent stands then.
fn spread(disk: &dyn Disk, root: &Path, folder: &Path, place: &Place) -> io::Result<Place> {
    let change = folder.join(CHANGE);
    let mut to = None;
    for (path, _) in disk.list(&change)? {
        match path.file_name() {
            Some(name) if name == MOVE => {
                to = Some(String::from_utf8_lossy(&disk.read(&path)?).into_owned());
            }
            Some(name) => disk.rename(&path, &folder.join(name))?,
            None => {}
        }
    }
    disk.sync_folder(folder)?;
    let to = to
        .and_then(|to| Place::parse(&to).ok())
        .filter(|to| to != place);
    let (mut stands, mut at) = (place.clone(), folder.to_path_buf());
    if let Some(to) = to {
        let target = root.join(to.folder());
        if disk.stat(&target).is_ok() {
            tracing::warn!(folder = %folder.display(), target = %target.display(), "the new name is taken on disk: the folder stays");
        } else {
            let parent = target.parent().unwrap_or(root);
            disk.create_folder(parent)?;
            disk.sync_folder(root)?;
            disk.rename(folder, &target)?;
            disk.sync_folder(parent)?;
            disk.sync_folder(folder.parent().unwrap_or(root))?;
            (stands, at) = (to, target);
        }
    }
    let change = at.join(CHANGE);
    if disk.stat(&change.join(MOVE)).is_ok() {
        disk.remove_file(&change.join(MOVE))?;
    }
    disk.remove_folder(&change)?;
    Ok(stands)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| Error::unavailable(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
