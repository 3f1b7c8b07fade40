//! A run of all laws over one backend.

use std::{any::Any, fmt, panic::AssertUnwindSafe};

use domain::Repositories;
use futures_util::FutureExt as _;

use crate::{law::Breach, laws::laws};

/// The result of running every law.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of laws that the backend kept.
    pub passed: usize,
    /// The names of the broken laws, each with the way in which it was broken.
    pub failed: Vec<(&'static str, Breach)>,
}

/// Runs every law over `ports`, one after the other.
///
/// The store may hold other rows and may be in use. If the backend panics, the law that caused the
/// panic counts as broken, and the run continues.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let report = contract::check(&contract::memory::repositories()).await;
/// assert_eq!(report.passed, contract::laws().len());
/// # }
/// ```
pub async fn check(ports: &Repositories) -> Report {
    let mut report = Report::default();
    for law in laws() {
        let outcome = AssertUnwindSafe((law.run)(ports.clone()))
            .catch_unwind()
            .await;
        let outcome = outcome.unwrap_or_else(|panic| {
            Err(Breach::new(format_args!(
                "the backend panicked: {}",
                panic_message(&*panic)
            )))
        });
        report.add(law.name, outcome);
    }
    report
}

impl Report {
    /// Adds the outcome of a law.
    pub(crate) fn add(&mut self, law: &'static str, outcome: Result<(), Breach>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(breach) => self.failed.push((law, breach)),
        }
    }

    /// Panics if a law was broken, and lists all broken laws in the message.
    pub fn assert(&self) {
        assert!(self.failed.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed) = (self.passed, self.failed.len());
        write!(f, "{passed} laws passed, {failed} failed")?;
        self.failed
            .iter()
            .try_for_each(|(name, breach)| write!(f, "\n  {name}: {breach}"))
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
