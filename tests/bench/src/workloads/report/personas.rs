//! The tables and ratios of the persona reads.

use serde_json::json;

use super::mode_table::{ModeTable, hit_table, per_thousand, percent, percentiles, raw_by_mode};
use crate::{
    measure::{saved_events, saved_time},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
    },
    workloads::{cache_mode::ByMode, personas::PersonaResults, results::ModeResults},
};

/// Adds tables, ratios and raw figures to the section.
pub(super) fn add(backend: &str, results: &ByMode<ModeResults>, section: &mut Section) {
    let mut table = ModeTable::new(&format!("persona reads, {backend}"), results);
    let mut row = |name: &str, cell: &dyn Fn(&PersonaResults) -> String| {
        table.row(name, |mode| cell(&mode.personas));
    };
    row("reads", &|personas| personas.reads.len().to_string());
    row("reads without a statement", &|personas| {
        percent(personas.reads.percent_without_statement())
    });
    row("SELECTs per 1,000 reads", &|personas| {
        per_thousand(personas.reads.selects())
    });
    row("file reads per 1,000 reads", &|personas| {
        per_thousand(personas.reads.file_reads())
    });
    row("SELECTs, file reads during warm-up", &|personas| {
        let count = personas.warm_up;
        format!("{}, {}", count.selects, count.file_reads)
    });
    row("read at the port, µs: p50, p95, p99", &|personas| {
        percentiles(&personas.reads)
    });
    section.tables.push(table.finish());
    section.tables.push(hit_table(
        &format!("hit rates of persona reads, {backend}"),
        results,
        |mode| &mode.personas.hits,
    ));
    section.ratios.extend(ratios(backend, results));
    section.raw[format!("persona reads, {backend}")] = raw_by_mode(
        results,
        |mode| json!({ "reads": mode.personas.reads.raw(), "hits": mode.personas.hits }),
    );
}

fn ratios(backend: &str, results: &ByMode<ModeResults>) -> [Ratio; 3] {
    let [uncached, cached] =
        [&results.uncached, &results.coherent].map(|mode| &mode.personas.reads);
    let ratio =
        |name: &str, estimate, goal| Ratio::new(format!("{backend}, {name}"), estimate, goal);
    [
        ratio(
            "SELECTs saved by persona reads (%)",
            saved_events(cached.selects(), uncached.selects()),
            Goal::AtLeast(98.0),
        ),
        ratio(
            "time saved by a persona read at the port, median (%)",
            saved_time(&cached.micros, &uncached.micros),
            Goal::AtLeast(95.0),
        ),
        ratio(
            "file reads saved by persona reads (%)",
            saved_events(cached.file_reads(), uncached.file_reads()),
            Goal::AtLeast(99.9),
        ),
    ]
}
