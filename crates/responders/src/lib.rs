//! How agents find words: adapters of [`domain::Responder`].

mod directives;
mod scripted;

pub use directives::{Directives, INSTRUCTIONS};
pub use scripted::Scripted;
