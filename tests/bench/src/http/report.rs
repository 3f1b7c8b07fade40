//! The report section of the benchmark `http`.

use serde_json::json;

use super::load::{Measurement, REQUESTS, ServerFigures};
use crate::{
    measure::{Estimate, percentile, ratios},
    report::{
        plot::{Bar, BarColor, Figures, Plot},
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
};

/// Creates the section from the figures of `rounds` rounds.
pub(super) fn section(measurements: &[Measurement], rounds: usize) -> Section {
    let title = format!("{rounds} rounds of {REQUESTS} requests");
    let mut table = Table::new([
        title.as_str(),
        "response, bytes",
        "CPU per request, µs: axum alone",
        "bare handler",
        "Greenroom",
        "Greenroom / bare handler",
        "95 % interval",
        "Greenroom / axum alone",
        "requests per second: bare handler",
        "Greenroom",
        "latency, µs (p50, p99): bare handler",
        "Greenroom",
    ]);
    let mut section = Section::default();
    let mut bars = Vec::new();
    let mut raw = Vec::new();
    for measurement in measurements {
        table.row(table_row(measurement));
        section.ratios.extend(measurement.ratios());
        bars.extend(measurement.bars());
        raw.push(json!({
            "request": measurement.name,
            "response_bytes": measurement.response_bytes,
            "axum_cpu_us": measurement.axum.cpu_micros,
            "bare_cpu_us": measurement.bare.cpu_micros,
            "greenroom_cpu_us": measurement.greenroom.cpu_micros,
            "bare_requests_per_second": measurement.bare.requests_per_second,
            "greenroom_requests_per_second": measurement.greenroom.requests_per_second,
        }));
    }
    section.tables.push(table);
    section.plots.push(Plot {
        file: "http",
        title: "Microseconds of CPU per request".into(),
        figures: Figures::Bars(bars),
    });
    section.raw = json!(raw);
    section
}

fn median(values: &[f64]) -> f64 {
    Estimate::from_rounds(values).median
}

fn table_row(measurement: &Measurement) -> [String; 12] {
    let Measurement {
        greenroom,
        bare,
        axum,
        ..
    } = measurement;
    let to_bare = measurement.cpu_relative_to(bare);
    let latencies = |figures: &ServerFigures| {
        format!(
            "{:.0}, {:.0}",
            percentile(&figures.latencies, 50.0),
            percentile(&figures.latencies, 99.0)
        )
    };
    [
        measurement.name.clone(),
        measurement.response_bytes.to_string(),
        format!("{:.2}", median(&axum.cpu_micros)),
        format!("{:.2}", median(&bare.cpu_micros)),
        format!("{:.2}", median(&greenroom.cpu_micros)),
        format!("{:.3}", to_bare.median),
        format!("{:.3} to {:.3}", to_bare.low, to_bare.high),
        format!("{:.3}", measurement.cpu_relative_to(axum).median),
        format!("{:.0}", median(&bare.requests_per_second)),
        format!("{:.0}", median(&greenroom.requests_per_second)),
        latencies(bare),
        latencies(greenroom),
    ]
}

impl Measurement {
    fn cpu_relative_to(&self, other: &ServerFigures) -> Estimate {
        Estimate::from_rounds(&ratios(&self.greenroom.cpu_micros, &other.cpu_micros))
    }

    fn ratios(&self) -> [Ratio; 3] {
        let name = &self.name;
        // With one request at a time, most of the time is spent on waking the server, which hides
        // differences. Therefore only concurrent requests have a bound.
        let goal = |most| {
            if self.is_concurrent {
                Goal::AtMost(most)
            } else {
                Goal::Less
            }
        };
        let request_rates = ratios(
            &self.greenroom.requests_per_second,
            &self.bare.requests_per_second,
        );
        [
            Ratio::new(
                format!("{name}: CPU per request relative to a bare handler"),
                self.cpu_relative_to(&self.bare),
                goal(1.0),
            ),
            Ratio::new(
                format!("{name}: CPU per request relative to axum alone"),
                self.cpu_relative_to(&self.axum),
                goal(1.15),
            ),
            Ratio::new(
                format!("{name}: requests per second relative to a bare handler"),
                Estimate::from_rounds(&request_rates),
                Goal::More,
            ),
        ]
    }

    fn bars(&self) -> [Bar; 3] {
        let bar = |server: &str, figures: &ServerFigures, color| Bar {
            name: format!("{}, {server}", self.name),
            value: median(&figures.cpu_micros),
            color,
        };
        [
            bar("axum alone", &self.axum, BarColor::Other),
            bar("bare handler", &self.bare, BarColor::Other),
            bar("Greenroom", &self.greenroom, BarColor::Greenroom),
        ]
    }
}
