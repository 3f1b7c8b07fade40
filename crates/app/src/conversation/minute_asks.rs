//! The number of prompts of the present minute, by owner.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cache_core::Clock;
use domain::UserId;

const MINUTE: Duration = Duration::from_mins(1);

/// The prompts of the present minute, by owner.
#[derive(Debug, Default)]
pub(super) struct MinuteAsks(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    number: u128,
    asks: HashMap<UserId, u32>,
}

impl MinuteAsks {
    /// Counts a prompt for a room of `owner`. Returns `false`, and counts none, if there were
    /// `most` in this minute.
    pub(super) fn count(&self, clock: &Clock, owner: &UserId, most: u32) -> bool {
        let number = Duration::from_nanos(clock.now()).as_nanos() / MINUTE.as_nanos();
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != number {
            *minute = Minute {
                number,
                asks: HashMap::new(),
            };
        }
        let asks = minute.asks.entry(owner.clone()).or_default();
        let is_below = *asks < most;
        *asks += u32::from(is_below);
        is_below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompts_of_each_owner_are_counted_minute_by_minute() {
        let (clock, hand) = Clock::manual();
        let (asks, ann) = (MinuteAsks::default(), UserId::parse("ann").unwrap());
        let count = |owner: &UserId| asks.count(&clock, owner, 2);
        assert_eq!([count(&ann), count(&ann), count(&ann)], [true, true, false]);
        assert!(count(&UserId::parse("bo").unwrap()));
        hand.advance(MINUTE);
        assert!(count(&ann));
        assert_eq!(asks.0.lock().unwrap().asks.len(), 1);
    }
}
