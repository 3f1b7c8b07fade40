//! Checks that every public function of the library crates has an example, if it takes arguments
//! and returns a value.

use super::tree::{above_tests, crates, files, read, shown};

/// The crates whose documentation is published for users.
const LIBRARIES: [&str; 7] = [
    "cache-adapter",
    "cache-core",
    "contract",
    "domain",
    "interchange",
    "persistence",
    "responders",
];

/// The functions that need no example, with the reason. `*` stands for all functions of a file.
#[rustfmt::skip] // One row a line.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("cache-adapter/src/leases.rs", "holds_agents", "the example of `lease_agents` calls it"),
    ("cache-adapter/src/leases.rs", "holds_room", "the example of `lease_room` calls it"),
    ("cache-core/src/manager/builder.rs", "*", "the crate's front page builds managers"),
    ("cache-core/src/manager/regions.rs", "*", "the examples of the types that they return"),
    ("cache-core/src/protocol/creates.rs", "*", "public to the models only"),
    ("cache-core/src/protocol/log.rs", "*", "public to the models only"),
    ("cache-core/src/protocol/progress.rs", "*", "public to the models only"),
    ("cache-core/src/region/entry.rs", "*", "the example of `Entry` calls them"),
    ("cache-core/src/region/policy.rs", "*", "the example of `Policy` calls them"),
    ("cache-core/src/region/request.rs", "*", "the example of `Request` calls them"),
    ("cache-core/src/region/ticket.rs", "*", "the example of `Ticket` calls them"),
    ("cache-core/src/region/lease.rs", "*", "the example of `Lease` calls them"),
    ("cache-core/src/region/mod.rs", "look_up", "the example of `Region` shows reads"),
    ("cache-core/src/region/mod.rs", "listen", "the example of `Listener` calls it"),
    ("cache-core/src/tail/mod.rs", "*", "the example of `TailRegion` calls them"),
    ("cache-core/src/write/guard.rs", "*", "the example of `WriteGuard` calls them"),
    ("cache-core/src/write/run.rs", "*", "the example of `WriteGuard` calls it"),
    ("contract/src/decorate.rs", "decorate", "the example of `Around` calls it"),
    ("contract/src/files.rs", "check_files", "the example of `EditFiles` calls it"),
    ("contract/src/planted/edited_files.rs", "with", "the example of `EditedMemory` calls it"),
    ("contract/src/planted/place.rs", "new", "the example of `FaultyPlace` calls it"),
    ("contract/src/reopen.rs", "check_reopening", "the example of `Reopen` calls it"),
    ("contract/src/changes.rs", "check_changes", "the example of `Share` calls it"),
    ("contract/src/planted/changes.rs", "new", "the example of `FaultyChanges` calls it"),
    ("domain/src/ports/agent_files.rs", "new", "the example of `NoFiles` calls it"),
    ("interchange/src/python/source.rs", "*", "the example of `Source` calls them"),
    ("interchange/src/python/target.rs", "*", "the example of `Target` calls it"),
    ("persistence/src/offline/backup/mod.rs", "write", "the example of `Backup` calls it"),
    ("persistence/src/offline/backup/restore.rs", "*", "the example of `Backup` calls it"),
    ("persistence/src/offline/export.rs", "*", "the example of `AgentImport` calls them"),
    ("persistence/src/offline/import.rs", "*", "the example of `AgentImport` calls them"),
];

#[test]
fn public_functions_show_an_example() {
    let mut missing = Vec::new();
    let mut excepted = Vec::new();
    for library in LIBRARIES {
        let folder = crates().join(library).join("src");
        for file in files(&folder, "rs") {
            for name in without_example(&read(&file)) {
                let file = shown(&file);
                let exception = EXCEPTIONS.iter().find(|(path, function, _)| {
                    file.ends_with(path) && ["*", &name].contains(function)
                });
                match exception {
                    Some(exception) => excepted.push(exception),
                    None => missing.push(format!("{file}: {name}")),
                }
            }
        }
    }
    assert!(
        missing.is_empty(),
        "{} public functions show no example: {missing:#?}",
        missing.len()
    );
    let stale: Vec<_> = EXCEPTIONS
        .iter()
        .filter(|exception| !excepted.contains(exception))
        .collect();
    assert!(
        stale.is_empty(),
        "exceptions that are not needed: {stale:#?}"
    );
}

#[test]
fn a_function_without_an_example_is_found() {
    let source = "
        /// Returns the room.
        ///
        /// ```
        /// ```
        pub fn shown(id: u64) -> u64 { id }
        /// Returns the room.
        #[must_use]
        pub async fn hidden(
            id: u64,
        ) -> u64 { id }
        /// Returns the id.
        pub fn id(&self) -> u64 { 0 }
        /// Removes it.
        pub fn remove(id: u64) {}
        pub(crate) fn inner(id: u64) -> u64 { id }
    ";
    assert_eq!(without_example(source), ["hidden"]);
}

/// Returns the names of the public functions in `source` that take arguments, return a value, and
/// have no example.
fn without_example(source: &str) -> Vec<String> {
    let lines: Vec<_> = above_tests(source).collect();
    let mut names = Vec::new();
    let mut has_example = false;
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim();
        if line.starts_with("///") {
            has_example |= line.contains("```");
        } else if line.starts_with("#[") || line.starts_with(")]") {
            // Attributes may follow the doc comment of a function.
        } else {
            let name = public_function(line);
            if let Some(name) = name
                && !has_example
                && takes_and_returns(&signature(&lines[at..]))
            {
                names.push(name.to_owned());
            }
            has_example = false;
        }
    }
    names
}

/// Returns the name of a public function if the line begins its definition.
fn public_function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ")?;
    let rest = ["const ", "async "]
        .iter()
        .fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    let name = rest.strip_prefix("fn ")?;
    name.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .next()
}

/// Returns the signature of the function that begins at the first line, up to its body.
fn signature(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let end = line.find(['{', ';']);
        text.push_str(&line[..end.unwrap_or(line.len())]);
        text.push(' ');
        if end.is_some() {
            break;
        }
    }
    text
}

/// Returns `true` if a signature has a parameter other than `self`, and a result.
fn takes_and_returns(signature: &str) -> bool {
    let Some(open) = parameters_start(signature) else {
        return false;
    };
    let mut depth = 0;
    let Some(close) = signature[open..].char_indices().find_map(|(at, letter)| {
        depth += match letter {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        (depth == 0).then_some(open + at)
    }) else {
        return false;
    };
    let parameters = signature[open + 1..close].trim();
    let besides_self = parameters
        .split(',')
        .map(str::trim)
        .filter(|parameter| !parameter.is_empty())
        .any(|parameter| !["self", "&self", "mut self", "&mut self"].contains(&parameter));
    besides_self && signature[close..].contains("->")
}

/// Returns the position of the parenthesis that opens the parameters, after the generics.
fn parameters_start(signature: &str) -> Option<usize> {
    let mut depth = 0_i32;
    let mut previous = ' ';
    for (at, letter) in signature.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if previous != '-' => depth -= 1,
            '(' if depth == 0 && !signature[..at].trim_end().ends_with("pub") => return Some(at),
            _ => {}
        }
        previous = letter;
    }
    None
}
