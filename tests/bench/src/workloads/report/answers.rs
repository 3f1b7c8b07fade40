//! The tables and ratios of the answers: of their calls of the ports, and of the whole program.

use serde_json::json;

use super::mode_table::{ModeTable, hit_table, per_thousand, percent, percentiles, raw_by_mode};
use crate::{
    measure::{Rate, float, saved_events, saved_time},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
    },
    workloads::{
        cache_mode::ByMode, contexts::ContextResults, program::ProgramResults, results::ModeResults,
    },
};

/// Adds tables, ratios and raw figures to the section.
pub(super) fn add(backend: &str, results: &ByMode<ModeResults>, section: &mut Section) {
    let mut table = ModeTable::new(&format!("answers, {backend}"), results);
    add_context_rows(&mut table);
    add_program_rows(&mut table);
    section.tables.push(table.finish());
    section.tables.push(hit_table(
        &format!("hit rates of answers, {backend}"),
        results,
        |mode| &mode.program.hits,
    ));
    section.ratios.extend(context_ratios(backend, results));
    section.ratios.extend(program_ratios(backend, results));
    section.raw[format!("answers, {backend}")] = raw_by_mode(results, |mode| {
        json!({
            "contexts": mode.contexts.contexts.raw(),
            "appends": mode.contexts.appends.raw(),
            "program": {
                "answers": mode.program.answers,
                "selects": mode.program.count.selects,
                "other_statements": mode.program.count.other_statements,
                "file_reads": mode.program.count.file_reads,
                "us": mode.program.micros,
                "hits": mode.program.hits,
            },
        })
    });
}

fn add_context_rows(table: &mut ModeTable<'_>) {
    let mut row = |name: &str, cell: &dyn Fn(&ContextResults) -> String| {
        table.row(name, |mode| cell(&mode.contexts));
    };
    row("context reads, each followed by an answer", &|results| {
        results.contexts.len().to_string()
    });
    row("context reads without a statement", &|results| {
        percent(results.contexts.percent_without_statement())
    });
    row("SELECTs per 1,000 context reads", &|results| {
        per_thousand(results.contexts.selects())
    });
    row("file reads per 1,000 context reads", &|results| {
        per_thousand(results.contexts.file_reads())
    });
    row("SELECTs, file reads during warm-up", &|results| {
        let count = results.warm_up;
        format!("{}, {}", count.selects, count.file_reads)
    });
    row("SELECTs, file reads between operations", &|results| {
        let count = results.between_operations;
        format!("{}, {}", count.selects, count.file_reads)
    });
    row("context read at the port, µs: p50, p95, p99", &|results| {
        percentiles(&results.contexts)
    });
}

fn add_program_rows(table: &mut ModeTable<'_>) {
    let mut row = |name: &str, cell: &dyn Fn(&ProgramResults) -> String| {
        table.row(name, |mode| cell(&mode.program));
    };
    let per_answer =
        |program: &ProgramResults, events| format!("{:.2}", program.per_answer(events));
    row("program: answers", &|program| program.answers.to_string());
    row("program: SELECTs per answer", &|program| {
        per_answer(program, program.count.selects)
    });
    row("program: other statements per answer", &|program| {
        per_answer(program, program.count.other_statements)
    });
    row("program: file reads per answer", &|program| {
        per_answer(program, program.count.file_reads)
    });
    row("program: time per answer, µs", &|program| {
        format!("{:.0}", program.micros / float(program.answers))
    });
}

fn context_ratios(backend: &str, results: &ByMode<ModeResults>) -> [Ratio; 4] {
    let [uncached, cached] =
        [&results.uncached, &results.coherent].map(|mode| &mode.contexts.contexts);
    let ratio =
        |name: &str, estimate, goal| Ratio::new(format!("{backend}, {name}"), estimate, goal);
    [
        ratio(
            "context reads without a statement (%)",
            cached.estimate_without_statement(),
            Goal::AtLeast(95.0),
        ),
        ratio(
            "SELECTs saved by context reads (%)",
            saved_events(cached.selects(), uncached.selects()),
            Goal::AtLeast(98.0),
        ),
        ratio(
            "time saved by a context read at the port, median (%)",
            saved_time(&cached.micros, &uncached.micros),
            Goal::AtLeast(95.0),
        ),
        ratio(
            "file reads saved by context reads (%)",
            saved_events(cached.file_reads(), uncached.file_reads()),
            Goal::AtLeast(99.9),
        ),
    ]
}

fn program_ratios(backend: &str, results: &ByMode<ModeResults>) -> [Ratio; 2] {
    let (uncached, cached) = (&results.uncached.program, &results.coherent.program);
    let rate = |program: &ProgramResults, events| Rate {
        events,
        operations: program.answers,
    };
    [
        Ratio::new(
            format!("{backend}, SELECTs saved by the program's answers (%)"),
            saved_events(
                rate(cached, cached.count.selects),
                rate(uncached, uncached.count.selects),
            ),
            Goal::AtLeast(98.0),
        ),
        Ratio::new(
            format!("{backend}, file reads saved by the program's answers (%)"),
            saved_events(
                rate(cached, cached.count.file_reads),
                rate(uncached, uncached.count.file_reads),
            ),
            Goal::AtLeast(99.9),
        ),
    ]
}
