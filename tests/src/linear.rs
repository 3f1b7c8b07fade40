//! Judges histories: concurrent calls of one object are right if one order of them explains every answer.
//!
//! The search is Wing and Gong's with Lowe's memory of what was tried. A call without an answer may take effect at any
//! time after it began, or never.

use std::{collections::HashSet, fmt::Debug, hash::Hash};

/// An object as it behaves when calls come one after the other.
pub trait Object: Clone + Eq + Hash {
    /// What can be asked of it.
    type Call: Debug;
    /// What it says then.
    type Answer: Debug + PartialEq;

    /// Does a call.
    fn apply(&mut self, call: &Self::Call) -> Self::Answer;

    /// Whether a call never changes anything.
    fn is_read(call: &Self::Call) -> bool;
}

/// A call of a history. Times are different numbers that rise.
#[derive(Clone, Debug)]
pub struct Operation<C, A> {
    /// What was asked.
    pub call: C,
    /// When it began.
    pub began: u64,
    /// When it was answered and how; `None` if nobody saw an answer.
    pub answered: Option<(u64, A)>,
}

/// Calls of one object, in any order.
pub type History<O> = Vec<Operation<<O as Object>::Call, <O as Object>::Answer>>;

/// Whether an order of `history` (at most 128 calls) explains every answer, beginning with `object`: no call stands
/// before one that was answered before it began. The error is the longest order that was found, as indices.
pub fn judge<O: Object>(object: &O, history: &History<O>) -> Result<(), Vec<usize>> {
    assert!(history.len() <= 128, "a history has at most 128 calls");
    let mut search = Search {
        history,
        tried: HashSet::new(),
        order: Vec::new(),
        longest: Vec::new(),
    };
    if search.explains(object, 0) {
        Ok(())
    } else {
        Err(search.longest)
    }
}

struct Search<'a, O: Object> {
    history: &'a History<O>,
    /// Which calls were done, and what that left.
    tried: HashSet<(u128, O)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

impl<O: Object> Search<'_, O> {
    fn explains(&mut self, object: &O, done: u128) -> bool {
        let history = self.history;
        let left = || {
            history
                .iter()
                .enumerate()
                .filter(|(at, _)| done & (1 << at) == 0)
        };
        let Some(first) = left()
            .filter_map(|(_, operation)| Some(operation.answered.as_ref()?.0))
            .min()
        else {
            return true;
        };
        if !self.tried.insert((done, object.clone())) {
            return false;
        }
        // What nobody saw answered last: it is done where an answer needs it.
        let can_be_next = |is_answered: bool| {
            left().filter(move |(_, operation)| {
                operation.began < first && operation.answered.is_some() == is_answered
            })
        };
        for (at, operation) in can_be_next(true).chain(can_be_next(false)) {
            let mut next = object.clone();
            let answer = next.apply(&operation.call);
            match &operation.answered {
                Some((_, seen)) if *seen != answer => continue,
                // It might as well happen later, or never.
                None if next == *object => continue,
                Some(_) | None => {}
            }
            self.order.push(at);
            if self.order.len() > self.longest.len() {
                self.longest.clone_from(&self.order);
            }
            if self.explains(&next, done | 1 << at) {
                return true;
            }
            self.order.pop();
            // A read that is answered right can stand here in every order.
            if O::is_read(&operation.call) {
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

    /// Numbers in the order in which they were added.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    struct List(Vec<u8>);

    #[derive(Clone, Copy, Debug)]
    enum Call {
        Add(u8),
        /// Adds it if it is not there: sometimes a write that changes nothing.
        Keep(u8),
        Set(u8),
        Read,
    }

    impl Object for List {
        type Call = Call;
        type Answer = Vec<u8>;

        fn apply(&mut self, call: &Call) -> Vec<u8> {
            match call {
                Call::Keep(number) if self.0.contains(number) => {}
                Call::Add(number) | Call::Keep(number) => self.0.push(*number),
                Call::Set(number) => self.0 = vec![*number],
                Call::Read => {}
            }
            self.0.clone()
        }

        fn is_read(call: &Call) -> bool {
            matches!(call, Call::Read)
        }
    }

    fn read(began: u64, ended: u64, seen: &[u8]) -> Operation<Call, Vec<u8>> {
        Operation {
            call: Call::Read,
            began,
            answered: Some((ended, seen.to_vec())),
        }
    }

    #[test]
    fn an_answer_older_than_an_acknowledged_write_is_refused() {
        let write = Operation {
            call: Call::Set(1),
            began: 0,
            answered: Some((1, vec![1])),
        };
        assert_eq!(
            judge(&List::default(), &vec![write.clone(), read(2, 3, &[1])]),
            Ok(())
        );
        assert_eq!(
            judge(&List::default(), &vec![write, read(2, 3, &[])]),
            Err(vec![0])
        );
    }

    #[test]
    fn an_older_answer_after_a_newer_one_is_refused_while_the_write_still_runs() {
        let write = Operation {
            call: Call::Set(1),
            began: 0,
            answered: Some((9, vec![1])),
        };
        assert_eq!(
            judge(
                &List::default(),
                &vec![write.clone(), read(1, 2, &[]), read(3, 4, &[1])]
            ),
            Ok(())
        );
        assert!(
            judge(
                &List::default(),
                &vec![write, read(1, 2, &[1]), read(3, 4, &[])]
            )
            .is_err()
        );
    }

    #[test]
    fn a_call_without_an_answer_takes_effect_at_any_time_or_never() {
        let lost = Operation {
            call: Call::Set(1),
            began: 0,
            answered: None,
        };
        for seen in [[&[][..], &[]], [&[], &[1]], [&[1], &[1]]] {
            assert_eq!(
                judge(
                    &List::default(),
                    &vec![lost.clone(), read(1, 2, seen[0]), read(3, 4, seen[1])]
                ),
                Ok(()),
                "{seen:?}"
            );
        }
        assert!(
            judge(
                &List::default(),
                &vec![lost.clone(), read(1, 2, &[1]), read(3, 4, &[])]
            )
            .is_err()
        );
        // Nothing takes effect before it begins.
        assert!(
            judge(
                &List::default(),
                &vec![Operation { began: 3, ..lost }, read(1, 2, &[1])]
            )
            .is_err()
        );
    }

    #[test]
    fn verdicts_are_those_of_trying_every_order() {
        let random = Random::new(Random::seed());
        let mut verdicts = [0, 0];
        for _ in 0..20_000 {
            let history = history(&random);
            let right = every_order(&List::default(), &history, &mut Vec::new());
            assert_eq!(
                judge(&List::default(), &history).is_ok(),
                right,
                "{history:#?}"
            );
            verdicts[usize::from(right)] += 1;
        }
        assert!(verdicts.iter().all(|count| *count > 1_000), "{verdicts:?}");
    }

    /// Up to six calls that overlap, with answers that are right as often as not.
    fn history(random: &Random) -> History<List> {
        let mut list = List::default();
        let mut times: Vec<u64> = (0..12).collect();
        random.shuffle(&mut times);
        let mut operations = Vec::new();
        for pair in times.chunks(2).take(1 + random.below(6)) {
            let call = *random.pick(&[
                Call::Add(1),
                Call::Keep(2),
                Call::Set(3),
                Call::Read,
                Call::Read,
            ]);
            let mut other = if random.percent(30) {
                List::default()
            } else {
                list.clone()
            };
            let answer = other.apply(&call);
            if random.percent(80) {
                list = other;
            }
            let answered = random.percent(80).then_some((pair[0].max(pair[1]), answer));
            operations.push(Operation {
                call,
                began: pair[0].min(pair[1]),
                answered,
            });
        }
        operations
    }

    /// The definition, word for word.
    fn every_order(object: &List, history: &History<List>, order: &mut Vec<usize>) -> bool {
        let is_left = |at: &usize| !order.contains(at);
        let left: Vec<usize> = (0..history.len()).filter(is_left).collect();
        if left.iter().all(|at| history[*at].answered.is_none()) {
            return true;
        }
        left.iter().any(|at| {
            let overtakes = |other: &usize| {
                history[*other]
                    .answered
                    .as_ref()
                    .is_some_and(|(ended, _)| *ended < history[*at].began)
            };
            let mut next = object.clone();
            let answer = next.apply(&history[*at].call);
            if left.iter().any(overtakes)
                || history[*at]
                    .answered
                    .as_ref()
                    .is_some_and(|(_, seen)| *seen != answer)
            {
                return false;
            }
            order.push(*at);
            let right = every_order(&next, history, order);
            order.pop();
            right
        })
    }
}
