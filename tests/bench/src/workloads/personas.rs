//! Configuration reads: each agent's persona, every five seconds, as prompts and pages ask for them.

use std::time::Duration;

use super::{Stage, Taken};
use crate::counted::Count;

const EVERY: Duration = Duration::from_secs(5);

/// What it took.
#[derive(Default)]
pub(super) struct Personas {
    pub(super) reads: Taken,
    pub(super) warming: Count,
    pub(super) hits: Vec<(&'static str, f64, u64)>,
}

/// So many seconds of it, and one round before to warm up.
pub(super) async fn run(stage: &Stage, seconds: u64) -> Personas {
    let mut done = Personas::default();
    let agents = u32::try_from(stage.agents.len()).expect("few");
    for round in 0..=seconds / EVERY.as_secs() {
        if round == 1 {
            let first = std::mem::take(&mut done);
            done.warming = first.reads.count;
        }
        for agent in &stage.agents {
            stage.advance(EVERY / agents).await;
            let persona = done
                .reads
                .add(&stage.counter, stage.ports().configs.find(*agent))
                .await;
            assert!(persona.expect("it is read").is_some());
        }
    }
    done.hits = stage.hits();
    done
}
