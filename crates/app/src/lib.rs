//! Greenroom, wired together: settings, HTTP, background jobs.
//!
//! Each part takes ports, so that a test can put a mock in the place of a store:
//!
//! ```no_run
//! # async fn example() -> Result<(), String> {
//! let settings = app::Settings::read(app::Flags::default())?;
//! let server = app::Server::start(&settings, cache_core::Runtime::tokio()).await?;
//! println!("listening on http://{}", server.address());
//! server.run_until(std::future::pending()).await
//! # }
//! ```

mod auth;
mod check;
mod conversation;
mod http;
mod jobs;
mod prompt;
mod samples;
mod serve;
mod server;
mod settings;
mod transfer;
mod wiring;

pub use auth::{Auth, Caller, Role, hash_password};
pub use check::check;
pub use conversation::{Conversations, Responders};
pub use http::{
    Access, Answers, ApiError, Layer, Open, RENDER_CACHE_BYTES, RenderCache, router, with_layers,
};
pub use jobs::{
    CLEANUP, ENOUGH_REQUESTS, FileWatch, LATELY, LOW_HIT_RATE, WATCH, clean, follow, probe, watch,
};
pub use prompt::system_prompt;
pub use samples::write_if_new;
pub use serve::serve;
pub use server::Server;
pub use settings::{
    AccessFlags, AnswerFlags, AnswerLimits, AnswerSettings, AuthSettings, Flags, LimitFlags,
    Limits, PresetName, Settings, Time,
};
pub use transfer::{Export, Import};
pub use wiring::{App, open_store, wire, with_store};
