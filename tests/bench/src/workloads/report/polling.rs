//! The tables and ratios of the polling workload.

use serde_json::json;

use super::mode_table::{ModeTable, hit_table, per_thousand, percent, percentiles, raw_by_mode};
use crate::{
    measure::{Rate, float, saved_events, saved_time},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
    },
    workloads::{cache_mode::ByMode, polling::PollingResults, results::ModeResults},
};

/// Adds tables, ratios and raw figures to the section.
pub(super) fn add(backend: &str, results: &ByMode<ModeResults>, section: &mut Section) {
    add_tables(backend, results, section);
    section.ratios.extend(ratios(backend, results));
    section.raw[format!("polling, {backend}")] = raw_by_mode(results, |mode| {
        json!({
            "polls": mode.polling.polls.raw(),
            "chatting_agents": mode.polling.chatting_agents.raw(),
            "writes": mode.polling.writes.raw(),
            "polls_over_http": mode.http_polling.polls.raw(),
            "hits": mode.polling.hits,
        })
    });
}

/// Returns the number of SELECTs per poll. The SELECTs of polls and of requests of the chatting
/// agents count.
fn selects(polling: &PollingResults) -> Rate {
    polling.polls.rate(polling.reads().selects)
}

/// Returns the number of file reads per poll. The file reads of all operations count, also those of
/// writes.
fn file_reads(polling: &PollingResults) -> Rate {
    polling.polls.rate(polling.all().file_reads)
}

fn add_tables(backend: &str, results: &ByMode<ModeResults>, section: &mut Section) {
    let mut table = ModeTable::new(&format!("polling, {backend}"), results);
    let mut row = |name: &str, cell: &dyn Fn(&PollingResults) -> String| {
        table.row(name, |mode| cell(&mode.polling));
    };
    row("simulated seconds", &|polling| polling.seconds.to_string());
    row("polls, chatting-agents requests", &|polling| {
        format!("{}, {}", polling.polls.len(), polling.chatting_agents.len())
    });
    row("polls without a statement", &|polling| {
        percent(polling.polls.percent_without_statement())
    });
    row("chatting-agents requests without a statement", &|polling| {
        percent(polling.chatting_agents.percent_without_statement())
    });
    row("SELECTs per 1,000 polls", &|polling| {
        per_thousand(selects(polling))
    });
    row("statements per write", &|polling| {
        let count = polling.writes.count;
        let statements = count.selects + count.other_statements;
        format!("{:.2}", float(statements) / float(polling.writes.len()))
    });
    row("file reads per 1,000 polls", &|polling| {
        per_thousand(file_reads(polling))
    });
    row("SELECTs, file reads during warm-up", &|polling| {
        let count = polling.warm_up;
        format!("{}, {}", count.selects, count.file_reads)
    });
    row("SELECTs, file reads between operations", &|polling| {
        let count = polling.between_operations;
        format!("{}, {}", count.selects, count.file_reads)
    });
    row("poll at the port, µs: p50, p95, p99", &|polling| {
        percentiles(&polling.polls)
    });
    table.row("poll over HTTP, µs: p50, p95, p99", |mode| {
        percentiles(&mode.http_polling.polls)
    });
    section.tables.push(table.finish());
    section.tables.push(hit_table(
        &format!("hit rates of polling, {backend}"),
        results,
        |mode| &mode.polling.hits,
    ));
}

fn ratios(backend: &str, results: &ByMode<ModeResults>) -> [Ratio; 5] {
    let (uncached, cached) = (&results.uncached.polling, &results.coherent.polling);
    let ratio =
        |name: &str, estimate, goal| Ratio::new(format!("{backend}, {name}"), estimate, goal);
    [
        ratio(
            "polls without a statement (%)",
            cached.polls.estimate_without_statement(),
            Goal::AtLeast(99.0),
        ),
        ratio(
            "SELECTs saved while polling (%)",
            saved_events(selects(cached), selects(uncached)),
            Goal::AtLeast(98.0),
        ),
        ratio(
            "time saved by a poll at the port, median (%)",
            saved_time(&cached.polls.micros, &uncached.polls.micros),
            Goal::AtLeast(95.0),
        ),
        ratio(
            "file reads saved while polling (%)",
            saved_events(file_reads(cached), file_reads(uncached)),
            Goal::AtLeast(99.9),
        ),
        ratio(
            "polls without a statement, default TTLs (%)",
            results.classic.polling.polls.estimate_without_statement(),
            Goal::More,
        ),
    ]
}
