//! Renders `docs/conformance.md` from the results of a run.

use std::fmt::Write as _;

use crate::{
    peers::{COLUMNS, Column},
    scenarios::SCENARIOS,
    table::Table,
};

/// The page that the program writes.
pub const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/conformance.md");

/// The workspace's lock file, which contains the versions of the caches.
const LOCK: &str = include_str!("../../../Cargo.lock");

const HEAD: &str = "\
# Conformance

This page shows how Greenroom's region and other caches behave in the same scenarios. `cargo xtask
conformance` writes it; `cargo test -p conformance` compares its verdicts with a fresh run.

Each cache is used as its own documentation recommends for read-through with invalidation. The
scenarios test what Greenroom guarantees: *no read that starts after an acknowledged write returns
an older value*, and no waiting reader is left without an answer. Most of these caches guarantee
less, for good reasons. A fail means that the case is left to the user, not that the cache breaks a
promise.

Gates hold a load or a write at the point that matters, so the outcome does not depend on timing. A
call that does not return within half a second counts as unanswered. *n/a*: the cache has no such
operation. The scenarios are in [scenarios.rs](../tests/conformance/src/scenarios.rs), the adapters
in [peers](../tests/conformance/src/peers). Please report a cache that its authors would use
otherwise.

Go on with [correctness.md](correctness.md) for how the guarantees are checked.
";

/// Returns the text of the page for the results in `table`.
pub fn render(table: &Table) -> String {
    let mut page = format!("{HEAD}\n");
    for line in verdicts(table) {
        push_line(&mut page, &line);
    }
    page.push_str("\n## Caches\n\n");
    push_line(&mut page, "| cache | version | used here | adapter |");
    push_line(&mut page, "|---|---|---|---|");
    for column in &COLUMNS {
        let Column {
            name,
            documentation,
            used,
            adapter,
            ..
        } = column;
        let version = version(column);
        push_line(
            &mut page,
            &format!(
                "| [{name}]({documentation}) | {version} | {used} | \
                 [{adapter}](../tests/conformance/src/peers/{adapter}) |"
            ),
        );
    }
    page.push_str("\n## Scenarios\n");
    for (row, scenario) in SCENARIOS.iter().enumerate() {
        let (name, story, expectation) = (scenario.name, scenario.story, scenario.expectation);
        push_line(
            &mut page,
            &format!(
                "\n### {}{}\n\n{story} **{expectation}**\n",
                name[..1].to_uppercase(),
                &name[1..]
            ),
        );
        push_line(&mut page, "| cache | verdict | observed |");
        push_line(&mut page, "|---|---|---|");
        for (column, cells) in COLUMNS.iter().zip(&table.0) {
            push_line(
                &mut page,
                &format!(
                    "| {} {} | {} | {} |",
                    column.name,
                    version(column),
                    cells[row].verdict,
                    cells[row].values
                ),
            );
        }
    }
    page
}

/// Returns the lines of the Markdown table of verdicts.
pub fn verdicts(table: &Table) -> Vec<String> {
    let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    let mut lines = vec![
        format!("| scenario | {} |", names.join(" | ")),
        format!("|---|{}", "---|".repeat(COLUMNS.len())),
    ];
    for (row, scenario) in SCENARIOS.iter().enumerate() {
        let cells: Vec<_> = table
            .0
            .iter()
            .map(|cells| cells[row].verdict.to_string())
            .collect();
        lines.push(format!("| {} | {} |", scenario.name, cells.join(" | ")));
    }
    lines
}

/// Returns the version of a cache from the lock file, for the page.
pub fn version(column: &Column) -> String {
    let Column {
        name,
        package: Some(package),
        ..
    } = column
    else {
        return format!("std {}", env!("CARGO_PKG_RUST_VERSION"));
    };
    let head = format!("name = \"{package}\"\nversion = \"");
    let mut found = LOCK
        .split(head.as_str())
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    match (found.next(), found.next()) {
        (Some(version), None) => version.to_owned(),
        (None, _) => panic!("{name} is not in Cargo.lock"),
        (Some(_), Some(_)) => panic!("Cargo.lock has two versions of {name}"),
    }
}

fn push_line(page: &mut String, line: &str) {
    writeln!(page, "{line}").expect("writing to a string cannot fail");
}
