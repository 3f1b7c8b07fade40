//! Reading of the settings of a group.

use std::path::Path;

use domain::GroupDefaults;

use crate::{
    files::{decode, read},
    report::Report,
};

/// Reads a group's settings. If the file cannot be read, adds a line to the report and returns no
/// settings.
pub(super) fn read_group_config(path: &Path, report: &mut Report) -> GroupDefaults {
    let text = match read(path) {
        Ok(bytes) => decode(&bytes)
            .ok_or_else(|| "neither UTF-8 nor UTF-16 with a byte order mark".to_owned()),
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
