//! Traces of requests, loads, statements and answers, which are exported over OTLP.
//!
//! The spans are made where the work is done. This module exports them, and passes the identity of
//! a trace on: from a request to the turns that it causes, and in the header `traceparent`.

#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
mod without;

#[cfg(feature = "otlp")]
use otlp as exporter;
#[cfg(not(feature = "otlp"))]
use without as exporter;

pub use exporter::Traces;
pub(crate) use exporter::{TraceCause, is_sampled, set_parent, traceparent};

/// A reason why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The address of the collector is not usable.
    #[error("`otlp` must be the address of a collector such as `http://127.0.0.1:4318`: {0}")]
    Address(String),
    /// The program has no exporter.
    #[error("`otlp` needs a program that was built with the feature `otlp`")]
    Missing,
}
