//! The pauses between attempts while the store or a model server fails.

use std::time::Duration;

/// The pause after the first error. Each further error in a row doubles the pause, so that many
/// rooms don't burden a server that is recovering.
const FIRST: Duration = Duration::from_secs(1);
/// The maximum pause. A room continues at most this long after the store has recovered.
const MOST: Duration = Duration::from_mins(1);

/// The pauses after errors in a row.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    taken: u32,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            next: FIRST,
            taken: 0,
        }
    }
}

impl Pauses {
    /// Returns the pause after the next error.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(MOST);
        self.taken = self.taken.saturating_add(1);
        pause
    }

    /// Returns the number of errors in a row.
    pub(super) fn taken(&self) -> u32 {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut pauses = Pauses::default();
        let pauses: Vec<_> = (0..8).map(|_| pauses.next().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
