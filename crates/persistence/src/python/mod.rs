//! The folder layout of the Python server, converted into ours and back: `[group_GROUP/]NAME/` with texts in Markdown.

mod export;
mod import;
mod markdown;

use std::path::Path;

use domain::{Error, Result};

use crate::yaml;

pub use export::export;
pub use import::import;

const NUTSHELL: &str = "in_a_nutshell.md";
const CHARACTERISTICS: &str = "characteristics.md";
const EVENTS: &str = "recent_events.md";
/// The first is written; both are read.
const MEMORIES: [&str; 2] = ["consolidated_memory.md", "long_term_memory.md"];
const GROUP_CONFIG: &str = "group_config.yaml";
const GROUP_PREFIX: &str = "group_";

/// What a conversion did, and every line that it could not carry over as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Agents written.
    pub written: usize,
    /// Agents that were there already, just like this.
    pub unchanged: usize,
    /// Agents that were left out.
    pub skipped: usize,
    /// What was left out or changed, and where.
    pub lines: Vec<String>,
}

impl Report {
    fn tell(&mut self, path: &Path, what: impl std::fmt::Display) {
        self.lines.push(format!("{}: {what}", path.display()));
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |error| Error::unavailable(format!("{}: {error}", path.display()))
}

/// What stands in a folder, by name: each with whether it is a folder. Links count as what they lead to.
fn entries(folder: &Path) -> Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        found.push((name, path.is_dir()));
    }
    found.sort();
    Ok(found)
}

/// The values that a group sets, in an order of their own, as both layouts write them.
fn group_values(group: &str) -> String {
    let found = yaml::parse_group(group).unwrap_or_default();
    let mut text = String::new();
    for (name, value) in [
        (
            "interrupt_every_turn",
            found.interrupt_every_turn.map(|flag| flag.to_string()),
        ),
        ("priority", found.priority.map(|number| number.to_string())),
        (
            "transparent",
            found.transparent.map(|flag| flag.to_string()),
        ),
    ] {
        text.extend(value.map(|value| format!("{name}: {value}\n")));
    }
    text
}

#[cfg(test)]
mod tests;
