//! Errors in passwords, secrets and the credentials file.

use std::{io, path::PathBuf};

/// A reason why callers cannot be authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The server would listen on a non-loopback address without a configured password.
    #[error(
        "no administrator password is configured, and the server would be reachable from other \
         machines: set GREENROOM_ADMIN_PASSWORD_HASH to the output of `greenroom hash-password`, \
         or listen on a loopback address"
    )]
    NoPassword,
    /// A reload of the settings would have to generate a password or a secret.
    #[error(
        "the settings no longer have a password or a token secret, and only a start can generate \
         one: restart the server"
    )]
    NotInForce,
    /// A configured password hash has an unknown format.
    #[error(
        "the {role} password hash is neither Argon2 nor bcrypt: \
         create one with `greenroom hash-password`"
    )]
    InvalidHash {
        /// `administrator` or `guest`.
        role: &'static str,
    },
    /// A token secret is so short that it could be guessed.
    #[error(
        "a token secret or metrics token must have at least {min} bytes, got {length}: \
         set a longer one"
    )]
    ShortSecret {
        /// The smallest allowed length.
        min: usize,
        /// The length of the refused secret.
        length: usize,
    },
    /// A password is empty or too long.
    #[error("a password must have 1 to {max} bytes, got {length}")]
    PasswordLength {
        /// The largest allowed length.
        max: usize,
        /// The length of the refused password.
        length: usize,
    },
    /// The password cannot be hashed, for instance without a source of random numbers.
    #[error("cannot hash the password: {0}")]
    Hash(argon2::password_hash::Error),
    /// The credentials file cannot be read or written.
    #[error("credentials file {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// The credentials file cannot be parsed. The message does not quote the content, which is
    /// secret.
    #[error(
        "credentials file {} is damaged: restore it from a backup, \
         or delete it to have new credentials generated",
        path.display()
    )]
    DamagedFile {
        /// The file.
        path: PathBuf,
    },
}
