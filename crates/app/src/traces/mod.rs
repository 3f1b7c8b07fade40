//! Traces of requests, loads, statements and answers, which are exported over OTLP.
//!
//! The spans are made where the work is done. This module exports them, and passes the identity of
//! a trace on: from a request to the turns that it causes, and in the header `traceparent`.

mod error;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "otlp")]
mod sampler;
#[cfg(not(feature = "otlp"))]
mod without;

#[cfg(feature = "otlp")]
use otlp as exporter;
#[cfg(not(feature = "otlp"))]
use without as exporter;

pub use error::TracesError;
pub use exporter::Traces;
pub(crate) use exporter::{TraceCause, is_sampled, set_parent, traceparent};
