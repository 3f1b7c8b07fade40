//! Copies agents from a folder of the Python server into the agents' folder, and back. Converts the
//! formats of the files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use domain::{Error, GroupDefaults, Result};
use interchange::{
    AgentBundle, GroupBundle, Report,
    python::{Source, SourceAgent, SourceGroup, Target},
};

use crate::wiring::{Addition, AgentExport, AgentImport};

/// Imports the agents in `from`. Existing agents and files are not overwritten.
///
/// Lists `from`, then calls `open` to open the agents' folder. Calls `progress` with the number of
/// finished agents and the number of all agents.
///
/// Fails if one of the folders cannot be opened. If a group or an agent cannot be read or written,
/// adds a line to the report and imports the others.
pub(super) fn import(
    from: &Path,
    open: impl FnOnce() -> Result<AgentImport>,
    report: &mut Report,
    mut progress: impl FnMut(usize, usize),
) -> Result<()> {
    let source = Source::open(from, report)?;
    let mut to = open()?;
    let (mut groups, mut left_out) = (BTreeMap::new(), BTreeSet::new());
    for group in source.groups() {
        match import_group(group, &mut to, report) {
            Ok(in_force) => drop(groups.insert(group.name.clone(), in_force)),
            Err(error) => {
                report.note(&group.path, format!("left out with its agents: {error}"));
                left_out.insert(group.name.clone());
            }
        }
    }
    let agents = source.agents();
    for (done, agent) in agents.iter().enumerate() {
        progress(done, agents.len());
        if agent
            .group
            .as_ref()
            .is_some_and(|group| left_out.contains(group))
        {
            // Without its group's defaults, the agent would have other settings.
            report.skip(&agent.path, "its group is left out");
            continue;
        }
        let defaults = agent.group.as_ref().and_then(|group| groups.get(group));
        let defaults = defaults.cloned().unwrap_or_default();
        if let Err(error) = import_agent(agent, &defaults, &mut to, report) {
            report.skip(&agent.path, error);
        }
    }
    progress(agents.len(), agents.len());
    Ok(())
}

/// Imports a group's files. Returns the defaults that the group's agents have afterwards, which may
/// be those of an existing group.
fn import_group(
    group: &SourceGroup,
    to: &mut AgentImport,
    report: &mut Report,
) -> Result<GroupDefaults> {
    let (addition, in_force) = to.add_group(&group.name, &group.defaults)?;
    if let Addition::Occupied { path } = addition {
        let note = format!("left out: {} exists and differs", path.display());
        report.note(&group.config_path(), note);
    }
    for (name, bytes) in group.read_files(report) {
        let path = group.path.join(&name);
        let added = to.add_group_file(&group.name, &name, &bytes);
        match added.unwrap_or_else(|error| {
            report.note(&path, format!("left out: {error}"));
            Addition::Unchanged
        }) {
            Addition::Added => report.note(
                &path,
                "kept unchanged in the group's folder; Greenroom does not use it",
            ),
            Addition::Occupied { path: other } => {
                let note = format!("left out: {} exists and differs", other.display());
                report.note(&path, note);
            }
            Addition::Unchanged | Addition::NameTaken { .. } => {}
        }
    }
    Ok(in_force)
}

fn import_agent(
    agent: &SourceAgent,
    defaults: &GroupDefaults,
    to: &mut AgentImport,
    report: &mut Report,
) -> Result<()> {
    let Some(bundle) = agent.read(defaults, report) else {
        return Ok(());
    };
    let group = bundle.group.as_ref();
    match to.add_agent(group, &bundle.name, &bundle.config, bundle.files)? {
        Addition::Added => report.written += 1,
        Addition::Unchanged => report.unchanged += 1,
        Addition::NameTaken { config_file } => {
            let reason = format!("{config_file} has this name already and differs");
            report.skip(&agent.path, reason);
        }
        Addition::Occupied { path } => {
            let reason = format!("{} exists, in a folder of no agent", path.display());
            report.skip(&agent.path, reason);
        }
    }
    Ok(())
}

/// Exports all agents in `from` into the folder `to`, which must be empty or missing.
///
/// Agents whose files are invalid are left out and reported. Calls `progress` with the number of
/// finished agents and the number of all agents.
pub(super) fn export(
    from: &Path,
    to: &Path,
    report: &mut Report,
    mut progress: impl FnMut(usize, usize),
) -> Result<()> {
    let target = Target::create(to)?;
    let source = AgentExport::open(from);
    let entries = source.agents()?;
    for (done, entry) in entries.iter().enumerate() {
        progress(done, entries.len());
        let agent = match source.read_agent(entry) {
            Ok(Some(agent)) => agent,
            // The agent was removed after it was listed.
            Ok(None) => continue,
            Err(Error::Invalid(reason)) => {
                report.skip(&entry.path, reason);
                continue;
            }
            Err(error) => return Err(error),
        };
        let bundle = AgentBundle {
            group: entry.group.clone(),
            name: entry.name.clone(),
            config: agent.config,
            files: agent.files,
        };
        target.write_agent(&bundle, &entry.path.join("memory.yaml"), report)?;
        for file in agent.unreadable {
            report.note(&entry.path.join(file), "left out: it cannot be read");
        }
        for setting in agent.own_settings {
            let note = format!(
                "left out: `{setting}`, which the format has for groups only, or not at all"
            );
            report.note(&entry.path.join("agent.yaml"), note);
        }
        for file in agent.commented {
            let note = "comments are left out (the file contains `# `)";
            report.note(&entry.path.join(file), note);
        }
        report.written += 1;
    }
    progress(entries.len(), entries.len());
    let mut groups: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| entry.group)
        .collect();
    groups.sort();
    groups.dedup();
    for name in groups {
        let group = source.read_group(&name)?;
        for file in &group.unreadable {
            report.note(
                &from.join(name.as_str()).join(file),
                "left out: it cannot be read",
            );
        }
        target.write_group(&GroupBundle {
            name,
            defaults: group.defaults,
            files: group.files,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
