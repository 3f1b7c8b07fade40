//! Limits: how much, how long and how often, each a setting.

use std::{str::FromStr, time::Duration};

use clap::Args;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::auth::Rate;

/// A time as people write it, as `30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

impl FromStr for Time {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Time {
    const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

/// The limits as flags and as a file give them, and those in force.
macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:expr, $env:literal, $unit:literal;)*) => {
        /// Limits as flags, environment variables or a file give them.
        #[derive(Args, Clone, Debug, Default, Deserialize)]
        #[command(next_help_heading = "Limits")]
        #[serde(default, deny_unknown_fields)]
        pub struct LimitFlags {
            $($(#[doc = $doc])* #[arg(long, env = $env, value_name = $unit, global = true)] pub $name: Option<$type>,)*
        }

        /// The limits in force.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])* pub $name: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// Flags and environment before the file before the defaults.
            pub(super) fn of(flags: &LimitFlags, file: &LimitFlags) -> Self {
                let default = Self::default();
                Self { $($name: flags.$name.or(file.$name).unwrap_or(default.$name),)* }
            }
        }
    };
}

limits! {
    /// Requests a second, in the long run, of one token, of one address without a good token, and of one address of guests [default: 100]
    requests_per_second: u32 = 100, "GREENROOM_REQUESTS_PER_SECOND", "NUMBER";
    /// Requests at once beyond that [default: 500]
    request_burst: u32 = 500, "GREENROOM_REQUEST_BURST", "NUMBER";
    /// Logins a minute of one address [default: 20]
    logins_per_minute: u32 = 20, "GREENROOM_LOGINS_PER_MINUTE", "NUMBER";
    /// The longest message in characters [default: 32768]
    message_chars: usize = 32_768, "GREENROOM_MESSAGE_CHARS", "NUMBER";
    /// The longest text of an agent's persona in characters [default: 262144]
    persona_chars: usize = 262_144, "GREENROOM_PERSONA_CHARS", "NUMBER";
    /// Rooms that a guest may own [default: 50]
    rooms_per_guest: usize = 50, "GREENROOM_ROOMS_PER_GUEST", "NUMBER";
    /// Pixels of an uploaded image [default: 40000000]
    image_pixels: u64 = 40_000_000, "GREENROOM_IMAGE_PIXELS", "NUMBER";
    /// Connections at a time [default: 10000]
    connections: usize = 10_000, "GREENROOM_CONNECTIONS", "NUMBER";
    /// How long a connection may take to send the head of a request, or be idle before it [default: 30s]
    header_timeout: Time = Time::secs(30), "GREENROOM_HEADER_TIMEOUT", "TIME";
    /// How long the body of a request may take to arrive [default: 60s]
    body_timeout: Time = Time::secs(60), "GREENROOM_BODY_TIMEOUT", "TIME";
}

impl Limits {
    pub(crate) fn rate(&self) -> Rate {
        Rate::new(self.requests_per_second, self.request_burst)
    }
}
