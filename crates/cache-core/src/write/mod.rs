//! Writes: a guard opens windows over the keys that a write makes stale, and closes them when the
//! outcome of the write is known.
//!
//! | file | holds |
//! |---|---|
//! | `guard` | [`WriteGuard`](crate::WriteGuard): names keys, runs the write, closes windows |
//! | `window` | the trait `Scope`: the windows of one guard in one region |
//! | `scope` | the two implementations of `Scope`: for keys, and for a log that is appended to |
//! | `settle` | writes of unknown outcome, whose windows stay open until they are settled |

pub(crate) mod guard;
pub(crate) mod scope;
pub(crate) mod settle;
pub(crate) mod window;
