//! From the Python server's layout into ours.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::{AgentConfig, AgentName, GroupName, Result};

use super::{
    CHARACTERISTICS, EVENTS, GROUP_CONFIG, GROUP_PREFIX, MEMORIES, NUTSHELL, Report, entries,
    failed, group_values, markdown,
};
use crate::{
    agent_files::{
        disk::RealDisk,
        folder::{AgentsFolder as Folder, FolderLock as Locked},
        path::AgentPath as Place,
    },
    schemas::SCHEMAS,
    yaml::{self, AGENT, GROUP, MEMORY, Texts, tree},
};

const PICTURES: [&str; 4] = ["profile", "avatar", "picture", "photo"];

/// Converts the agents in `from`, or in the folder `agents` inside it, into the agents' folder `to`. With `dry_run` it
/// writes nothing. What is there already is never overwritten. `progress` is told how many of how many are done.
pub fn import(
    from: &Path,
    to: &Path,
    dry_run: bool,
    mut progress: impl FnMut(usize, usize),
) -> Result<Report> {
    let inside = from.join("agents");
    let from = if inside.is_dir() {
        inside
    } else {
        from.to_path_buf()
    };
    let mut import = Import {
        folder: Folder::new(to, Arc::new(RealDisk)),
        dry_run,
        report: Report::default(),
        names: BTreeMap::new(),
    };
    for place in import.folder.list()? {
        import.names.insert(place.name.clone(), place);
    }
    let mut found = Vec::new();
    for (name, is_folder) in entries(&from)? {
        let path = from.join(&name);
        match name.strip_prefix(GROUP_PREFIX) {
            _ if !is_folder => import.report.tell(&path, "left out: no agent's folder"),
            Some(group) => import.group(&path, group, &mut found)?,
            None => found.push((path, None, name)),
        }
    }
    let locked = if dry_run {
        None
    } else {
        Some(import.folder.lock()?)
    };
    if !dry_run {
        for (path, text) in SCHEMAS {
            let path = to.join(path);
            fs::create_dir_all(path.parent().unwrap_or(to))
                .and_then(|()| fs::write(&path, text))
                .map_err(failed(&path))?;
        }
    }
    for (done, (path, group, name)) in found.iter().enumerate() {
        progress(done, found.len());
        import.agent(locked.as_ref(), path, group.as_ref(), name)?;
    }
    progress(found.len(), found.len());
    Ok(import.report)
}

struct Import {
    folder: Folder,
    dry_run: bool,
    report: Report,
    /// Whose names are taken, and where they stand.
    names: BTreeMap<AgentName, Place>,
}

/// A group, and the text of its `group.yaml`.
type Group = (GroupName, String);

impl Import {
    fn group(
        &mut self,
        path: &Path,
        raw: &str,
        found: &mut Vec<(PathBuf, Option<Group>, String)>,
    ) -> Result<()> {
        let Ok(name) = GroupName::parse(raw) else {
            self.report.tell(
                path,
                "left out with all that is in it: its name cannot be a group's",
            );
            return Ok(());
        };
        let mut text = String::new();
        let (mut agents, mut others) = (Vec::new(), Vec::new());
        for (entry, is_folder) in entries(path)? {
            if is_folder {
                agents.push((path.join(&entry), entry));
            } else if entry == GROUP_CONFIG {
                let config = fs::read(path.join(&entry)).map_err(failed(path))?;
                text = self.group_config(&path.join(&entry), &String::from_utf8_lossy(&config));
            } else {
                others.push(entry);
            }
        }
        let target = self.folder.root().join(name.as_str());
        let mut files = vec![(GROUP.to_owned(), text.clone().into_bytes())];
        files.retain(|(_, text)| !text.is_empty());
        for entry in others {
            let bytes = fs::read(path.join(&entry)).map_err(failed(path))?;
            files.push((entry, bytes));
        }
        for (entry, bytes) in files {
            let (from, target) = (path.join(&entry), target.join(&entry));
            match fs::read(&target) {
                Ok(there) if there == bytes => continue,
                Ok(there) => {
                    self.report.tell(
                        &from,
                        format!(
                            "left out: {} is there already and differs",
                            target.display()
                        ),
                    );
                    if entry == GROUP {
                        text = String::from_utf8_lossy(&there).into_owned();
                    }
                    continue;
                }
                Err(_) => {}
            }
            if entry != GROUP {
                self.report
                    .tell(&from, "kept as it is in the group's folder, and not used");
            }
            if !self.dry_run {
                let folder = target.parent().unwrap_or(&target);
                fs::create_dir_all(folder)
                    .and_then(|()| fs::write(&target, bytes))
                    .map_err(failed(&target))?;
            }
        }
        found.extend(
            agents
                .into_iter()
                .map(|(path, agent)| (path, Some((name.clone(), text.clone())), agent)),
        );
        Ok(())
    }

    /// Ours for theirs: what both know.
    fn group_config(&mut self, path: &Path, text: &str) -> String {
        let root = match tree::parse(text) {
            Ok(root) => root,
            Err(broken) => {
                self.report.tell(
                    path,
                    format!(
                        "left out: line {}, column {}: {}",
                        broken.at.0, broken.at.1, broken.why
                    ),
                );
                return String::new();
            }
        };
        let mut ours = String::new();
        if let Some(tree::Kind::Mapping { entries, .. }) = root.map(|root| root.kind) {
            for (key, value) in entries {
                let line = |node: &tree::Node| match &node.kind {
                    tree::Kind::Scalar { text, .. } => text.clone(),
                    _ => String::new(),
                };
                let field = format!("{}: {}\n", line(&key), line(&value));
                match yaml::parse_group(&field) {
                    Ok(_) => ours.push_str(&field),
                    Err(_) => self.report.tell(
                        path,
                        format!("left out: line {}: {}", key.at.0, field.trim_end()),
                    ),
                }
            }
        }
        if text.contains('#') {
            self.report.tell(
                path,
                "comments, if that is what stands behind a #, are left out",
            );
        }
        let ours = group_values(&ours);
        if ours.is_empty() {
            ours
        } else {
            format!("# yaml-language-server: $schema=../.schema/group.json\nschema: 1\n{ours}")
        }
    }

    fn agent(
        &mut self,
        locked: Option<&Locked>,
        path: &Path,
        group: Option<&Group>,
        raw: &str,
    ) -> Result<()> {
        let files = entries(path)?;
        let Ok(name) = AgentName::parse(raw) else {
            self.skip(path, "its name cannot be an agent's");
            return Ok(());
        };
        if !files
            .iter()
            .any(|(file, _)| file == NUTSHELL || file == CHARACTERISTICS)
        {
            self.skip(
                path,
                &format!("neither {NUTSHELL} nor {CHARACTERISTICS} is in it"),
            );
            return Ok(());
        }
        let place = Place {
            group: group.map(|(group, _)| group.clone()),
            name: name.clone(),
        };
        let group_text = group.map_or(String::new(), |(_, text)| text.clone());
        let read = Texts {
            group: group_text.clone(),
            ..Texts::default()
        };
        let converted = self.convert(path, &files, &place, group_text)?;
        if let Some(there) = self.names.get(&name) {
            if *there == place && self.is_same(&place, &converted) {
                self.report.unchanged += 1;
                return Ok(());
            }
            let there = there.config_file();
            self.skip(path, &format!("{there} has the name already and differs"));
            return Ok(());
        }
        if let Some(there) = self.folder.occupied(&place, &converted) {
            self.skip(
                path,
                &format!(
                    "{} is there already, in a folder of no agent",
                    there.display()
                ),
            );
            return Ok(());
        }
        if let Some(locked) = locked {
            self.folder.finish(locked, &place)?;
            let staged = self.folder.stage(locked, &place, read, converted, None)?;
            self.folder.commit(locked, staged)?;
        }
        self.names.insert(name, place);
        self.report.written += 1;
        Ok(())
    }

    fn skip(&mut self, path: &Path, why: &str) {
        self.report.skipped += 1;
        self.report.tell(path, format!("left out: {why}"));
    }

    /// Whether the files of an agent are these, but for the id that it was given since.
    fn is_same(&self, place: &Place, files: &[(String, Vec<u8>)]) -> bool {
        let without_id = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines()
                .filter(|line| !line.starts_with("id: "))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        files.iter().all(|(name, bytes)| {
            let there =
                fs::read(self.folder.root().join(place.folder()).join(name)).unwrap_or_default();
            there == *bytes || (name == AGENT && without_id(&there) == without_id(bytes))
        })
    }

    /// Our files for theirs.
    fn convert(
        &mut self,
        path: &Path,
        files: &[(String, bool)],
        place: &Place,
        group: String,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let defaults = yaml::parse_group(&group).unwrap_or_default();
        let mut config = AgentConfig {
            interrupt_every_turn: defaults.interrupt_every_turn.unwrap_or_default(),
            priority: defaults.priority.unwrap_or_default(),
            transparent: defaults.transparent.unwrap_or_default(),
            ..AgentConfig::default()
        };
        let (mut others, mut images) = (Vec::new(), Vec::new());
        for (file, is_folder) in files {
            let at = path.join(file);
            if *is_folder || file.starts_with('.') || [AGENT, MEMORY].contains(&file.as_str()) {
                self.report.tell(&at, "left out");
                continue;
            }
            let bytes = fs::read(&at).map_err(failed(&at))?;
            let is_text = [NUTSHELL, CHARACTERISTICS, EVENTS, MEMORIES[0], MEMORIES[1]]
                .contains(&file.as_str());
            match if is_text {
                String::from_utf8(bytes.clone()).ok()
            } else {
                None
            } {
                Some(text) => self.text(&at, file, &text, &mut config),
                None if is_image(&bytes) => images.push((file.clone(), bytes)),
                None => {
                    self.report
                        .tell(&at, "kept as it is in the agent's folder, and not used");
                    others.push((file.clone(), bytes));
                }
            }
        }
        let rank = |file: &str| {
            let stem = Path::new(file)
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase();
            PICTURES
                .iter()
                .position(|name| *name == stem)
                .unwrap_or(PICTURES.len())
        };
        images.sort_by_key(|(file, _)| rank(file));
        for (file, _) in images.iter().skip(1) {
            self.report.tell(
                &path.join(file),
                "kept as it is in the agent's folder, and not used: it has another picture",
            );
        }
        config.profile_pic = images.first().map(|(file, _)| file.clone());
        let texts = yaml::print(None, &config, group);
        let up = if place.group.is_some() {
            "../../"
        } else {
            "../"
        };
        let headed = |kind: &str, text: String| {
            format!("# yaml-language-server: $schema={up}.schema/{kind}.json\n{text}").into_bytes()
        };
        let ours = [
            (MEMORY.to_owned(), headed("memory", texts.memory)),
            (AGENT.to_owned(), headed("agent", texts.agent)),
        ];
        Ok(images.into_iter().chain(others).chain(ours).collect())
    }

    fn text(&mut self, at: &Path, file: &str, text: &str, config: &mut AgentConfig) {
        let mut text = text.to_owned();
        if text.contains('\r') || text.starts_with('\u{feff}') {
            self.report.tell(
                at,
                "line ends, or a mark at its beginning, are not those of Unix: changed",
            );
            text = text
                .trim_start_matches('\u{feff}')
                .replace("\r\n", "\n")
                .replace('\r', "\n");
        }
        match file {
            NUTSHELL => config.in_a_nutshell = text,
            CHARACTERISTICS => config.characteristics = text,
            EVENTS => {
                config.recent_events = markdown::events(&text);
                if text
                    .lines()
                    .find(|line| !line.trim().is_empty())
                    .is_some_and(|line| !line.starts_with("- "))
                {
                    self.report.tell(
                        at,
                        "what stands before the first event is kept as one without a date",
                    );
                }
            }
            _ => {
                let memories = markdown::memories(&text);
                if memories
                    .first()
                    .is_some_and(|memory| memory.title.is_empty())
                {
                    self.report.tell(
                        at,
                        "what stands before the first header is kept as a memory without a title",
                    );
                }
                if !config.long_term_memories.is_empty() && !memories.is_empty() {
                    self.report.tell(
                        at,
                        format!("its memories are kept behind those of {}", MEMORIES[0]),
                    );
                }
                config.long_term_memories.extend(memories);
            }
        }
    }
}

/// By content, of the kinds that are served.
fn is_image(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..]
            | [0xff, 0xd8, 0xff, ..]
            | [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..]
            | [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..
            ]
    )
}
