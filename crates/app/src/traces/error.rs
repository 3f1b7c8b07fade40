//! Errors of starting the export.

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
