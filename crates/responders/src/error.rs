//! Errors in a model's settings.

/// A reason why a model's settings cannot be used.
///
/// The messages are for the operator. They never repeat the URL or the key, which may be secret.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The base URL cannot be parsed, or has no host.
    #[error("`base_url` is not a valid URL")]
    InvalidUrl,
    /// The base URL's scheme is neither `http` nor `https`.
    #[error("`base_url` must begin with http:// or https://")]
    UnsupportedScheme,
    /// The base URL has a user, a password, a query or a fragment.
    #[error("`base_url` must have no user, password, query or fragment")]
    UnsupportedUrlPart,
    /// The API key cannot be sent in an HTTP header.
    #[error("the API key must not contain control characters such as line breaks")]
    InvalidKey,
    /// A header of the settings has an invalid name or value.
    #[error("`headers.{0}` is not a valid header")]
    InvalidHeader(String),
    /// The machine has no certificate authorities, which HTTPS needs.
    #[error("could not load the certificate authorities of this machine: {0}")]
    CertificateAuthorities(#[source] rustls::Error),
    /// TLS cannot be set up.
    #[error("could not set up TLS: {0}")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be created.
    #[error("could not create an HTTP client: {0}")]
    HttpClient(#[source] reqwest::Error),
}
