//! The plot of the median times, which contains the bars of both backends.

use crate::{
    report::{
        plot::{Bar, BarColor, Figures, Plot},
        section::Section,
    },
    workloads::{
        cache_mode::{ByMode, CacheMode},
        operations::MeasuredOperations,
        results::ModeResults,
    },
};

/// Adds the bars of one backend to the plot. The call for the first backend creates the plot.
pub(super) fn add(backend: &str, results: &ByMode<ModeResults>, section: &mut Section) {
    let bars = |operation: &str, measured: fn(&ModeResults) -> &MeasuredOperations| {
        results.entries().map(|(mode, results)| Bar {
            name: format!("{operation}, {backend}, {}", mode.name().replace('`', "")),
            value: measured(results).percentiles()[0],
            color: match mode {
                CacheMode::Uncached => BarColor::Other,
                CacheMode::Cached(_) => BarColor::Greenroom,
            },
        })
    };
    let bars = [
        bars("poll", |mode| &mode.polling.polls),
        bars("context", |mode| &mode.contexts.contexts),
        bars("persona", |mode| &mode.personas.reads),
    ];
    let bars = bars.into_iter().flatten();
    match section.plots.first_mut() {
        Some(Plot {
            figures: Figures::Bars(present),
            ..
        }) => present.extend(bars),
        _ => section.plots.push(Plot {
            file: "workloads",
            title: "Median microseconds at the port".into(),
            figures: Figures::Bars(bars.collect()),
        }),
    }
}
