//! The contract of the ports: its laws, and an in-memory backend that keeps them.
//!
//! A backend or a decorator proves itself by running every law over its own [`Repositories`], fresh or in use:
//!
//! ```
//! use domain::contract;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let repositories = contract::memory::repositories();
//! let report = contract::check(&repositories).await;
//! report.assert();
//! assert_eq!(report.passed, contract::laws().len());
//! # }
//! ```

mod laws;
pub mod memory;
pub mod planted;

use std::{any::Any, fmt, panic::AssertUnwindSafe, task::Poll};

use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture},
};

use crate::Repositories;

pub use laws::laws;

/// One clause of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// The law as a sentence.
    pub name: &'static str,
    /// The port that owes it.
    pub port: &'static str,
    /// Tries it; an error says in a sentence how it was broken. Needs nothing of what the store holds, and leaves agents
    /// and rooms of its own behind.
    pub run: fn(Repositories) -> BoxFuture<'static, Result<(), String>>,
}

/// What a run of all laws found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many laws hold.
    pub passed: usize,
    /// The laws that do not, each with how it was broken.
    pub failed: Vec<(&'static str, String)>,
}

/// Runs every law, one after the other. A backend that panics breaks the law that made it.
pub async fn check(r: &Repositories) -> Report {
    let mut report = Report::default();
    for law in laws() {
        let outcome = AssertUnwindSafe((law.run)(r.clone())).catch_unwind().await;
        match outcome
            .unwrap_or_else(|panic| Err(format!("the backend panicked: {}", words(&*panic))))
        {
            Ok(()) => report.passed += 1,
            Err(why) => report.failed.push((law.name, why)),
        }
    }
    report
}

impl Report {
    /// Panics if a law was broken, and lists all that were.
    pub fn assert(&self) {
        assert!(self.failed.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} laws hold, {} are broken",
            self.passed,
            self.failed.len()
        )?;
        self.failed
            .iter()
            .try_for_each(|(name, why)| write!(f, "\n  {name}: {why}"))
    }
}

/// Lets every other task go on, once.
async fn pause() {
    let mut paused = false;
    future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
