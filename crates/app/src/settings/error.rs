//! Errors in the settings. Their texts tell the user what to correct.

use std::{io, path::PathBuf};

/// An error in the settings, which keeps the program from running.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A model has two prices.
    #[error("`models.{name}.price` differs from another price of the model `{model}`")]
    Prices {
        /// The name of the entry.
        name: String,
        /// The name of the model.
        model: String,
    },
    /// The settings file cannot be read.
    #[error("cannot read settings file {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// The settings file is not YAML, or one of its settings is unknown or has a wrong value.
    ///
    /// The inner error names the setting and its line.
    #[error("settings file {}: {error}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        error: serde_yaml::Error,
    },
    /// A setting has a value of the wrong form.
    #[error("{name} must be {expected}, got {value}")]
    Invalid {
        /// The setting.
        name: String,
        /// Completes the sentence "the setting must be …".
        expected: &'static str,
        /// The refused value.
        value: String,
    },
    /// A number is too small.
    #[error("`{name}` must be at least {min}, got {value}")]
    TooSmall {
        /// The setting.
        name: &'static str,
        /// The smallest allowed value.
        min: usize,
        /// The refused value.
        value: usize,
    },
    /// A limit on answers is zero.
    #[error(
        "`answers.limits.{name}` must be above 0; \
         to keep agents silent, set `answers.responder: none`"
    )]
    ZeroLimit {
        /// The limit.
        name: &'static str,
    },
    /// A TTL or a capacity is set for a region that does not exist.
    #[error("unknown region `{region}`: use one of {}", known.join(", "))]
    UnknownRegion {
        /// The refused name.
        region: String,
        /// All regions.
        known: Vec<&'static str>,
    },
    /// A responder is chosen that does not exist.
    #[error(
        "unknown responder `{name}`: \
         use `scripted`, `none` or the name of a model under `answers.models`"
    )]
    UnknownResponder {
        /// The refused name.
        name: String,
    },
    /// The environment variable with the API key of a model is not set or is empty.
    #[error(
        "model `{model}`: environment variable {variable} is not set: set it to the API key, or \
         set {variable}_FILE to a file with the key"
    )]
    MissingKey {
        /// The model's name under `answers.models`.
        model: String,
        /// The environment variable.
        variable: String,
    },
    /// A model has neither a preset nor a protocol.
    #[error("model `{model}`: neither `preset` nor `protocol` is set")]
    MissingProtocol {
        /// The model's name under `answers.models`.
        model: String,
    },
    /// Two options of a model cannot be set together.
    #[error("`{name}` and `{other}` exclude each other")]
    Excluded {
        /// The first option.
        name: String,
        /// The second option.
        other: &'static str,
    },
    /// A model's budget for thinking is too small for its server.
    #[error("model `{model}`: `thinking_budget` must be at least {min}, got {value}")]
    SmallBudget {
        /// The model's name under `answers.models`.
        model: String,
        /// The smallest allowed budget.
        min: u32,
        /// The refused budget.
        value: u32,
    },
    /// A model with the protocol `openai` has no `base_url`.
    #[error("model `{model}`: `base_url` is not set; protocol `openai` needs the server's URL")]
    MissingBaseUrl {
        /// The model's name under `answers.models`.
        model: String,
    },
}
