//! Writes: a guard opens windows over the keys that a write makes stale, and closes them when the
//! outcome of the write is known.
//!
//! | file | holds |
//! |---|---|
//! | `guard` | [`WriteGuard`](crate::WriteGuard): names keys, and runs the write |
//! | `error` | [`WriteError`](crate::WriteError) |
//! | `open` | the windows of one write: opens and closes them |
//! | `window` | what one guard does in one region, behind one trait |
//! | `scope` | keys of a region, or a part of it |
//! | `log_scope` | a log that is appended to |
//! | `settle` | writes of unknown outcome, whose windows stay open until they are settled |

pub(crate) mod error;
pub(crate) mod guard;
mod log_scope;
mod open;
pub(crate) mod scope;
pub(crate) mod settle;
pub(crate) mod window;
