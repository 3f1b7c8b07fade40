//! Exhaustive models of the protocol. Their steps are the transitions that the code calls under its
//! locks. Within the bounds no history breaks C1 or C2; with any rule left out, some history does.
//!
//! C1: no read returns a version older than a write that was acknowledged before the read began.
//! C2: no read returns a version older than one that an earlier read returned.

mod absence;
mod elsewhere;
mod tail;
mod windows;

use std::{fmt::Debug, hash::Hash, time::Instant};

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Returns `true` if `GREENROOM_PROOF` asks for the wide bounds. Ordinary tests use narrower ones.
pub(crate) fn wide() -> bool {
    std::env::var_os("GREENROOM_PROOF").is_some()
}

/// The claims that a history has broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Broken {
    pub(crate) c1: bool,
    pub(crate) c2: bool,
}

/// The versions that a read must reach: the newest acknowledged, and the newest returned, when it
/// began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bound {
    pub(crate) acknowledged: u8,
    pub(crate) returned: u8,
}

impl Broken {
    /// Judges a read that returned `version`.
    pub(crate) fn judge(&mut self, bound: Bound, version: u8) {
        self.c1 |= version < bound.acknowledged;
        self.c2 |= version < bound.returned;
    }
}

/// A state that records which claims its history has broken.
pub(crate) trait Judged {
    fn broken(&self) -> Broken;
}

/// Returns the claims as properties of a model.
pub(crate) fn claims<M: Model>() -> Vec<Property<M>>
where
    M::State: Judged,
{
    vec![
        Property::always("C1", |_, state: &M::State| !state.broken().c1),
        Property::always("C2", |_, state: &M::State| !state.broken().c2),
    ]
}

/// Visits every state, or, if a claim is wanted, states until that claim breaks. Returns the broken
/// claims.
pub(crate) fn explore<M>(name: &str, model: M, wanted: Option<&'static str>) -> Vec<&'static str>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + PartialEq + Send,
{
    let began = Instant::now();
    let until = wanted.map_or(HasDiscoveries::AnyFailures, |claim| {
        HasDiscoveries::AllOf([claim].into())
    });
    let checker = model
        .checker()
        .threads(2)
        .finish_when(until)
        .spawn_bfs()
        .join();
    let mut broken: Vec<_> = checker.discoveries().into_keys().collect();
    broken.sort_unstable();
    println!(
        "{name:>48}: {:>9} states, broken: {}, {:.1} s",
        checker.unique_state_count(),
        if broken.is_empty() {
            "nothing".to_owned()
        } else {
            broken.join(", ")
        },
        began.elapsed().as_secs_f64()
    );
    broken
}
