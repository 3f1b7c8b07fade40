//! From our layout into the Python server's.

use std::{fs, path::Path, sync::Arc};

use domain::Result;

use super::{
    CHARACTERISTICS, EVENTS, GROUP_CONFIG, GROUP_PREFIX, MEMORIES, NUTSHELL, Report, entries,
    failed, group_values, markdown,
};
use crate::{
    agent_files::{disk::RealDisk, folder::AgentsFolder as Folder, path::AgentPath as Place},
    yaml::{self, AGENT, GROUP, MEMORY},
};

/// Writes the agents of the folder `from` into `to`, which must be empty or not there. `progress` is told how many of how
/// many are done.
pub fn export(from: &Path, to: &Path, mut progress: impl FnMut(usize, usize)) -> Result<Report> {
    fs::create_dir_all(to).map_err(failed(to))?;
    if !entries(to)?.is_empty() {
        return Err(domain::Error::Conflict(format!(
            "{} is not empty: nothing is overwritten",
            to.display()
        )));
    }
    let folder = Folder::new(from, Arc::new(RealDisk));
    let mut report = Report::default();
    let places = folder.list()?;
    for (done, place) in places.iter().enumerate() {
        progress(done, places.len());
        let target = match &place.group {
            Some(group) => to
                .join(format!("{GROUP_PREFIX}{group}"))
                .join(place.name.as_str()),
            None => to.join(place.name.as_str()),
        };
        agent(&folder, place, &target, &mut report)?;
    }
    progress(places.len(), places.len());
    let mut groups: Vec<_> = places
        .iter()
        .filter_map(|place| place.group.clone())
        .collect();
    groups.sort();
    groups.dedup();
    for group in groups {
        let target = to.join(format!("{GROUP_PREFIX}{group}"));
        for (file, is_folder) in entries(&from.join(group.as_str()))? {
            let source = from.join(group.as_str()).join(&file);
            if is_folder || file.starts_with('.') {
                continue;
            }
            let name = if file == GROUP { GROUP_CONFIG } else { &file };
            let bytes = fs::read(&source).map_err(failed(&source))?;
            let bytes = if file == GROUP {
                group_values(&String::from_utf8_lossy(&bytes)).into_bytes()
            } else {
                bytes
            };
            put(&target, name, &bytes)?;
        }
    }
    Ok(report)
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, bytes))
        .map_err(failed(&path))
}

fn agent(folder: &Folder, place: &Place, target: &Path, report: &mut Report) -> Result<()> {
    let at = folder.root().join(place.folder());
    let Some(texts) = folder.texts(place)? else {
        return Ok(());
    };
    let config = match yaml::parse(&texts) {
        Ok(persona) => persona.config,
        Err(why) => {
            report.skipped += 1;
            report.tell(&at, format!("left out: {why}"));
            return Ok(());
        }
    };
    let (events, memories) = (
        markdown::print_events(&config.recent_events),
        markdown::print_memories(&config.long_term_memories),
    );
    if markdown::events(&events) != config.recent_events {
        report.tell(&at.join(MEMORY), "recent events have blank lines, or lines like events, in them: they read back differently");
    }
    if markdown::memories(&memories) != config.long_term_memories {
        report.tell(
            &at.join(MEMORY),
            "long-term memories have blank lines around them, or lines like headers in them: they read back differently",
        );
    }
    put(target, NUTSHELL, config.in_a_nutshell.as_bytes())?;
    put(target, CHARACTERISTICS, config.characteristics.as_bytes())?;
    if !config.recent_events.is_empty() {
        put(target, EVENTS, events.as_bytes())?;
    }
    if !config.long_term_memories.is_empty() {
        put(target, MEMORIES[0], memories.as_bytes())?;
    }
    // What its own file says besides has no place there.
    for field in [
        "is_critic",
        "interrupt_every_turn",
        "priority",
        "transparent",
    ] {
        if yaml::says(&texts.agent, field) {
            report.tell(
                &at.join(AGENT),
                format!("left out: {field}, which that layout knows of groups alone or not at all"),
            );
        }
    }
    for text in [(AGENT, &texts.agent), (MEMORY, &texts.memory)] {
        let is_comment =
            |line: &&str| line.contains("# ") && !line.starts_with("# yaml-language-server");
        if text.1.lines().any(|line| is_comment(&line)) {
            report.tell(
                &at.join(text.0),
                "comments, if that is what stands behind a #, are left out",
            );
        }
    }
    for (file, is_folder) in entries(&at)? {
        if is_folder || file.starts_with('.') || file == AGENT || file == MEMORY {
            continue;
        }
        let source = at.join(&file);
        put(target, &file, &fs::read(&source).map_err(failed(&source))?)?;
    }
    report.written += 1;
    Ok(())
}
