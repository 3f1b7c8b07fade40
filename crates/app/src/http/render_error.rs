//! The errors of rendering.

/// A reason why an object is not rendered.
#[derive(Debug)]
pub(crate) enum RenderError {
    /// The store failed.
    Store(domain::Error),
    /// Too many long answers are being sent.
    Busy,
}

impl From<domain::Error> for RenderError {
    fn from(error: domain::Error) -> Self {
        Self::Store(error)
    }
}

/// The result of rendering.
pub(crate) type RenderResult<T> = Result<T, RenderError>;
