//! Errors of starting the export.

/// A reason why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The address of the collector is not usable.
    #[error("`otlp` must be the address of a collector such as `http://127.0.0.1:4318`: {0}")]
    Address(String),
    /// The sampler is not known.
    #[error(
        "OTEL_TRACES_SAMPLER must be `always_on`, `always_off` or `traceidratio`, or one of them \
         after `parentbased_`"
    )]
    Sampler,
    /// The share of traces is not a share.
    #[error("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1")]
    Share,
    /// The exporter cannot be built.
    #[error("cannot export traces: {0}")]
    Exporter(String),
    /// The program has no exporter.
    #[error("`otlp` needs a program that was built with the feature `otlp`")]
    Missing,
}
