//! Settings from flags, environment variables and a file, in this order of precedence.
//!
//! [`Flags`] holds the settings of one source, and [`Settings`] the merged settings in force. Each
//! setting is a row of a table in `flags.rs`, `access.rs` or `limits.rs`.

mod access;
mod answers;
mod error;
mod files;
mod flags;
mod limits;
mod models;
mod prices;
mod regions;
mod table;
mod value;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use cache_adapter::Options;
use ipnet::IpNet;

pub use access::{AccessFlags, AuthSettings};
pub use answers::{AnswerFlags, AnswerLimits, AnswerSettings, MemoryMode};
pub(crate) use answers::{NONE, SCRIPTED};
pub use error::SettingsError;
pub use files::FileWatch;
pub use flags::{Flags, PresetName};
pub use limits::{LimitFlags, Limits};
pub(crate) use limits::{SMALL_BODY_BYTES, least_body_bytes};
pub use models::{
    InstructionRole, ModelEffort, ModelOptions, ModelPreset, ModelProtocol, ThinkingMode,
    TokenField,
};
pub use prices::{Currency, Price};
pub use regions::{RegionFlag, RegionOptions};
pub use value::LogFilter;

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The address on which monitoring systems need no token; `None` for no such address.
    pub metrics_listen: Option<SocketAddr>,
    /// The address of a collector that traces are exported to; `None` for no traces.
    pub otlp: Option<String>,
    /// The database's address.
    pub database: String,
    /// The agents' folder.
    pub agents: PathBuf,
    /// TTLs, capacities and tail limits of the cache.
    pub cache: Options,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The log lines to write.
    pub log: LogFilter,
    /// The time after which a client that reads nothing is disconnected.
    pub write_timeout: Duration,
    /// `true` if sample agents are created when the agents' folder does not exist.
    pub samples: bool,
    /// `true` if the page is served at `/ui/`.
    pub page: bool,
    /// The folder of a built front end to serve at `/`; `None` to serve none.
    pub frontend: Option<PathBuf>,
    /// Passwords and secrets.
    pub auth: AuthSettings,
    /// Origins whose pages may call the server.
    pub cors_origins: Vec<String>,
    /// Networks of proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Limits on requests, sizes and times.
    pub limits: Limits,
    /// The settings of the agents' answers.
    pub answers: AnswerSettings,
    /// The settings for noticing edits of the agents' files.
    pub files: FileWatch,
}

/// The minimum of `tail_messages`. Each room is shown with its 200 newest messages, so a shorter
/// tail would make every read of a longer room a miss.
const MIN_TAIL_MESSAGES: usize = 200;
/// The panic message for a setting that is `None` after `Flags::complete`. This cannot happen to a
/// setting with a default.
const DEFAULTED: &str = "the table of settings has a default";

/// The variable with the address of a collector that other programs read, too.
pub const COLLECTOR_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Returns the address of a collector from the variable that other programs read, too. An address
/// that this program cannot use must not keep it from starting.
fn collector_of_environment() -> Option<String> {
    let address = std::env::var(COLLECTOR_VARIABLE).ok()?;
    crate::traces::Traces::check(&address).ok()?;
    Some(address)
}

impl Settings {
    /// Merges the flags and environment variables with the file that they name and with the
    /// defaults.
    pub fn read(mut flags: Flags) -> Result<Self, SettingsError> {
        let mut file = match &flags.config {
            Some(path) => Flags::from_file(path)?,
            None => Flags::default(),
        };
        flags.complete(&mut file);
        flags.access.complete(&mut file.access);
        flags.limits.complete(&mut file.limits);
        let mut cache = Options {
            preset: flags.preset.expect(DEFAULTED).into(),
            refresh_ahead: flags.refresh_ahead.expect(DEFAULTED),
            ..Options::default()
        };
        regions::apply_file(&mut cache, file.regions)?;
        regions::apply_flags(&mut cache, flags.ttl, flags.capacity)?;
        cache.tail.messages = flags.tail_messages.expect(DEFAULTED);
        cache.tail.bytes = flags.tail_bytes.expect(DEFAULTED);
        let messages = cache.tail.messages;
        require_least("tail_messages", MIN_TAIL_MESSAGES, messages)?;
        let max_body_bytes = flags.max_body_bytes.expect(DEFAULTED);
        let limits = Limits::new(flags.limits);
        let least = least_body_bytes(max_body_bytes);
        require_least(
            "limits.body_bytes_at_once",
            least,
            limits.body_bytes_at_once,
        )?;
        Ok(Self {
            listen: flags.listen.expect(DEFAULTED),
            metrics_listen: flags.metrics_listen,
            otlp: flags.otlp.or_else(collector_of_environment),
            database: flags.database.expect(DEFAULTED),
            agents: flags.agents.expect(DEFAULTED),
            cache,
            max_body_bytes,
            log: flags.log.expect(DEFAULTED),
            write_timeout: flags.write_timeout.expect(DEFAULTED),
            samples: !flags.no_samples && file.samples.unwrap_or(true),
            page: !flags.no_page && file.page.unwrap_or(true),
            frontend: flags.frontend,
            auth: AuthSettings {
                admin_password_hash: flags.access.admin_password_hash,
                guest_password_hash: flags.access.guest_password_hash,
                token_secret: flags.access.token_secret,
                token_secret_previous: flags.access.token_secret_previous,
                metrics_token: flags.access.metrics_token,
                credentials: flags.access.credentials.expect(DEFAULTED),
            },
            cors_origins: access::origins(flags.access.cors_origins)?,
            trusted_proxies: flags.access.trusted_proxies,
            limits,
            answers: AnswerSettings::new(flags.answers, file.answers)?,
            files: FileWatch::new(
                !flags.no_watch && file.watch.unwrap_or(true),
                flags.probe.expect(DEFAULTED),
            ),
        })
    }

    /// Returns one warning for each TTL that is too short or too long for its region.
    pub fn unsuitable_ttls(&self) -> Vec<String> {
        regions::unsuitable_ttls(&self.cache)
    }
}

fn require_least(name: &'static str, min: usize, value: usize) -> Result<(), SettingsError> {
    if value < min {
        return Err(SettingsError::TooSmall { name, min, value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str, flags: Flags) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greenroom.yaml");
        std::fs::write(&path, text).unwrap();
        Settings::read(Flags {
            config: Some(path),
            ..flags
        })
    }

    fn ttl(region: &str, value: &str) -> RegionFlag {
        RegionFlag {
            region: region.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn a_flag_overrides_the_file() {
        let flags = Flags {
            ttl: vec![ttl("room_obj", "7s")],
            ..Flags::default()
        };
        let text = "listen: 127.0.0.1:9\n\
                    regions: {room_obj: {ttl: 9s, capacity: 5}, agent_obj: {ttl: 1m}}\n";
        let settings = with_file(text, flags).unwrap();
        assert_eq!(settings.listen.port(), 9);
        assert_eq!(settings.cache.ttls["room_obj"], Duration::from_secs(7));
        assert_eq!(settings.cache.ttls["agent_obj"], Duration::from_mins(1));
        assert_eq!(settings.cache.capacities["room_obj"], 5);
    }

    #[test]
    fn a_port_alone_and_localhost_mean_the_loopback_address() {
        for text in ["8001", "localhost:8001", "127.0.0.1:8001"] {
            let settings = with_file(&format!("listen: {text}"), Flags::default()).unwrap();
            assert_eq!(settings.listen, ([127, 0, 0, 1], 8001).into(), "{text}");
        }
        let settings = with_file("listen: '[::1]:8001'", Flags::default()).unwrap();
        assert!(settings.listen.is_ipv6());
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        for (text, name) in [
            ("lissten: x", "lissten"),
            ("regions: {rooms: {}}", "rooms"),
            ("regions: {room_obj: {tll: 1s}}", "tll"),
        ] {
            assert!(
                with_file(text, Flags::default())
                    .unwrap_err()
                    .to_string()
                    .contains(name),
                "{text}"
            );
        }
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        let text = "access: {token_secret: hidden-words, admin_password_hash: hidden-hash}\n\
                    limits: {header_timeout: 5s, connections: 7}\n";
        let settings = with_file(text, Flags::default()).unwrap();
        assert_eq!(settings.limits.connections, 7);
        assert_eq!(settings.limits.header_timeout, Duration::from_secs(5));
        assert_eq!(
            settings.limits.request_burst,
            Limits::default().request_burst
        );
        assert!(!format!("{settings:?}").contains("hidden"));
    }

    #[test]
    fn an_origin_has_a_scheme_a_host_and_a_port_only() {
        let with = |origin: &str| {
            let access = AccessFlags {
                cors_origins: vec![origin.into()],
                ..AccessFlags::default()
            };
            Settings::read(Flags {
                access,
                ..Flags::default()
            })
        };
        assert_eq!(
            with("https://chat.example:8443").unwrap().cors_origins,
            ["https://chat.example:8443"]
        );
        for wrong in [
            "*",
            "chat.example",
            "https://chat.example/",
            "https://",
            "http://a b",
        ] {
            let error = with(wrong).unwrap_err().to_string();
            assert!(error.contains("must be an origin"), "{wrong}: {error}");
        }
        assert!(
            Settings::read(Flags::default())
                .unwrap()
                .cors_origins
                .contains(&"http://localhost:5173".to_owned())
        );
    }

    #[test]
    fn unsuitable_ttls_are_reported_with_the_reason() {
        assert_eq!(
            Settings::read(Flags::default()).unwrap().unsuitable_ttls(),
            Vec::<String>::new()
        );
        let flags = Flags {
            ttl: vec![ttl("room_obj", "1ms"), ttl("agent_obj", "2days")],
            ..Flags::default()
        };
        let warnings = Settings::read(flags).unwrap().unsuitable_ttls();
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].contains("agent_obj") && warnings[0].contains("stay hidden"));
        assert!(warnings[1].contains("room_obj") && warnings[1].contains("again and again"));
    }

    #[test]
    fn an_error_names_the_setting_the_value_and_the_remedy() {
        for (text, message) in [
            (
                "tail_messages: 5",
                "`tail_messages` must be at least 200, got 5",
            ),
            (
                "max_body_bytes: 70000000",
                "`limits.body_bytes_at_once` must be at least 80000000, got 16777216",
            ),
            (
                "limits: {header_timeout: 30}",
                "limits.header_timeout: must be a duration such as `30s`, got 30",
            ),
            (
                "listen: localhost",
                "listen: must be an IP address and a port such as `127.0.0.1:8001`, got localhost",
            ),
            (
                "log: nonsense",
                "log: must be a level such as `info`, or levels by target such as",
            ),
            (
                "limits: {guests_delete: maybe}",
                "limits.guests_delete: must be `true` or `false`, got maybe",
            ),
            (
                "access: {trusted_proxies: [10.0.0.0/8, home]}",
                "access.trusted_proxies[1]: must be a network such as `10.0.0.0/8`, got home",
            ),
            (
                "regions: {room_obj: {ttl: soon}}",
                "regions.room_obj.ttl: must be a duration such as `30s`, got soon",
            ),
            (
                "preset: fast",
                "preset: must be `classic` or `coherent`, got fast",
            ),
            (
                "max_body_bytes: big",
                "max_body_bytes: must be a whole number, got big",
            ),
        ] {
            let error = with_file(text, Flags::default()).unwrap_err().to_string();
            assert!(error.contains(message), "{message} is not in {error}");
        }
        let flags = Flags {
            ttl: vec![ttl("room_obj", "soon")],
            ..Flags::default()
        };
        assert_eq!(
            Settings::read(flags).unwrap_err().to_string(),
            "`--ttl room_obj` must be a duration such as `30s`, got soon"
        );
    }
}
