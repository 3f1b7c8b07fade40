//! The recorder of one round's calls, and the check of their histories.

use std::{
    fmt::{self, Write},
    ops::Add,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tests::{
    client::CacheMode,
    linearizability::{RecordedCall, check_linearizable},
};

use super::model::KeyModel;

/// A number that determines a round, except for the order in which threads run.
pub(crate) type Seed = u64;

/// Counters summed over rounds. A test uses them to assert that the rounds made enough calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    pub(crate) calls: u64,
    /// The number of writes whose outcome is unknown to the client.
    pub(crate) unknown: u64,
    pub(crate) hits: u64,
    /// The number of loads whose values were not stored, because a write overtook the load.
    pub(crate) refused: u64,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rounds: self.rounds + other.rounds,
            calls: self.calls + other.calls,
            unknown: self.unknown + other.unknown,
            hits: self.hits + other.hits,
            refused: self.refused + other.refused,
        }
    }
}

/// The failure of a round.
#[derive(Debug)]
pub(crate) struct Refusal {
    seed: Seed,
    /// The reason for the failure, and the recorded calls.
    pub(crate) history: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, history } = self;
        write!(
            f,
            "{history}\nGREENROOM_TEST_SEED={seed} plays this round again"
        )
    }
}

/// A recorded call, its cache mode, and the index of its key.
struct KeyedCall<M: KeyModel> {
    key: usize,
    mode: CacheMode,
    recorded: RecordedCall<M::Call, M::Outcome>,
}

/// A recorder of the calls that the concurrent clients of a round make.
pub(super) struct Recorder<M: KeyModel> {
    calls: Mutex<Vec<KeyedCall<M>>>,
    /// Errors of kinds that no call may return.
    wrong: Mutex<Vec<String>>,
    time: AtomicU64,
}

impl<M: KeyModel> Default for Recorder<M> {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            wrong: Mutex::default(),
            time: AtomicU64::new(0),
        }
    }
}

impl<M: KeyModel> Recorder<M> {
    /// Returns the next time of the round's logical clock.
    pub(super) fn now(&self) -> u64 {
        // SeqCst: times on all threads must have the order in which calls begin and return.
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn record(
        &self,
        key: usize,
        mode: CacheMode,
        recorded: RecordedCall<M::Call, M::Outcome>,
    ) {
        self.calls.lock().unwrap().push(KeyedCall {
            key,
            mode,
            recorded,
        });
    }

    /// Records an error of a kind that no call may return.
    pub(super) fn record_wrong(&self, error: String) {
        self.wrong.lock().unwrap().push(error);
    }

    /// Checks the history of each key against the model with the state `initial`. Returns the
    /// round's counters.
    pub(super) fn judge(&self, seed: Seed, keys: usize, initial: &M) -> Result<Tally, Refusal> {
        if let Some(wrong) = self.wrong.lock().unwrap().first() {
            return Err(self.refuse(seed, wrong, None));
        }
        let mut tally = Tally {
            rounds: 1,
            ..Tally::default()
        };
        for key in 0..keys {
            let history: Vec<_> = {
                let calls = self.calls.lock().unwrap();
                let of_key = calls.iter().filter(|call| call.key == key);
                of_key.map(|call| call.recorded.clone()).collect()
            };
            if let Err(longest) = check_linearizable(initial, &history) {
                let order: Vec<_> = longest.iter().map(|index| history[*index].began).collect();
                let reason =
                    format!("no order explains every outcome; the longest that does is {order:?}");
                return Err(self.refuse(seed, &reason, Some(key)));
            }
            let unknown = history.iter().filter(|call| call.returned.is_none());
            tally.calls += history.len() as u64;
            tally.unknown += unknown.count() as u64;
        }
        Ok(tally)
    }

    /// Returns a failure with the calls of the key `only`, or of all keys.
    pub(super) fn refuse(&self, seed: Seed, reason: &str, only: Option<usize>) -> Refusal {
        let mut history = format!("{}: {reason}", std::any::type_name::<M>());
        let mut calls = self.calls.lock().unwrap();
        calls.sort_by_key(|call| call.recorded.began);
        for KeyedCall {
            key,
            mode,
            recorded,
        } in calls
            .iter()
            .filter(|call| only.is_none_or(|key| call.key == key))
        {
            let RecordedCall {
                call,
                began,
                returned,
            } = recorded;
            let (ended, outcome) = returned
                .as_ref()
                .map_or(("?".into(), "?".into()), |(ended, outcome)| {
                    (ended.to_string(), format!("{outcome:?}"))
                });
            write!(
                history,
                "\n{began:>4} to {ended:>4}  key {key}, {mode:<6?}  {call:?} = {outcome}"
            )
            .expect("writing to a String cannot fail");
        }
        Refusal { seed, history }
    }
}
