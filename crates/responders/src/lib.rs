//! How agents find words: adapters of [`domain::Responder`].

mod directives;

pub use directives::{Directives, INSTRUCTIONS};
