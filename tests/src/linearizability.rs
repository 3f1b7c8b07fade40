//! A linearizability checker: concurrent calls of one object are correct if running them in some
//! order, one at a time, returns what each of them returned.
//!
//! The search is the one by Wing and Gong with Lowe's memory of states that were tried. A call that
//! got no response may take effect at any time after it began, or never.

use std::{collections::HashSet, fmt::Debug, hash::Hash};

/// The behaviour of an object whose calls run one at a time.
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

/// A call of a history. No two times are equal.
#[derive(Clone, Debug)]
pub struct RecordedCall<C, R> {
    /// The call.
    pub call: C,
    /// The time at which the call began.
    pub began: u64,
    /// The time at which the call returned, and its outcome; `None` if its caller got no response.
    pub returned: Option<(u64, R)>,
}

/// Calls of one object, in any order.
pub type History<M> =
    Vec<RecordedCall<<M as SequentialModel>::Call, <M as SequentialModel>::Outcome>>;

/// The longest history that [`check_linearizable`] takes: one bit of a `u128` for each call.
const MAX_CALLS: usize = 128;

/// Checks that some order of `history`, run on `initial`, returns every recorded outcome. A call
/// that returned before another began comes first in that order.
///
/// # Errors
/// The longest order that was found, as indices into `history`.
///
/// # Panics
/// If the history has more than 128 calls.
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
    /// The sets of calls that were run, one bit each, with the states that they led to.
    tried: HashSet<(u128, M)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

impl<M: SequentialModel> Search<'_, M> {
    /// Returns `true` if the calls outside of `done` can follow in some order, beginning at
    /// `state`.
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
        // Calls without a response come last: they are run only where an outcome needs them.
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
                // A call without effect here may as well happen later, or never.
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
            // A read with the right outcome may come next in every order, so that no other call
            // needs to be tried in its place.
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

    /// A list of numbers in the order of their addition.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    struct List(Vec<u8>);

    #[derive(Clone, Copy, Debug)]
    enum Call {
        Add(u8),
        /// Adds the number unless the list has it: a write that may change nothing.
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

    /// Returns `true` if an order fits. It tries every order: the definition of linearizability.
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
