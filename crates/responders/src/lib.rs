//! How agents find words: adapters of [`domain::Responder`].

mod answer;
mod anthropic;
mod client;
mod conversation;
mod directives;
mod events;
mod models;
mod open_ai;
mod refusals;
mod scripted;

pub use directives::{Directives, INSTRUCTIONS};
pub use models::{Model, ModelSettings, Protocol};
pub use scripted::Scripted;
