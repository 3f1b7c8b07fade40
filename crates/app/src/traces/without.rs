//! Takes the place of the exporter in a program that was built without it.

use std::convert::Infallible;

use axum::http::HeaderMap;
use tokio::runtime::Handle;
use tracing::{Span, Subscriber};
use tracing_subscriber::{Layer, layer::Identity, registry::LookupSpan};

use super::error::TracesError;

/// The export of traces, which this program cannot do.
#[derive(Debug)]
pub struct Traces(Infallible);

impl Traces {
    /// Fails: the program has no exporter.
    pub fn check(_: &str) -> Result<(), TracesError> {
        Err(TracesError::Missing)
    }

    /// Fails: the program has no exporter.
    pub fn start(_: &str, _: Handle) -> Result<Self, TracesError> {
        Err(TracesError::Missing)
    }

    /// Returns a layer that does nothing.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        Identity::new()
    }

    /// Does nothing.
    pub fn stop(self) {
        match self.0 {}
    }
}

/// The span that caused something, which nobody records here.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceCause(());

impl TraceCause {
    pub(crate) fn current() -> Self {
        Self(())
    }

    #[expect(
        clippy::unused_self,
        reason = "it takes the place of the exporter's method"
    )]
    pub(crate) fn link_to(&self, _: &Span) {}
}

pub(crate) fn is_sampled(_: &HeaderMap) -> bool {
    false
}

pub(crate) fn set_parent(_: &Span, _: &HeaderMap) {}

pub(crate) fn traceparent(_: &Span) -> Option<String> {
    None
}
