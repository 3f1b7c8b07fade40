//! Implementations of [`domain::Responder`], which compose agents' answers.
//!
//! | responder | answers with |
//! |---|---|
//! | [`Scripted`] | sentences of the persona; reproducible, and without a network |
//! | [`Model`] | the output of a language model on a server, over one of two [`Protocol`]s |
//!
//! A model can not only write text. It can also stay silent, store a memory or recall one. For each
//! of these it writes a line of a special form, a directive. [`instructions`] explains the
//! directives to the model, and [`Directives`] separates them from the text while the answer
//! streams.
//!
//! ```
//! use domain::{AgentConfig, AgentId, AgentName, Composed, Prompt, Responder, RoomId, Turn};
//! use futures_util::StreamExt;
//! use responders::Scripted;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
//! let persona = AgentConfig {
//!     in_a_nutshell: "Ada mends umbrellas.".into(),
//!     ..AgentConfig::default()
//! };
//! let turn = Turn {
//!     is_own: false,
//!     is_from_user: true,
//!     is_interrupted: false,
//!     name: "Ann".into(),
//!     text: "Good evening".into(),
//!     image: None,
//! };
//! let prompt = Prompt {
//!     room: RoomId(1),
//!     agent: AgentId(1),
//!     name: AgentName::parse("Ada")?,
//!     system: String::new(),
//!     memories: String::new(),
//!     remembers: true,
//!     persona: persona.into(),
//!     turns: vec![turn],
//!     recalled: vec![],
//!     traceparent: None,
//! };
//! let pieces: Vec<_> = Scripted::default().respond(prompt).collect().await;
//! assert_eq!(pieces.last(), Some(&Ok(Composed::Done)));
//! # Ok(()) }
//! ```
//!
//! The [glossary] explains the project's words, such as persona, round and turn.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

mod answer_stream;
mod anthropic;
mod chat;
mod client;
mod directives;
mod endpoint;
mod error;
mod events;
mod failures;
mod inline_thoughts;
mod model;
mod model_event;
mod open_ai;
mod request_form;
mod scripted;
mod settings;
mod speaker_name;
mod token_size;

pub use directives::{Directives, instructions};
pub use error::ModelError;
pub use model::Model;
pub use request_form::{SystemRole, TokenLimit};
pub use scripted::Scripted;
pub use settings::{Effort, ModelSettings, Protocol, Thinking};
