//! Statistics in the text format of Prometheus, without any client library.
//!
//! `Stats::named` returns every number of a region with its name, so that a new number appears
//! without a change here.
//!
//! Run it with `cargo run -p greenroom-cache-core --example prometheus`.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    fmt::{self, Write},
    time::Duration,
};

use cache_core::{Manager, Policy, Runtime, Unknown};

/// The numbers that can fall. All others are counters.
const GAUGES: [&str; 6] = [
    "open_windows",
    "unknown_windows",
    "open_creates",
    "unknown_creates",
    "size",
    "weight",
];

/// Returns the statistics of all regions, to be served as `text/plain; version=0.0.4`.
fn metrics(manager: &Manager) -> Result<String, fmt::Error> {
    // The format wants the samples of one metric together.
    let mut samples = BTreeMap::<_, Vec<_>>::new();
    for region in manager.stats() {
        for (name, number) in region.stats.named() {
            samples.entry(name).or_default().push((region.name, number));
        }
    }
    let mut text = String::new();
    for (name, regions) in samples {
        let (kind, suffix) = if GAUGES.contains(&name) {
            ("gauge", "")
        } else {
            ("counter", "_total")
        };
        writeln!(text, "# TYPE cache_{name}{suffix} {kind}")?;
        for (region, number) in regions {
            // The names of the regions here need no escape.
            writeln!(text, "cache_{name}{suffix}{{region=\"{region}\"}} {number}")?;
        }
    }
    Ok(text)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let policy = Policy::new(Duration::from_secs(60), 100);
    let names = manager.region::<u64, &str>("names", policy.clone());
    let posts = manager.region::<u64, &str>("posts", policy);

    let load = || async { Ok::<_, Infallible>(Some("Ada")) };
    for _ in 0..3 {
        names.get_or_load(7, load).await?;
    }
    posts.insert(1, "Hello");

    let text = metrics(&manager)?;
    for line in [
        "# TYPE cache_hits_total counter",
        "cache_hits_total{region=\"names\"} 2",
        "cache_misses_total{region=\"names\"} 1",
        "cache_loads_total{region=\"names\"} 1",
        "# TYPE cache_size gauge",
        "cache_size{region=\"names\"} 1",
        "cache_size{region=\"posts\"} 1",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line}");
    }
    // A gauge that is missing in the list above would be printed as a counter.
    let numbers = names.stats().named().count();
    let counters = text.lines().filter(|line| line.ends_with(" counter"));
    assert_eq!(counters.count() + GAUGES.len(), numbers);
    print!("{text}");
    Ok(())
}
