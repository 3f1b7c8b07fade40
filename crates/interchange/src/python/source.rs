//! Reading of agents and groups from the Python server's folders.

use std::path::{Path, PathBuf};

use domain::{AgentConfig, AgentName, GroupDefaults, GroupName, Result};

use super::{
    markdown,
    names::{CHARACTERISTICS, EVENTS, GROUP_CONFIG, GROUP_PREFIX, MEMORIES, NUTSHELL},
};
use crate::{
    bundle::AgentBundle,
    files::{Entry, decode, entries, failed, read},
    report::Report,
};

/// The file names that Greenroom uses itself. Files of the Python server with these names are left
/// out.
const RESERVED: [&str; 3] = ["agent.yaml", "memory.yaml", "group.yaml"];
/// The file names, without extension, that are preferred for the profile picture. The most
/// preferred name is first.
const PICTURES: [&str; 4] = ["profile", "avatar", "picture", "photo"];

/// A listing of the agents and groups in a folder of the Python server. The agents are read one by
/// one, so that not all pictures are in memory at once.
#[derive(Clone, Debug)]
pub struct Source {
    groups: Vec<SourceGroup>,
    agents: Vec<SourceAgent>,
}

/// A group in a [`Source`].
#[derive(Clone, Debug)]
pub struct SourceGroup {
    /// The path of the group's folder.
    pub path: PathBuf,
    /// The group's name.
    pub name: GroupName,
    /// The defaults in the group's `group_config.yaml`.
    pub defaults: GroupDefaults,
    /// The names of the group's other files that can be imported.
    files: Vec<String>,
}

/// An agent in a [`Source`], not read yet.
#[derive(Clone, Debug)]
pub struct SourceAgent {
    /// The path of the agent's folder.
    pub path: PathBuf,
    /// The agent's group; `None` for an agent without one.
    pub group: Option<GroupName>,
    /// The name of the agent's folder, which may not be a valid agent name.
    folder: String,
}

impl Source {
    /// Lists the agents and groups in `folder`, or in its subfolder `agents` if there is one. Reads
    /// the defaults of the groups. Everything else in the folder becomes a line of the report.
    ///
    /// See the documentation of the crate for an example.
    pub fn open(folder: &Path, report: &mut Report) -> Result<Self> {
        let inside = folder.join("agents");
        let folder = if inside.is_dir() {
            inside
        } else {
            folder.to_path_buf()
        };
        let mut source = Self {
            groups: Vec::new(),
            agents: Vec::new(),
        };
        let listed = entries(&folder, report).map_err(failed(&folder))?;
        for Entry { name, is_folder } in listed {
            let path = folder.join(&name);
            match name.strip_prefix(GROUP_PREFIX) {
                _ if !is_folder => report.note(&path, "left out: not an agent's folder"),
                Some(group) => source.add_group(path, group, report),
                None => source.agents.push(SourceAgent {
                    path,
                    group: None,
                    folder: name,
                }),
            }
        }
        Ok(source)
    }

    /// Returns the groups, sorted by name.
    pub fn groups(&self) -> &[SourceGroup] {
        &self.groups
    }

    /// Returns the agents, sorted by the paths of their folders.
    pub fn agents(&self) -> &[SourceAgent] {
        &self.agents
    }

    fn add_group(&mut self, path: PathBuf, name: &str, report: &mut Report) {
        let Ok(name) = GroupName::parse(name) else {
            let reason = format!("left out with its agents: {name:?} is not a valid group name");
            report.note(&path, reason);
            return;
        };
        let listed = match entries(&path, report) {
            Ok(listed) => listed,
            Err(error) => {
                report.note(&path, format!("left out with its agents: {error}"));
                return;
            }
        };
        let mut group = SourceGroup {
            path,
            name,
            defaults: GroupDefaults::default(),
            files: Vec::new(),
        };
        for entry in listed {
            let path = group.path.join(&entry.name);
            if entry.is_folder {
                self.agents.push(SourceAgent {
                    path,
                    group: Some(group.name.clone()),
                    folder: entry.name,
                });
            } else if entry.name == GROUP_CONFIG {
                group.defaults = read_group_config(&path, report);
            } else if RESERVED.contains(&entry.name.as_str()) {
                report.note(&path, "left out: Greenroom uses this file name itself");
            } else {
                group.files.push(entry.name);
            }
        }
        self.groups.push(group);
    }
}

impl SourceGroup {
    /// Reads the group's files except `group_config.yaml`. Returns the name and the bytes of each.
    /// A file that cannot be read becomes a line of the report.
    ///
    /// ```
    /// # fn main() -> domain::Result<()> {
    /// # let folder = tempfile::tempdir().expect("a folder for the example");
    /// # let theirs = folder.path();
    /// # std::fs::create_dir(theirs.join("group_g")).expect("a folder for the group");
    /// # std::fs::write(theirs.join("group_g/traits.yaml"), "a: b").expect("a file for the group");
    /// let mut report = interchange::Report::default();
    /// let source = interchange::python::Source::open(theirs, &mut report)?;
    /// let files = source.groups()[0].read_files(&mut report);
    /// assert_eq!(files, [("traits.yaml".to_owned(), b"a: b".to_vec())]);
    /// # Ok(()) }
    /// ```
    pub fn read_files(&self, report: &mut Report) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for name in &self.files {
            let path = self.path.join(name);
            match read(&path) {
                Ok(bytes) => files.push((name.clone(), bytes)),
                Err(error) => report.note(&path, format!("left out: {error}")),
            }
        }
        files
    }

    /// Returns the path of `group_config.yaml`.
    ///
    /// ```
    /// # fn main() -> domain::Result<()> {
    /// # let folder = tempfile::tempdir().expect("a folder for the example");
    /// # let theirs = folder.path();
    /// # std::fs::create_dir(theirs.join("group_g")).expect("a folder for the group");
    /// let source = interchange::python::Source::open(theirs, &mut Default::default())?;
    /// assert!(source.groups()[0].config_path().ends_with("group_g/group_config.yaml"));
    /// # Ok(()) }
    /// ```
    pub fn config_path(&self) -> PathBuf {
        self.path.join(GROUP_CONFIG)
    }
}

impl SourceAgent {
    /// Reads the agent. `defaults` are the defaults that apply to its group. They become the
    /// agent's own settings, because the Python server's format has no settings for a single agent.
    ///
    /// Returns `None` and counts the agent as skipped if its name is not valid, if it has neither
    /// `in_a_nutshell.md` nor `characteristics.md`, or if one of its texts cannot be read. See the
    /// documentation of the crate for an example.
    pub fn read(&self, defaults: &GroupDefaults, report: &mut Report) -> Option<AgentBundle> {
        let entries = match entries(&self.path, report) {
            Ok(entries) => entries,
            Err(error) => {
                report.skip(&self.path, error);
                return None;
            }
        };
        let Ok(name) = AgentName::parse(&self.folder) else {
            let reason = format!("{:?} is not a valid agent name", self.folder);
            report.skip(&self.path, reason);
            return None;
        };
        let is_text = |entry: &Entry| entry.name == NUTSHELL || entry.name == CHARACTERISTICS;
        if !entries.iter().any(is_text) {
            let reason = format!("it has neither {NUTSHELL} nor {CHARACTERISTICS}");
            report.skip(&self.path, reason);
            return None;
        }
        let config = AgentConfig {
            interrupt_every_turn: defaults.interrupt_every_turn.unwrap_or_default(),
            priority: defaults.priority.unwrap_or_default(),
            transparent: defaults.transparent.unwrap_or_default(),
            ..AgentConfig::default()
        };
        let mut reading = AgentReading {
            config,
            pictures: Vec::new(),
            others: Vec::new(),
            report,
        };
        for entry in entries {
            // An agent without one of its texts would be another person.
            if let Err(reason) = reading.add(&self.path.join(&entry.name), entry) {
                reading.report.skip(&self.path, reason);
                return None;
            }
        }
        let (config, files) = reading.finish(&self.path);
        Some(AgentBundle {
            group: self.group.clone(),
            name,
            config,
            files,
        })
    }
}

/// The part of an agent that was read so far.
struct AgentReading<'r> {
    config: AgentConfig,
    pictures: Vec<(String, Vec<u8>)>,
    others: Vec<(String, Vec<u8>)>,
    report: &'r mut Report,
}

impl AgentReading<'_> {
    /// Adds a file. If it cannot be used, adds a line to the report. Fails only if the file is one
    /// of the persona's texts.
    fn add(&mut self, path: &Path, Entry { name, is_folder }: Entry) -> Result<(), String> {
        let left_out = if is_folder {
            Some("a folder inside an agent's")
        } else if name.starts_with('.') {
            Some("a hidden file")
        } else if RESERVED.contains(&name.as_str()) {
            Some("Greenroom uses this file name itself")
        } else {
            None
        };
        if let Some(reason) = left_out {
            self.report.note(path, format!("left out: {reason}"));
            return Ok(());
        }
        let texts = [NUTSHELL, CHARACTERISTICS, EVENTS, MEMORIES[0], MEMORIES[1]];
        let is_text = texts.contains(&name.as_str());
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) if is_text => return Err(format!("{name}: {error}")),
            Err(error) => {
                self.report.note(path, format!("left out: {error}"));
                return Ok(());
            }
        };
        if is_text {
            let text = decode(&bytes)
                .ok_or_else(|| format!("{name} is neither UTF-8 nor UTF-16 with a mark"))?;
            self.add_text(path, &name, &text);
        } else if is_image(&bytes) {
            self.pictures.push((name, bytes));
        } else {
            let note = "kept unchanged in the agent's folder; Greenroom does not use it";
            self.report.note(path, note);
            self.others.push((name, bytes));
        }
        Ok(())
    }

    fn add_text(&mut self, path: &Path, name: &str, text: &str) {
        let mut text = text.to_owned();
        if text.contains('\r') || text.starts_with('\u{feff}') {
            let note = "line ends changed to those of Unix, a byte order mark removed";
            self.report.note(path, note);
            text = text
                .trim_start_matches('\u{feff}')
                .replace("\r\n", "\n")
                .replace('\r', "\n");
        }
        match name {
            NUTSHELL => self.config.in_a_nutshell = text,
            CHARACTERISTICS => self.config.characteristics = text,
            EVENTS => self.add_events(path, &text),
            _ => self.add_memories(path, &text),
        }
    }

    fn add_events(&mut self, path: &Path, text: &str) {
        self.config.recent_events = markdown::events(text);
        let first = text.lines().find(|line| !line.trim().is_empty());
        if first.is_some_and(|line| !line.starts_with("- ")) {
            let note = "the text before the first event is kept as an event without a date";
            self.report.note(path, note);
        }
    }

    fn add_memories(&mut self, path: &Path, text: &str) {
        let memories = markdown::memories(text);
        let first = memories.first();
        if first.is_some_and(|memory| memory.title.is_empty()) {
            let note = "the text before the first header is kept as a memory without a title";
            self.report.note(path, note);
        }
        if !self.config.long_term_memories.is_empty() && !memories.is_empty() {
            let note = format!("its memories are appended to those of {}", MEMORIES[0]);
            self.report.note(path, note);
        }
        self.config.long_term_memories.extend(memories);
    }

    /// Chooses the profile picture. Returns the persona and the agent's files, in which the profile
    /// picture is first.
    fn finish(mut self, folder: &Path) -> (AgentConfig, Vec<(String, Vec<u8>)>) {
        self.pictures.sort_by_key(|(name, _)| picture_rank(name));
        for (name, _) in self.pictures.iter().skip(1) {
            let note = "kept unchanged in the agent's folder; the agent has another picture";
            self.report.note(&folder.join(name), note);
        }
        self.config.profile_pic = self.pictures.first().map(|(name, _)| name.clone());
        self.pictures.append(&mut self.others);
        (self.config, self.pictures)
    }
}

/// Returns the preference of a file name for the profile picture; 0 is the most preferred.
fn picture_rank(name: &str) -> usize {
    let stem = Path::new(name).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy().to_lowercase();
    let rank = PICTURES.iter().position(|name| *name == stem);
    rank.unwrap_or(PICTURES.len())
}

/// Returns `true` for bytes of a PNG, JPEG, GIF or WebP picture, the kinds that Greenroom serves.
#[rustfmt::skip] // One kind a line.
fn is_image(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..]
        | [0xff, 0xd8, 0xff, ..]
        | [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..]
        | [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..]
    )
}

fn read_group_config(path: &Path, report: &mut Report) -> GroupDefaults {
    let text = match read(path) {
        Ok(bytes) => {
            decode(&bytes).ok_or_else(|| "neither UTF-8 nor UTF-16 with a mark".to_owned())
        }
        Err(error) => Err(error.to_string()),
    };
    match text {
        Ok(text) => group_config(path, &text, report),
        Err(reason) => {
            report.note(path, format!("left out: {reason}"));
            GroupDefaults::default()
        }
    }
}

/// Parses a group's settings. Settings that Greenroom does not support become lines of the report.
fn group_config(path: &Path, text: &str, report: &mut Report) -> GroupDefaults {
    let mut defaults = GroupDefaults::default();
    let root = match yaml_in_place::parse(text) {
        Ok(root) => root,
        Err(error) => {
            report.note(path, format!("left out: {error}"));
            return defaults;
        }
    };
    if let Some(yaml_in_place::Kind::Mapping { entries, .. }) = root.map(|root| root.kind) {
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            let is_set = match name {
                "interrupt_every_turn" | "priority" | "transparent" if value.is_null() => true,
                "interrupt_every_turn" => set(&mut defaults.interrupt_every_turn, value.as_bool()),
                "priority" => set(
                    &mut defaults.priority,
                    value.as_i64().and_then(|number| number.try_into().ok()),
                ),
                "transparent" => set(&mut defaults.transparent, value.as_bool()),
                _ => false,
            };
            if !is_set {
                let line = key.position.line;
                let value = value.text().unwrap_or("…");
                let note = format!("left out: line {line}: {name}: {value}");
                report.note(path, note);
            }
        }
    }
    if text.contains('#') {
        report.note(path, "comments are left out (the file contains `#`)");
    }
    defaults
}

/// Sets a field to a value if there is one. Returns `true` if the field was set.
fn set<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    if value.is_some() {
        *field = value;
        return true;
    }
    false
}

#[cfg(test)]
mod tests;
