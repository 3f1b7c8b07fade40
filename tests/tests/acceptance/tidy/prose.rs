//! Rules for the project's English that a test can check: line width, the first words of doc
//! comments, and vague names.

use std::collections::BTreeMap;

use super::tree::{pages, read, rust_files, shown};

/// The maximum width of a line, as in `rustfmt.toml`.
const MAX_COLUMNS: usize = 100;

/// First words that a doc comment must not have, because the sentences after them are hard to
/// understand. A function's comment begins with a verb, a type's with a noun phrase.
const BAD_BEGINNINGS: [&str; 8] = [
    "The same", "Who", "Whoever", "Whose", "What", "Whether", "That", "Nobody",
];

/// Type names that do not describe the type. Each may be defined only once in the sources, so that
/// it has one meaning.
const VAGUE_TYPES: [&str; 8] = [
    "Answer", "Fault", "Progress", "Shared", "State", "Stage", "Known", "Message",
];

/// Names of variables that are prepositions. A variable's name is a noun.
const PREPOSITIONS: [&str; 3] = ["of", "behind", "by"];

/// Generated pages, whose lines are not wrapped.
const GENERATED_PAGES: [&str; 2] = ["docs/benchmarks.md", "docs/conformance.md"];

#[test]
fn lines_of_code_have_at_most_100_columns() {
    let mut wide = Vec::new();
    for file in rust_files() {
        for (number, line) in (1..).zip(read(&file).lines()) {
            // A URL cannot be wrapped.
            if line.chars().count() > MAX_COLUMNS && !line.contains("://") {
                wide.push(format!("{}:{number}", shown(&file)));
            }
        }
    }
    report(&wide, "lines are wider than 100 columns");
}

#[test]
fn lines_of_pages_have_at_most_100_columns() {
    let mut wide = Vec::new();
    for file in pages() {
        if GENERATED_PAGES.contains(&shown(&file).as_str()) {
            continue;
        }
        let mut is_fenced = false;
        for (number, line) in (1..).zip(read(&file).lines()) {
            is_fenced ^= line.trim_start().starts_with("```");
            // Tables, shell commands and URLs cannot be wrapped.
            let is_fixed = is_fenced || line.trim_start().starts_with('|') || line.contains("://");
            if line.chars().count() > MAX_COLUMNS && !is_fixed {
                wide.push(format!("{}:{number}", shown(&file)));
            }
        }
    }
    report(&wide, "lines are wider than 100 columns");
}

#[test]
fn doc_comments_begin_with_a_verb_or_a_noun() {
    let mut bad = Vec::new();
    for file in rust_files() {
        let source = read(&file);
        let mut previous = None;
        for (number, line) in (1..).zip(source.lines()) {
            let comment = doc_comment(line);
            if let (None, Some(text)) = (previous, comment)
                && begins_badly(text)
            {
                bad.push(format!("{}:{number}: {text}", shown(&file)));
            }
            previous = comment;
        }
    }
    report(
        &bad,
        "doc comments begin with a noun clause; begin with a verb (\"Returns …\") or a noun phrase",
    );
}

#[test]
fn a_doc_comment_that_begins_with_a_noun_clause_is_found() {
    assert_eq!(
        doc_comment("    /// The same for a write."),
        Some("The same for a write.")
    );
    assert_eq!(doc_comment("    // The same."), None);
    assert!(begins_badly("The same for a write."));
    assert!(begins_badly("Whether it is open."));
    assert!(!begins_badly("Whatsoever"));
    assert!(!begins_badly("Returns what was stored."));
}

#[test]
fn a_vague_type_name_has_one_meaning() {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in rust_files() {
        // Tests are skipped: without the feature `faults`, a test defines a type with the name of
        // the real one.
        if shown(&file).contains("/tests/") {
            continue;
        }
        for (number, line) in (1..).zip(read(&file).lines()) {
            let defined = defined_type(line);
            let name = VAGUE_TYPES.iter().find(|name| defined == Some(**name));
            if let Some(name) = name {
                let place = format!("{}:{number}", shown(&file));
                places.entry(name).or_default().push(place);
            }
        }
    }
    let doubled: Vec<_> = places
        .iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    report(&doubled, "type names have several meanings");
}

#[test]
fn variables_are_not_called_by_prepositions() {
    let mut found = Vec::new();
    for file in rust_files() {
        // This file contains examples of such variables.
        if shown(&file).ends_with("tidy/prose.rs") {
            continue;
        }
        for (number, line) in (1..).zip(read(&file).lines()) {
            for name in PREPOSITIONS {
                if binds(line, name) {
                    found.push(format!("{}:{number}: {}", shown(&file), line.trim()));
                }
            }
        }
    }
    report(
        &found,
        "variables are called by prepositions; call them by nouns",
    );
}

#[test]
fn a_variable_called_by_a_preposition_is_found() {
    assert!(binds("let of = &self.regions;", "of"));
    assert!(binds("items.map(|of| of.id)", "of"));
    assert!(binds("items.map(|(of, id)| of.get(id))", "of"));
    assert!(binds("fn add(&self, by: u64) {}", "by"));
    assert!(!binds("/// One of them", "of"));
    assert!(!binds("let offset = 1;", "of"));
    assert!(!binds("self.sort_by(|a, b| a.cmp(b))", "by"));
}

/// Returns the text of a line of a doc comment.
fn doc_comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"))
        .map(str::trim)
}

fn begins_badly(text: &str) -> bool {
    BAD_BEGINNINGS.iter().any(|beginning| {
        text.strip_prefix(beginning)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
    })
}

/// Returns the name of the type that a line defines; `None` for an associated type of an `impl`.
fn defined_type(line: &str) -> Option<&str> {
    let words: Vec<_> = line
        .split_whitespace()
        .skip_while(|word| word.starts_with("pub"))
        .collect();
    let is_alias_in_impl = words.first() == Some(&"type") && line.starts_with(' ');
    let keyword = ["struct", "enum", "trait", "type", "union"];
    if is_alias_in_impl || !keyword.contains(words.first()?) {
        return None;
    }
    words
        .get(1)?
        .split(|letter: char| !letter.is_alphanumeric())
        .next()
}

/// Returns `true` if a line binds a variable or a parameter of this name.
fn binds(line: &str, name: &str) -> bool {
    let code = super::tree::code(line);
    let is_name = |at: usize| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        let is_part = |letter: Option<char>| {
            letter.is_some_and(|letter| letter.is_alphanumeric() || "_.\"'#".contains(letter))
        };
        !is_part(before) && !is_part(after)
    };
    code.match_indices(name).any(|(at, _)| {
        if !is_name(at) {
            return false;
        }
        let before = code[..at].trim_end();
        let after = code[at + name.len()..].trim_start();
        let is_let = before.ends_with("let") || before.ends_with("let mut");
        let is_parameter = (before.ends_with('(') || before.ends_with(','))
            && after.starts_with(':')
            && !after.starts_with("::");
        let is_closure = (before.ends_with('|') || before.ends_with("|(")) && {
            after.starts_with('|') || after.starts_with(',') || after.starts_with(':')
        };
        is_let || is_parameter || is_closure
    })
}

fn report(found: &[String], what: &str) {
    let shown = found
        .iter()
        .take(40)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n  ");
    assert!(found.is_empty(), "{} {what}:\n  {shown}", found.len());
}
