//! The Greenroom server: settings, wiring, HTTP, conversations and background jobs.
//!
//! `wiring.rs` is the composition root, which names the concrete backends. All other modules depend
//! only on the ports of `domain`, so they work with any store, such as a mock.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = app::Settings::read(app::Flags::default())?;
//! let server = app::Server::start(&settings, cache_core::Runtime::tokio()).await?;
//! println!("listening on http://{}", server.address());
//! server.run_until(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The [glossary] explains the project's words, such as persona, round and turn.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

mod auth;
mod backup;
mod bounds;
mod check;
mod config_problems;
mod conversation;
mod figures;
mod groups;
mod guest_rooms;
mod http;
mod http_counts;
mod http_latencies;
mod jobs;
mod operate;
mod process;
mod prompt;
mod reload;
mod render_cache;
mod route_table;
mod samples;
mod serve;
mod server;
mod settings;
mod span_times;
mod state;
#[cfg(test)]
mod test_message;
mod times;
mod traces;
mod transfer;
mod wiring;

pub use auth::{Auth, AuthError, Caller, Role, hash_password};
pub use backup::{BackUp, Restore};
pub use check::Check;
pub use conversation::{Conversations, Responders};
pub use http::{Access, ApiError, Open, RequestService, Services, router};
pub use http_counts::StatusCounts;
pub use jobs::{
    CLEANUP_INTERVAL, LOW_HIT_RATE, MIN_REQUESTS, PROBE_WINDOW, STORE_CHECK_INTERVAL, clean_up,
    probe_files, watch_files,
};
pub use operate::log_ring_layer;
pub use prompt::system_prompt;
pub use reload::Reloader;
pub use render_cache::{RENDER_CACHE_BYTES, RenderCache};
pub use samples::write_if_new;
pub use serve::serve;
pub use server::{Server, ServerError};
pub use settings::{
    AccessFlags, AnswerFlags, AnswerLimits, AnswerSettings, AuthSettings, COLLECTOR_VARIABLE,
    Currency, FileWatch, Flags, InstructionRole, LimitFlags, Limits, LogFilter, MemoryMode,
    ModelEffort, ModelOptions, ModelPreset, ModelProtocol, PresetName, Price, RegionFlag,
    RegionOptions, Settings, SettingsError, ThinkingMode, TokenField,
};
pub use span_times::layer as span_times_layer;
pub use state::{App, AppHandle};
pub use traces::{Traces, TracesError};
pub use transfer::{Export, Import};
pub use wiring::{WiringError, build_responders, open_store, wire, with_store};
