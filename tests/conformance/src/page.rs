//! The page: `docs/conformance.md`, wholly made from a run.

use std::fmt::Write as _;

use crate::{
    peers::{COLUMNS, Column},
    scenarios::SCENARIOS,
    table::Table,
};

/// The workspace's lock file, in which the versions stand.
const LOCK: &str = include_str!("../../../Cargo.lock");

const HEAD: &str = "\
# Conformance

Made by `cargo xtask conformance`, which writes this page anew; `cargo test -p conformance` compares its verdicts with a
fresh run.

The same scenarios run against Greenroom's region and against other caches, each used as its own documentation recommends
for read-through with invalidation. What is asked is what Greenroom promises: *no read that starts after an acknowledged
write returns anything older*, and nobody who waits is left without an answer. Most of these caches promise less, for good
reasons of their own; a fail says that the case is left to the user, not that the cache breaks its word.

Gates hold a load or a write at the point that matters, so the outcome does not depend on timing. What does not answer within
half a second counts as not answering. *n/a*: the cache has no operation for it. The scenarios are
[scenarios.rs](../tests/conformance/src/scenarios.rs), the caches' adapters lie in
[peers](../tests/conformance/src/peers). If a cache is used here in another way than its authors would, please say so.
";

/// The whole page.
pub(crate) fn render(table: &Table) -> String {
    let mut page = format!("{HEAD}\n");
    for line in verdicts(table) {
        line_of(&mut page, &line);
    }
    page.push_str("\n## Caches\n\n");
    line_of(&mut page, "| cache | version | used here | adapter |");
    line_of(&mut page, "|---|---|---|---|");
    for column in &COLUMNS {
        let Column {
            name,
            documentation,
            used,
            adapter,
            ..
        } = column;
        let version = version(column);
        line_of(
            &mut page,
            &format!(
                "| [{name}]({documentation}) | {version} | {used} | [{adapter}](../tests/conformance/src/peers/{adapter}) |"
            ),
        );
    }
    page.push_str("\n## Scenarios\n");
    for (row, scenario) in SCENARIOS.iter().enumerate() {
        let (name, happens, must) = (scenario.name, scenario.happens, scenario.must);
        line_of(
            &mut page,
            &format!(
                "\n### {}{}\n\n{happens} **{must}**\n",
                name[..1].to_uppercase(),
                &name[1..]
            ),
        );
        line_of(&mut page, "| cache | verdict | observed |");
        line_of(&mut page, "|---|---|---|");
        for (column, cells) in COLUMNS.iter().zip(&table.0) {
            line_of(
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

/// The table of verdicts, line by line.
pub(crate) fn verdicts(table: &Table) -> Vec<String> {
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

/// The version that the lock file names.
pub(crate) fn version(column: &Column) -> String {
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
        (None, _) => panic!("{name} is not in the lock file"),
        (Some(_), Some(_)) => panic!("the lock file has two versions of {name}"),
    }
}

fn line_of(page: &mut String, line: &str) {
    writeln!(page, "{line}").expect("a string takes everything");
}
