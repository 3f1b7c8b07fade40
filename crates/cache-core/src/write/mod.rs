//! Writes: a guard opens windows over the keys that a write makes stale, and closes them when the
//! outcome of the write is known.
//!
//! | file | holds |
//! |---|---|
//! | `guard` | [`WriteGuard`](crate::WriteGuard): names keys, runs the write, closes windows |
//! | `window` | what one guard does in one region, behind one trait |
//! | `scope` | its two implementations: keys of a region, and a log that is appended to |
//! | `settle` | writes of unknown outcome, whose windows stay open until they are settled |

pub(crate) mod guard;
pub(crate) mod scope;
pub(crate) mod settle;
pub(crate) mod window;
