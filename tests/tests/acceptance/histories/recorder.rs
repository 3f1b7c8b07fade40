//! The calls of one round, and their judgement.

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

/// Determines a round, except for the order in which threads run.
pub(crate) type Seed = u64;

/// Counts of rounds, with which a test asserts that the rounds did enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    pub(crate) calls: u64,
    /// Writes whose outcome the client does not know.
    pub(crate) unknown: u64,
    pub(crate) hits: u64,
    /// Loads that were not stored, because a write overtook them.
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

/// The reason why a round is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    seed: Seed,
    /// The reason and the recorded calls.
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

/// A call and the index of its key.
struct KeyedCall<M: KeyModel> {
    key: usize,
    mode: CacheMode,
    recorded: RecordedCall<M::Call, M::Outcome>,
}

/// The calls of a round, recorded by concurrent clients.
pub(super) struct Recorder<M: KeyModel> {
    calls: Mutex<Vec<KeyedCall<M>>>,
    /// Errors that no call may return.
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
    /// Returns the next time.
    pub(super) fn now(&self) -> u64 {
        // SeqCst: the order of times must be the order in which calls begin and return on all
        // threads.
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

    /// Records an error that the call may not return.
    pub(super) fn record_wrong(&self, error: String) {
        self.wrong.lock().unwrap().push(error);
    }

    /// Checks the history of each key, which began with `initial`. Returns the calls of the round.
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

    /// Returns a refusal with the calls of one key, or of all keys.
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
