//! The protocol as exhaustive models, whose steps are the very transitions that the code calls under its lock: within the
//! bounds no history breaks C1 or C2, and with any rule left out some history does.

mod absence;
mod tail;
mod windows;

use std::{fmt::Debug, hash::Hash, time::Instant};

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Whether the wide bounds are asked for, by `GREENROOM_PROOF`; the ordinary tests visit narrower ones.
pub(crate) fn wide() -> bool {
    std::env::var_os("GREENROOM_PROOF").is_some()
}

/// What a history has broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Broken {
    pub(crate) c1: bool,
    pub(crate) c2: bool,
}

/// What a read that began may not fall below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bound {
    pub(crate) acknowledged: u8,
    pub(crate) returned: u8,
}

impl Broken {
    /// A read gave `version`.
    pub(crate) fn judge(&mut self, bound: Bound, version: u8) {
        self.c1 |= version < bound.acknowledged;
        self.c2 |= version < bound.returned;
    }
}

/// A state that says what its history has broken.
pub(crate) trait Judged {
    fn broken(&self) -> Broken;
}

/// The claims, for a model whose states are judged.
pub(crate) fn claims<M: Model>() -> Vec<Property<M>>
where
    M::State: Judged,
{
    vec![
        Property::always("C1", |_, state: &M::State| !state.broken().c1),
        Property::always("C2", |_, state: &M::State| !state.broken().c2),
    ]
}

/// Visits every state, or, with a rule left out, those until the wanted claim breaks. Which claims were broken.
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
