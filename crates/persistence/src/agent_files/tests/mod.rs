//! Tests of the agents' folder without a database.

mod edits;
mod faults;

use std::{fs, path::Path, sync::Arc};

use domain::{AgentConfig, AgentName, Error, RecentEvent, Result};

use super::{disk::RealDisk, folder::AgentsFolder, path::AgentPath, persona::add_event};
use crate::yaml::{self, AGENT, MEMORY, Persona, Texts};

fn path(name: &str) -> AgentPath {
    AgentPath {
        group: None,
        name: AgentName::parse(name).unwrap(),
    }
}

fn event(text: &str) -> RecentEvent {
    RecentEvent {
        date: None,
        text: text.into(),
    }
}

fn real(root: &Path) -> AgentsFolder {
    AgentsFolder::new(root, Arc::new(RealDisk))
}

fn persona(folder: &AgentsFolder, path: &AgentPath) -> Option<Persona> {
    let texts = folder.texts(path).unwrap();
    texts.map(|texts| yaml::parse(&texts).unwrap())
}

/// Appends a recent event, which changes only `memory.yaml`.
fn append(folder: &AgentsFolder, path: &AgentPath, text: &str) -> Result<()> {
    let lock = folder.lock()?;
    folder.finish(&lock, path)?;
    let edit = add_event(folder, path, event(text))?;
    let files = vec![(MEMORY.to_owned(), edit.memory.into_bytes())];
    let staged = folder.stage(&lock, path, edit.base, files, None)?;
    folder.commit(&lock, staged)
}

/// Changes both files and the picture, and moves the folder if `to` differs from `from`.
fn change(folder: &AgentsFolder, from: &AgentPath, to: &AgentPath) -> Result<()> {
    let lock = folder.lock()?;
    folder.finish(&lock, from)?;
    let texts = folder
        .texts(from)?
        .ok_or_else(|| Error::missing("agent", 1))?;
    let old = yaml::parse(&texts).unwrap();
    let mut new = old.clone();
    new.config.characteristics = "new".into();
    new.config.recent_events.push(event("new"));
    let edited = yaml::edited(&texts, &old, &new).unwrap();
    let files = vec![
        ("profile.png".to_owned(), b"new".to_vec()),
        (MEMORY.to_owned(), edited.memory.into_bytes()),
        (AGENT.to_owned(), edited.agent.into_bytes()),
    ];
    let target = (from != to).then(|| to.clone());
    let staged = folder.stage(&lock, from, texts, files, target)?;
    folder.commit(&lock, staged)
}

fn create(folder: &AgentsFolder, path: &AgentPath) -> Result<()> {
    let lock = folder.lock()?;
    folder.finish(&lock, path)?;
    let config = AgentConfig {
        characteristics: "old".into(),
        recent_events: vec![event("old")],
        ..AgentConfig::default()
    };
    let texts = yaml::print(Some(1), &config, String::new());
    let files = vec![
        (MEMORY.to_owned(), texts.memory.into_bytes()),
        (AGENT.to_owned(), texts.agent.into_bytes()),
    ];
    let staged = folder.stage(&lock, path, Texts::default(), files, None)?;
    folder.commit(&lock, staged)
}

/// Returns a folder with one agent, `Ada`, whose files a person wrote.
fn with_ada() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write_ada(root.path());
    root
}

fn write_ada(root: &Path) {
    let ada = root.join("Ada");
    fs::create_dir(&ada).unwrap();
    fs::write(
        ada.join(AGENT),
        "# by hand\nid: 1\ncharacteristics: old # so far\n",
    )
    .unwrap();
    fs::write(
        ada.join(MEMORY),
        "# what happened\nrecent_events:\n- text: old # long ago\n",
    )
    .unwrap();
    fs::write(ada.join("profile.png"), "old").unwrap();
}
