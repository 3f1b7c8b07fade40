//! Writes: a guard opens windows over the keys that a write makes stale, and closes them when the
//! outcome of the write is known.
//!
//! | file | holds |
//! |---|---|
//! | `guard` | [`WriteGuard`](crate::WriteGuard): names what the write makes stale |
//! | `run` | runs the write, in a task or on the caller's thread |
//! | `error` | [`WriteError`](crate::WriteError) |
//! | `open` | the windows of one write: opens and closes them |
//! | `window` | the trait `Scope`: the windows of one guard in one region |
//! | `scope` | the implementation of `Scope` for keys of a region, listed or recognized |
//! | `log_scope` | the implementation of `Scope` for a log that is appended to |
//! | `upsert` | writes of one key that depend on its value |
//! | `settle` | writes of unknown outcome, whose windows stay open until they are settled |

pub(crate) mod error;
pub(crate) mod guard;
mod log_scope;
mod open;
mod run;
pub(crate) mod scope;
pub(crate) mod settle;
mod upsert;
pub(crate) mod window;
