//! The limit on the number of agents' answers in a room.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The number of answers that agents may still give before a room reaches its `max_interactions`.
///
/// An agent reserves an answer before it composes one. So agents that answer at the same time never
/// exceed the limit together.
pub(super) struct AnswerBudget {
    permits: Semaphore,
    /// The number of answers that are not consumed yet. When it reaches 0, the semaphore is closed.
    unused: AtomicUsize,
}

/// A reservation of one answer. Dropping it returns the answer to the budget.
pub(super) struct ReservedAnswer<'a> {
    budget: &'a AnswerBudget,
    permit: SemaphorePermit<'a>,
}

impl AnswerBudget {
    /// Creates a budget of `answers`, which must be above 0.
    pub(super) fn new(answers: usize) -> Self {
        let answers = answers.min(Semaphore::MAX_PERMITS);
        Self {
            permits: Semaphore::new(answers),
            unused: AtomicUsize::new(answers),
        }
    }

    /// Waits until an answer can be reserved. Returns `None` once all answers have been consumed.
    pub(super) async fn reserve(&self) -> Option<ReservedAnswer<'_>> {
        let permit = self.permits.acquire().await.ok()?;
        Some(ReservedAnswer {
            budget: self,
            permit,
        })
    }
}

impl AnswerBudget {
    /// Takes answers out of the budget. Returns `false`, and takes none, if fewer are free.
    pub(super) fn lower_by(&self, answers: usize) -> bool {
        let taken = self.permits.forget_permits(answers);
        if taken < answers {
            self.permits.add_permits(taken);
            return false;
        }
        self.subtract(answers);
        true
    }

    fn subtract(&self, answers: usize) {
        // SeqCst: of several concurrent callers, exactly one must see that no answer is left.
        if self.unused.fetch_sub(answers, Ordering::SeqCst) == answers {
            self.permits.close();
        }
    }
}

impl ReservedAnswer<'_> {
    /// Removes the answer from the budget permanently. Called once the answer is stored.
    pub(super) fn consume(self) {
        self.permit.forget();
        self.budget.subtract(1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_regains_what_silent_agents_reserved() {
        let budget = AnswerBudget::new(2);
        let reserve = || budget.reserve().now_or_never();
        let (first, second) = (reserve().unwrap().unwrap(), reserve().unwrap().unwrap());
        assert!(reserve().is_none(), "the third caller waits");
        drop(first);
        let third = reserve().unwrap().unwrap();
        third.consume();
        assert!(
            reserve().is_none(),
            "the second agent may still keep silent"
        );
        second.consume();
        assert!(reserve().unwrap().is_none(), "all answers are used");
    }

    #[test]
    fn a_budget_is_lowered_only_by_answers_that_nobody_composes() {
        let budget = AnswerBudget::new(3);
        let reserve = || budget.reserve().now_or_never();
        let first = reserve().unwrap().unwrap();
        assert!(!budget.lower_by(3));
        assert!(budget.lower_by(2));
        assert!(reserve().is_none(), "the first agent may still keep silent");
        first.consume();
        assert!(reserve().unwrap().is_none(), "all answers are used");
    }
}
