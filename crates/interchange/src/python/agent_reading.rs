//! Reading of the files of one agent.

use std::path::Path;

use domain::AgentConfig;

use super::{
    markdown,
    names::{CHARACTERISTICS, EVENTS, MEMORIES, NUTSHELL, RESERVED},
};
use crate::{
    files::{Entry, decode, read},
    report::Report,
};

/// The file names, without extension, that are preferred for the profile picture. The most
/// preferred name is first.
const PICTURES: [&str; 4] = ["profile", "avatar", "picture", "photo"];

/// The part of an agent that was read so far.
pub(super) struct AgentReading<'r> {
    config: AgentConfig,
    pictures: Vec<(String, Vec<u8>)>,
    others: Vec<(String, Vec<u8>)>,
    report: &'r mut Report,
}

impl<'r> AgentReading<'r> {
    /// Returns an agent with the settings in `config` and no files yet.
    pub(super) fn new(config: AgentConfig, report: &'r mut Report) -> Self {
        Self {
            config,
            pictures: Vec::new(),
            others: Vec::new(),
            report,
        }
    }

    /// Adds a file. If the file cannot be used, adds a line to the report instead. Fails only if
    /// the file is one of the persona's texts. The error is the reason.
    pub(super) fn add(
        &mut self,
        path: &Path,
        Entry { name, is_folder }: Entry,
    ) -> Result<(), String> {
        let left_out = if is_folder {
            Some("a folder inside an agent's folder")
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
            let text = decode(&bytes).ok_or_else(|| {
                format!("{name} is neither UTF-8 nor UTF-16 with a byte order mark")
            })?;
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
    pub(super) fn finish(mut self, folder: &Path) -> (AgentConfig, Vec<(String, Vec<u8>)>) {
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
