//! A linearizability checker. Concurrent calls of one object are correct if there is an order in
//! which the calls, run one at a time, return the recorded results.
//!
//! The search is the algorithm of Wing and Gong, with Lowe's extension that remembers the states
//! that were tried. A call without a response may take effect at any time after it began, or never.

use std::{collections::HashSet, fmt::Debug, hash::Hash};

/// A sequential model of an object: its behaviour when calls run one at a time.
pub trait SequentialModel: Clone + Eq + Hash {
    /// A call of the object.
    type Call: Debug;
    /// The result of a call.
    type Outcome: Debug + PartialEq;

    /// Runs a call and returns its outcome.
    fn apply(&mut self, call: &Self::Call) -> Self::Outcome;

    /// Returns `true` if the call never changes the object.
    fn is_read(call: &Self::Call) -> bool;
}

/// A recorded call of a history, with its times on a logical clock. No two times of a history are
/// equal.
#[derive(Clone, Debug)]
pub struct RecordedCall<C, R> {
    /// The call.
    pub call: C,
    /// The time at which the call began.
    pub began: u64,
    /// The time at which the call returned, and its outcome; `None` if its caller got no response.
    pub returned: Option<(u64, R)>,
}

/// The recorded calls of one object, in any order.
pub type History<M> =
    Vec<RecordedCall<<M as SequentialModel>::Call, <M as SequentialModel>::Outcome>>;

/// The maximum length of a history that [`check_linearizable`] accepts. The search marks the calls
/// that were run in the bits of a `u128`.
const MAX_CALLS: usize = 128;

/// Checks that the calls of `history`, run on `initial` in some order, return every recorded
/// outcome. In this order, a call that returned before another call began comes before that call.
///
/// # Errors
/// Returns the longest beginning of such an order that was found, as indices into `history`.
///
/// # Panics
/// Panics if the history has more than 128 calls.
pub fn check_linearizable<M: SequentialModel>(
    initial: &M,
    history: &History<M>,
) -> Result<(), Vec<usize>> {
    assert!(
        history.len() <= MAX_CALLS,
        "a history must have at most {MAX_CALLS} calls, got {}",
        history.len()
    );
    let mut search = Search {
        history,
        tried: HashSet::new(),
        order: Vec::new(),
        longest: Vec::new(),
    };
    if search.completes(initial, 0) {
        Ok(())
    } else {
        Err(search.longest)
    }
}

struct Search<'a, M: SequentialModel> {
    history: &'a History<M>,
    /// The combinations that were tried: a set of calls that were run, one bit each, and the state
    /// that they led to.
    tried: HashSet<(u128, M)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

impl<M: SequentialModel> Search<'_, M> {
    /// Returns `true` if the calls that are not in `done` can run from `state` in some valid order.
    fn completes(&mut self, state: &M, done: u128) -> bool {
        let history = self.history;
        let left = || {
            history
                .iter()
                .enumerate()
                .filter(|(index, _)| done & (1 << index) == 0)
        };
        let Some(first_return) = left()
            .filter_map(|(_, recorded)| Some(recorded.returned.as_ref()?.0))
            .min()
        else {
            return true;
        };
        if !self.tried.insert((done, state.clone())) {
            return false;
        }
        // Calls without a response may never have run. They are tried last, for the case that no
        // recorded outcome is possible without them.
        let may_be_next = |has_returned: bool| {
            left().filter(move |(_, recorded)| {
                recorded.began < first_return && recorded.returned.is_some() == has_returned
            })
        };
        for (index, recorded) in may_be_next(true).chain(may_be_next(false)) {
            let mut next = state.clone();
            let outcome = next.apply(&recorded.call);
            match &recorded.returned {
                Some((_, expected)) if *expected != outcome => continue,
                // A call that changes nothing here can also run later, or never.
                None if next == *state => continue,
                Some(_) | None => {}
            }
            self.order.push(index);
            if self.order.len() > self.longest.len() {
                self.longest.clone_from(&self.order);
            }
            if self.completes(&next, done | 1 << index) {
                return true;
            }
            self.order.pop();
            // A read that returns its recorded outcome can always run next, because it changes
            // nothing. If no order continues after this read, no order continues with another call
            // in its place.
            if M::is_read(&recorded.call) {
                return false;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A list of numbers in the order in which they were added.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    struct List(Vec<u8>);

    #[derive(Clone, Copy, Debug)]
    enum Call {
        Add(u8),
        /// Adds the number unless the list contains it. This write may change nothing.
        AddIfMissing(u8),
        Set(u8),
        Read,
    }

    impl SequentialModel for List {
        type Call = Call;
        type Outcome = Vec<u8>;

        fn apply(&mut self, call: &Call) -> Vec<u8> {
            match call {
                Call::AddIfMissing(number) if self.0.contains(number) => {}
                Call::Add(number) | Call::AddIfMissing(number) => self.0.push(*number),
                Call::Set(number) => self.0 = vec![*number],
                Call::Read => {}
            }
            self.0.clone()
        }

        fn is_read(call: &Call) -> bool {
            matches!(call, Call::Read)
        }
    }

    fn read(began: u64, ended: u64, list: &[u8]) -> RecordedCall<Call, Vec<u8>> {
        RecordedCall {
            call: Call::Read,
            began,
            returned: Some((ended, list.to_vec())),
        }
    }

    #[test]
    fn an_outcome_older_than_an_acknowledged_write_is_refused() {
        let write = RecordedCall {
            call: Call::Set(1),
            began: 0,
            returned: Some((1, vec![1])),
        };
        assert_eq!(
            check_linearizable(&List::default(), &vec![write.clone(), read(2, 3, &[1])]),
            Ok(())
        );
        assert_eq!(
            check_linearizable(&List::default(), &vec![write, read(2, 3, &[])]),
            Err(vec![0])
        );
    }

    #[test]
    fn an_older_outcome_after_a_newer_one_is_refused_while_the_write_still_runs() {
        let write = RecordedCall {
            call: Call::Set(1),
            began: 0,
            returned: Some((9, vec![1])),
        };
        assert_eq!(
            check_linearizable(
                &List::default(),
                &vec![write.clone(), read(1, 2, &[]), read(3, 4, &[1])]
            ),
            Ok(())
        );
        assert!(
            check_linearizable(
                &List::default(),
                &vec![write, read(1, 2, &[1]), read(3, 4, &[])]
            )
            .is_err()
        );
    }

    #[test]
    fn a_call_without_a_response_takes_effect_at_any_time_or_never() {
        let lost = RecordedCall {
            call: Call::Set(1),
            began: 0,
            returned: None,
        };
        for reads in [[&[][..], &[]], [&[], &[1]], [&[1], &[1]]] {
            assert_eq!(
                check_linearizable(
                    &List::default(),
                    &vec![lost.clone(), read(1, 2, reads[0]), read(3, 4, reads[1])]
                ),
                Ok(()),
                "{reads:?}"
            );
        }
        assert!(
            check_linearizable(
                &List::default(),
                &vec![lost.clone(), read(1, 2, &[1]), read(3, 4, &[])]
            )
            .is_err()
        );
        // No call takes effect before it begins.
        assert!(
            check_linearizable(
                &List::default(),
                &vec![RecordedCall { began: 3, ..lost }, read(1, 2, &[1])]
            )
            .is_err()
        );
    }

    #[test]
    fn verdicts_are_those_of_trying_every_order() {
        let random = Random::new(Random::seed());
        let mut verdicts = [0, 0];
        for _ in 0..20_000 {
            let history = draw_history(&random);
            let expected = some_order_fits(&List::default(), &history, &mut Vec::new());
            assert_eq!(
                check_linearizable(&List::default(), &history).is_ok(),
                expected,
                "{history:#?}"
            );
            verdicts[usize::from(expected)] += 1;
        }
        assert!(verdicts.iter().all(|count| *count > 1_000), "{verdicts:?}");
    }

    /// Draws a history of up to six calls that may overlap. Some calls have wrong outcomes.
    fn draw_history(random: &Random) -> History<List> {
        let mut list = List::default();
        let mut times: Vec<u64> = (0..12).collect();
        random.shuffle(&mut times);
        let mut operations = Vec::new();
        for pair in times.chunks(2).take(1 + random.below(6)) {
            let call = *random.pick(&[
                Call::Add(1),
                Call::AddIfMissing(2),
                Call::Set(3),
                Call::Read,
                Call::Read,
            ]);
            let mut next = if random.percent(30) {
                List::default()
            } else {
                list.clone()
            };
            let outcome = next.apply(&call);
            if random.percent(80) {
                list = next;
            }
            let returned = random
                .percent(80)
                .then_some((pair[0].max(pair[1]), outcome));
            operations.push(RecordedCall {
                call,
                began: pair[0].min(pair[1]),
                returned,
            });
        }
        operations
    }

    /// Returns `true` if some order of the calls returns all recorded outcomes. Tries every order,
    /// as the definition of linearizability says.
    fn some_order_fits(state: &List, history: &History<List>, order: &mut Vec<usize>) -> bool {
        let is_left = |index: &usize| !order.contains(index);
        let left: Vec<usize> = (0..history.len()).filter(is_left).collect();
        if left.iter().all(|index| history[*index].returned.is_none()) {
            return true;
        }
        left.iter().any(|index| {
            let must_come_before = |other: &usize| {
                let returned = history[*other].returned.as_ref();
                returned.is_some_and(|(ended, _)| *ended < history[*index].began)
            };
            let mut next = state.clone();
            let outcome = next.apply(&history[*index].call);
            let is_wrong = |returned: &(u64, Vec<u8>)| returned.1 != outcome;
            if left.iter().any(must_come_before)
                || history[*index].returned.as_ref().is_some_and(is_wrong)
            {
                return false;
            }
            order.push(*index);
            let fits = some_order_fits(&next, history, order);
            order.pop();
            fits
        })
    }
}
