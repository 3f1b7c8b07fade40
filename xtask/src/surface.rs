//! The public items of the library crates, compared with the committed lists.
//!
//! A change of a public item may break a user of the crate, so it must be seen in a diff. The lists
//! are read from the JSON of rustdoc, which is an unstable format of a stable toolchain.

use std::{fs, path::PathBuf};

use public_api::Builder;

use crate::{
    package::package_of,
    steps::{Steps, target, top},
};

/// The crates whose users write code against them.
const LIBRARIES: [&str; 5] = [
    "domain",
    "contract",
    "cache-core",
    "cache-adapter",
    "yaml-in-place",
];

/// Fails if the public items of a library differ from the committed list. With `write`, replaces
/// the lists.
pub(crate) fn run(steps: &mut Steps, write: bool) -> Result<(), String> {
    let mut changed = Vec::new();
    for name in LIBRARIES {
        let items = items(steps, name)?;
        let path = list(name);
        if write {
            let folder = path.parent().ok_or("the list has a folder")?;
            fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            fs::write(&path, items).map_err(|error| format!("{}: {error}", path.display()))?;
            continue;
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        changed.extend(differences(name, &committed, &items));
    }
    if changed.is_empty() {
        return Ok(());
    }
    for line in &changed {
        eprintln!("{line}");
    }
    Err(format!(
        "{} public items differ from docs/api: describe the change in CHANGELOG.md, then run \
         `cargo xtask surface --write`",
        changed.len()
    ))
}

fn list(name: &str) -> PathBuf {
    top().join("docs/api").join(name).with_extension("txt")
}

/// Returns the public items of a crate, one in each line.
fn items(steps: &mut Steps, name: &str) -> Result<String, String> {
    // A folder of its own: with the variable, cargo compiles some dependencies anew.
    let folder = target().join("surface");
    let folder_text = folder.to_string_lossy().into_owned();
    steps.cargo_with(
        &format!("public items of {name}"),
        &[
            "rustdoc",
            "--quiet",
            "--lib",
            "--package",
            &package_of(name),
            "--target-dir",
            &folder_text,
            "--",
            "-Zunstable-options",
            "--output-format",
            "json",
        ],
        &[("RUSTC_BOOTSTRAP", "1")],
    )?;
    let json = folder.join("doc").join(name.replace('-', "_"));
    let api = Builder::from_rustdoc_json(json.with_extension("json"))
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    api.map(|api| api.to_string())
        .map_err(|error| format!("the public items of {name} cannot be read: {error}"))
}

/// Returns a line for each item that only one of the lists has.
fn differences(name: &str, committed: &str, items: &str) -> Vec<String> {
    let only_in = |list: &str, other: &str, sign: char| {
        let other: Vec<_> = other.lines().collect();
        let lines = list.lines().filter(|line| !other.contains(line));
        let lines = lines.map(|line| format!("{name}: {sign} {line}"));
        lines.collect::<Vec<_>>()
    };
    let mut lines = only_in(committed, items, '-');
    lines.extend(only_in(items, committed, '+'));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_were_added_or_removed_are_listed() {
        let lines = differences(
            "a",
            "pub fn one()\npub fn two()\n",
            "pub fn two()\npub fn six()\n",
        );
        assert_eq!(lines, ["a: - pub fn one()", "a: + pub fn six()"]);
    }
}
