//! The report section of the benchmark `configs`.

use serde_json::json;

use super::{
    figures::{ANSWERS, EDITS, Figures},
    process_start,
};
use crate::{
    counter::Count,
    measure::{Estimate, Rate, ratios, saved_events},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
};

/// Creates the section from the measured figures.
pub(super) fn section(figures: &Figures) -> Section {
    let [cached, bypassing] = [&figures.cached_micros, &figures.bypassing_micros]
        .map(|rounds| Estimate::from_rounds(rounds).median);
    let rate = |count: Count| Rate {
        events: count.file_reads,
        operations: ANSWERS,
    };
    let saving = saved_events(rate(figures.cached_answers), rate(figures.uncached_answers));
    let mut table = Table::new([
        &format!("a persona with {} bytes of files", figures.persona_bytes),
        "value",
    ]);
    let mut row = |name: String, value: String| table.row([name, value]);
    row("cached read".into(), format!("{cached:.3} µs"));
    row(
        "bypassing read: a SELECT, then reading and parsing the files".into(),
        format!(
            "{bypassing:.1} µs, {:.0} times the cached read",
            bypassing / cached
        ),
    );
    row(
        format!(
            "file reads for {ANSWERS} answers with {} edits, uncached",
            EDITS.len()
        ),
        figures.uncached_answers.file_reads.to_string(),
    );
    row(
        format!(
            "file reads for the same answers, cached and warm, within {:.1} s",
            figures.cached_answers_seconds
        ),
        format!(
            "{}, {:.2} % fewer",
            figures.cached_answers.file_reads, saving.median
        ),
    );
    row(
        "reads of the probe meanwhile, for hashes of files younger than two seconds".into(),
        figures.cached_answers.file_hashes.to_string(),
    );
    row(
        format!(
            "process that starts and reads {} agents, empty database",
            process_start::AGENTS
        ),
        format!("{:.2} s", figures.start.empty_database),
    );
    row(
        format!(
            "process that starts and reads {} agents, agents in the database",
            process_start::AGENTS
        ),
        format!("{:.2} s", figures.start.known_agents),
    );
    Section {
        tables: vec![table],
        ratios: vec![
            Ratio::new(
                "file reads saved for answers with edits (%)",
                saving,
                Goal::AtLeast(99.9),
            ),
            Ratio::new(
                "time of a bypassing persona read relative to a cached read",
                Estimate::from_rounds(&ratios(&figures.bypassing_micros, &figures.cached_micros)),
                Goal::More,
            ),
        ],
        raw: json!({
            "cached_us": figures.cached_micros,
            "bypassing_us": figures.bypassing_micros,
            "file_reads_uncached": figures.uncached_answers.file_reads,
            "file_reads_cached": figures.cached_answers.file_reads,
            "file_hashes": figures.cached_answers.file_hashes,
            "start_seconds": {
                "empty_database": figures.start.empty_database,
                "known_agents": figures.start.known_agents,
            },
        }),
        ..Section::default()
    }
}
