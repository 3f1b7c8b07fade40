//! Counters of HTTP responses by status.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::http::StatusCode;

use crate::groups::{Group, PerGroup};

/// The lowest status code.
const FIRST: usize = 100;
/// The number of status codes, from 100 to 599.
const CODES: usize = 500;

/// The number of responses with each status code.
#[derive(Debug, Default)]
pub struct StatusCounts(PerGroup<GroupCounts>);

/// The counts of one group of connections.
#[derive(Debug)]
struct GroupCounts([AtomicU64; CODES]);

impl Default for GroupCounts {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl StatusCounts {
    /// The classes of status codes, in ascending order.
    const CLASSES: [&'static str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    /// Counts one response to a request of a group.
    pub(crate) fn count(&self, group: Group, status: StatusCode) {
        let code = usize::from(status.as_u16()).clamp(FIRST, FIRST + CODES - 1);
        let GroupCounts(counts) = self.0.of(group);
        // Relaxed: each counter is independent, and no other memory is published through it.
        counts[code - FIRST].fetch_add(1, Ordering::Relaxed);
    }

    fn sums(&self) -> [u64; CODES] {
        self.0
            .sums(|GroupCounts(counts)| counts.each_ref().map(load))
    }

    /// Returns each class with its number of responses.
    pub(crate) fn by_class(&self) -> [(&'static str, u64); 5] {
        let counts = self.sums();
        array::from_fn(|class| {
            let codes = counts.iter().skip(class * 100).take(100);
            (Self::CLASSES[class], codes.sum())
        })
    }

    /// Returns each status code that was sent, with its number of responses.
    pub(crate) fn by_code(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self.sums().into_iter().enumerate();
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(index, count)| (FIRST + index, count))
    }
}

fn load(counter: &AtomicU64) -> u64 {
    // Relaxed: the metrics may miss responses that are being counted.
    counter.load(Ordering::Relaxed)
}

/// The number of logins with each outcome.
#[derive(Debug, Default)]
pub(crate) struct LoginCounts([AtomicU64; 3]);

/// The outcome of a login.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LoginOutcome {
    Ok,
    /// The password is wrong.
    Refused,
    /// There were too many logins from this address.
    Limited,
}

impl LoginCounts {
    /// Counts one login.
    pub(crate) fn count(&self, outcome: LoginOutcome) {
        // Relaxed: each counter is independent.
        self.0[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns each outcome with its number of logins.
    pub(crate) fn by_outcome(&self) -> [(&'static str, u64); 3] {
        let outcomes = ["ok", "refused", "limited"];
        array::from_fn(|index| (outcomes[index], load(&self.0[index])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_of_all_groups_are_counted_by_code_and_by_class() {
        let counts = StatusCounts::default();
        let statuses = [
            StatusCode::OK,
            StatusCode::NOT_FOUND,
            StatusCode::GONE,
            StatusCode::OK,
        ];
        for (group, status) in Group::all().zip(statuses) {
            counts.count(group, status);
        }
        let codes: Vec<_> = counts.by_code().collect();
        assert_eq!(codes, [(200, 2), (404, 1), (410, 1)]);
        assert_eq!(counts.by_class().map(|(_, count)| count), [0, 2, 0, 2, 0]);
    }
}
