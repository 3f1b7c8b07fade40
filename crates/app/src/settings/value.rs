//! The types of setting values. Flags, environment variables and the file are parsed in the same
//! way.

use std::{
    fmt,
    marker::PhantomData,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::builder::ValueParser;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// A type that a setting can have.
pub(super) trait SettingValue: Clone + Send + Sync + Sized + 'static {
    /// Completes the sentence "the setting must be …" in error messages.
    const EXPECTED: &'static str;

    /// Parses the text of a flag, an environment variable or a YAML scalar.
    fn parse(text: &str) -> Option<Self>;

    /// Returns the parser that clap uses for flags and environment variables.
    fn flag_parser() -> ValueParser {
        ValueParser::new(|text: &str| Self::parse(text).ok_or(Unexpected(Self::EXPECTED)))
    }
}

/// The error that clap prints after the flag and the refused value.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("must be {0}")]
struct Unexpected(&'static str);

macro_rules! numbers {
    ($($type:ty)*) => {
        $(impl SettingValue for $type {
            const EXPECTED: &'static str = "a whole number";

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        })*
    };
}

numbers!(u32 u64 usize);

impl SettingValue for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl SettingValue for Duration {
    const EXPECTED: &'static str = "a duration such as `30s`";

    fn parse(text: &str) -> Option<Self> {
        humantime::parse_duration(text).ok()
    }
}

impl SettingValue for SocketAddr {
    const EXPECTED: &'static str = "an IP address and a port such as `127.0.0.1:8001`";

    /// Also accepts a port alone, and `localhost` with a port. Both mean the loopback address.
    fn parse(text: &str) -> Option<Self> {
        let port = text.strip_prefix("localhost:").unwrap_or(text);
        match port.parse() {
            Ok(port) => Some((Ipv4Addr::LOCALHOST, port).into()),
            Err(_) => text.parse().ok(),
        }
    }
}

/// A filter of log lines, such as `info` or `warn,cache=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// Returns the filter in the form that `tracing_subscriber` uses.
    ///
    /// ```
    /// let settings = app::Settings::read(app::Flags::default())?;
    /// assert_eq!(settings.log.to_env_filter().to_string(), "info");
    /// # Ok::<_, app::SettingsError>(())
    /// ```
    pub fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl SettingValue for LogFilter {
    const EXPECTED: &'static str = "a level such as `info`, or levels by target such as \
                                    `warn,cache=debug`";

    fn parse(text: &str) -> Option<Self> {
        // `EnvFilter` takes a single word that is not a level for a target, and would log nothing
        // else.
        let is_directive = |part: &str| part.contains(['=', '[']) || is_level(part);
        let is_valid = text.split(',').map(str::trim).all(is_directive);
        (is_valid && EnvFilter::try_new(text).is_ok()).then(|| Self(text.to_owned()))
    }
}

fn is_level(word: &str) -> bool {
    word.parse::<LevelFilter>().is_ok()
}

impl SettingValue for IpNet {
    const EXPECTED: &'static str = "a network such as `10.0.0.0/8`";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl SettingValue for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }

    /// Returns clap's own parser, because paths on the command line need not be UTF-8.
    fn flag_parser() -> ValueParser {
        ValueParser::path_buf()
    }
}

impl SettingValue for String {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// Parsing never fails, so that no error message can contain a secret.
impl SettingValue for SecretString {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

/// Deserializes a setting of the file that must not be `null`. Used with
/// `#[serde(deserialize_with)]`.
pub(super) fn required<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: SettingValue,
{
    deserializer.deserialize_str(Scalar(PhantomData))
}

/// Deserializes a setting of the file that may be `null`.
pub(super) fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: SettingValue,
{
    let value: Option<FromScalar<T>> = Option::deserialize(deserializer)?;
    Ok(value.map(|FromScalar(value)| value))
}

/// Deserializes a list of settings of the file.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: SettingValue,
{
    let values: Vec<FromScalar<T>> = Vec::deserialize(deserializer)?;
    Ok(values.into_iter().map(|FromScalar(value)| value).collect())
}

/// A wrapper that deserializes a setting inside an `Option` or a `Vec`.
struct FromScalar<T>(T);

impl<'de, T: SettingValue> Deserialize<'de> for FromScalar<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        required(deserializer).map(Self)
    }
}

/// A visitor that parses a YAML scalar.
///
/// The text is parsed inside the visitor, because only errors that a visitor returns get the
/// setting's dotted name and line.
struct Scalar<T>(PhantomData<T>);

impl<T: SettingValue> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::parse(text).ok_or_else(|| E::custom(format!("must be {}, got {text}", T::EXPECTED)))
    }
}
