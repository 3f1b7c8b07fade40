//! A workload of persona reads. Each agent's persona is read every five seconds, as for prompts and
//! pages.

use std::time::Duration;

use super::{operations::MeasuredOperations, workload_bench::WorkloadBench};
use crate::{counter::Count, store::RegionHits};

const READ_INTERVAL: Duration = Duration::from_secs(5);

/// The results of the persona reads.
#[derive(Default)]
pub(super) struct PersonaResults {
    pub(super) reads: MeasuredOperations,
    pub(super) warm_up: Count,
    pub(super) hits: Vec<RegionHits>,
}

/// Reads personas for this many seconds of the manual clock, after one round of warm-up.
pub(super) async fn run(bench: &WorkloadBench, seconds: u64) -> PersonaResults {
    let mut results = PersonaResults::default();
    let agents = u32::try_from(bench.sample.agents.len()).expect("the number of agents is small");
    for round in 0..=seconds / READ_INTERVAL.as_secs() {
        if round == 1 {
            let warm_up = std::mem::take(&mut results);
            results.warm_up = warm_up.reads.count;
        }
        for agent in &bench.sample.agents {
            bench.advance(READ_INTERVAL / agents).await;
            let persona = results
                .reads
                .measure(&bench.counter, bench.ports().configs.find(*agent))
                .await;
            assert!(persona.expect("the store returns the persona").is_some());
        }
    }
    results.hits = bench.hits();
    results
}
