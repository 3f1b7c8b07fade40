//! Settings: by flag, by environment, by file, in this order of precedence.

mod access;
mod answers;
mod limits;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use cache_adapter::{Options, Preset, rows};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use serde::Deserialize;

pub use access::{AccessFlags, AuthSettings};
use answers::AnswersFromFile;
pub use answers::{AnswerFlags, AnswerLimits, AnswerSettings};
pub use limits::{LimitFlags, Limits, Time};

use crate::jobs::FileWatch;

/// Settings as flags and environment variables give them.
#[expect(clippy::doc_markdown, reason = "clap prints these lines as they stand")]
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// A YAML file of settings; flags and environment variables come before it
    #[arg(long, env = "GREENROOM_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8001]
    #[arg(
        long,
        env = "GREENROOM_LISTEN",
        value_name = "ADDRESS:PORT",
        global = true
    )]
    pub listen: Option<SocketAddr>,
    /// The database: sqlite:FILE or postgres://USER@HOST/NAME [default: sqlite:greenroom.db]
    #[arg(
        long,
        env = "GREENROOM_DATABASE",
        value_name = "ADDRESS",
        global = true,
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// The agents' folder [default: agents]
    #[arg(long, env = "GREENROOM_AGENTS", value_name = "FOLDER", global = true)]
    pub agents: Option<PathBuf>,
    /// The TTLs to begin from [default: classic]
    #[arg(long, env = "GREENROOM_PRESET", global = true)]
    pub preset: Option<PresetName>,
    /// A region's TTL, as room_obj=45s; may be given several times
    #[arg(long, env = "GREENROOM_TTL", value_name = "REGION=TIME", value_delimiter = ',', value_parser = pair, global = true)]
    pub ttl: Vec<(String, String)>,
    /// A region's capacity in entries, of room_messages in bytes, as room_obj=5000; may be given several times
    #[arg(long, env = "GREENROOM_CAPACITY", value_name = "REGION=NUMBER", value_delimiter = ',', value_parser = pair, global = true)]
    pub capacity: Vec<(String, String)>,
    /// The largest body of a request in bytes [default: 10485760]
    #[arg(
        long,
        env = "GREENROOM_MAX_BODY_BYTES",
        value_name = "BYTES",
        global = true
    )]
    pub max_body_bytes: Option<usize>,
    /// Most messages that are kept in memory of each room, at least 200 [default: 1000]
    #[arg(
        long,
        env = "GREENROOM_TAIL_MESSAGES",
        value_name = "NUMBER",
        global = true
    )]
    pub tail_messages: Option<usize>,
    /// Most bytes that are kept in memory of each room's messages [default: 4194304]
    #[arg(
        long,
        env = "GREENROOM_TAIL_BYTES",
        value_name = "BYTES",
        global = true
    )]
    pub tail_bytes: Option<usize>,
    /// How long a client may take nothing of what is sent before it is cut off [default: 30s]
    #[arg(
        long,
        env = "GREENROOM_WRITE_TIMEOUT",
        value_name = "TIME",
        global = true
    )]
    pub write_timeout: Option<Time>,
    /// Do not write the sample agents when there is no agents' folder
    #[arg(long, env = "GREENROOM_NO_SAMPLES", global = true)]
    pub no_samples: bool,
    /// A folder with a built single-page front end, served at / [default: none]
    #[arg(long, env = "GREENROOM_FRONTEND", value_name = "FOLDER", global = true)]
    pub frontend: Option<PathBuf>,
    /// Who may come in.
    #[command(flatten)]
    pub access: AccessFlags,
    /// How much, how long and how often.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// How agents answer.
    #[command(flatten)]
    pub answers: AnswerFlags,
    /// Do not watch the agents' files; they are looked at now and then all the same
    #[arg(long, env = "GREENROOM_NO_WATCH", global = true)]
    pub no_watch: bool,
    /// How often the files of agents that are read are looked at [default: 100ms]
    #[arg(long, env = "GREENROOM_PROBE", value_name = "TIME", global = true)]
    pub probe: Option<Time>,
}

/// The same as a file gives them. Unknown keys are refused by name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FromFile {
    listen: Option<SocketAddr>,
    database: Option<String>,
    agents: Option<PathBuf>,
    preset: Option<PresetName>,
    regions: BTreeMap<String, RegionFromFile>,
    max_body_bytes: Option<usize>,
    tail_messages: Option<usize>,
    tail_bytes: Option<usize>,
    write_timeout: Option<Time>,
    samples: Option<bool>,
    frontend: Option<PathBuf>,
    access: AccessFlags,
    limits: LimitFlags,
    answers: AnswersFromFile,
    watch: Option<bool>,
    probe: Option<Time>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RegionFromFile {
    ttl: Option<Time>,
    capacity: Option<u64>,
}

/// The word for a [`Preset`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PresetName {
    /// The mission's TTLs
    Classic,
    /// Longer TTLs, safe because writes end what they make stale
    Coherent,
}

/// What the program runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The database.
    pub database: String,
    /// The agents' folder.
    pub agents: PathBuf,
    /// How the regions behave.
    pub cache: Options,
    /// The largest body of a request.
    pub max_body_bytes: usize,
    /// How long a client may take nothing of what is sent.
    pub write_timeout: Duration,
    /// Whether to write the sample agents when there is no agents' folder.
    pub samples: bool,
    /// A built front end to serve.
    pub frontend: Option<PathBuf>,
    /// Passwords and secrets.
    pub auth: AuthSettings,
    /// Origins whose pages may call.
    pub cors_origins: Vec<String>,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How much, how long and how often.
    pub limits: Limits,
    /// How agents answer.
    pub answers: AnswerSettings,
    /// How changes of agents' files by others are found.
    pub files: FileWatch,
}

impl Settings {
    /// Flags and environment before the file before the defaults. The error says what is wrong, and where.
    pub fn read(flags: Flags) -> Result<Self, String> {
        let file = match &flags.config {
            Some(path) => from_file(path)?,
            None => FromFile::default(),
        };
        let preset = match flags.preset.or(file.preset) {
            Some(PresetName::Coherent) => Preset::Coherent,
            Some(PresetName::Classic) | None => Preset::Classic,
        };
        let mut cache = Options {
            preset,
            ..Options::default()
        };
        for (region, settings) in file.regions {
            known(&region)?;
            cache
                .ttls
                .extend(settings.ttl.map(|Time(ttl)| (region.clone(), ttl)));
            cache
                .capacities
                .extend(settings.capacity.map(|capacity| (region, capacity)));
        }
        for (region, ttl) in flags.ttl {
            known(&region)?;
            let ttl = humantime::parse_duration(&ttl)
                .map_err(|error| format!("--ttl {region}={ttl}: {error}"))?;
            cache.ttls.insert(region, ttl);
        }
        for (region, capacity) in flags.capacity {
            known(&region)?;
            let number = capacity
                .parse()
                .map_err(|error| format!("--capacity {region}={capacity}: {error}"))?;
            cache.capacities.insert(region, number);
        }
        if let Some(messages) = flags.tail_messages.or(file.tail_messages) {
            if messages < 200 {
                return Err(format!(
                    "tail_messages is at least 200, the messages that a browser shows at first, not {messages}"
                ));
            }
            cache.tail.messages = messages;
        }
        if let Some(bytes) = flags.tail_bytes.or(file.tail_bytes) {
            cache.tail.bytes = bytes;
        }
        Ok(Self {
            listen: flags
                .listen
                .or(file.listen)
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8001))),
            database: flags
                .database
                .or(file.database)
                .unwrap_or_else(|| "sqlite:greenroom.db".into()),
            agents: flags
                .agents
                .or(file.agents)
                .unwrap_or_else(|| "agents".into()),
            cache,
            max_body_bytes: flags
                .max_body_bytes
                .or(file.max_body_bytes)
                .unwrap_or(10 * 1024 * 1024),
            write_timeout: flags
                .write_timeout
                .or(file.write_timeout)
                .map_or(Duration::from_secs(30), |Time(time)| time),
            samples: !flags.no_samples && file.samples.unwrap_or(true),
            frontend: flags.frontend.or(file.frontend),
            auth: AuthSettings::of(&flags.access, &file.access),
            cors_origins: access::origins(flags.access.cors_origins, file.access.cors_origins)?,
            trusted_proxies: if flags.access.trusted_proxies.is_empty() {
                file.access.trusted_proxies
            } else {
                flags.access.trusted_proxies
            },
            limits: Limits::of(&flags.limits, &file.limits),
            answers: AnswerSettings::of(flags.answers, file.answers)?,
            files: FileWatch {
                watch: !flags.no_watch && file.watch.unwrap_or(true),
                probe: flags
                    .probe
                    .or(file.probe)
                    .map_or(FileWatch::default().probe, |Time(time)| time)
                    .max(Duration::from_millis(10)),
            },
        })
    }

    /// TTLs that do not suit their data, each with the reason.
    pub fn unsuitable(&self) -> Vec<String> {
        let mut found = Vec::new();
        for row in rows() {
            let ttl = self
                .cache
                .ttls
                .get(row.region)
                .copied()
                .unwrap_or_else(|| row.ttl(self.cache.preset));
            let (least, most) = (
                Duration::from_secs(row.suits.0),
                Duration::from_secs(row.suits.1),
            );
            let (shown, data) = (humantime::format_duration(ttl), row.data);
            if ttl < least {
                found.push(format!(
                    "{}: a TTL of {shown} is under {} s: {data} would be read from the store again and again",
                    row.region, row.suits.0
                ));
            } else if ttl > most {
                found.push(format!(
                    "{}: a TTL of {shown} is over {} s: an edit past this program would stay hidden as long",
                    row.region, row.suits.1
                ));
            }
        }
        found
    }
}

fn from_file(path: &PathBuf) -> Result<FromFile, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if text.trim().is_empty() {
        return Ok(FromFile::default());
    }
    serde_yaml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn known(region: &str) -> Result<(), String> {
    let names: Vec<_> = rows().iter().map(|row| row.region).collect();
    if names.contains(&region) {
        Ok(())
    } else {
        Err(format!(
            "there is no region {region}; the regions are {}",
            names.join(", ")
        ))
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (region, value) = text.split_once('=').ok_or("expected REGION=VALUE")?;
    Ok((region.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str, flags: Flags) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greenroom.yaml");
        std::fs::write(&path, text).unwrap();
        Settings::read(Flags {
            config: Some(path),
            ..flags
        })
    }

    #[test]
    fn a_flag_comes_before_the_file() {
        let flags = Flags {
            ttl: vec![("room_obj".into(), "7s".into())],
            ..Flags::default()
        };
        let settings =
            with_file("listen: 127.0.0.1:9\nregions:\n  room_obj: {ttl: 9s, capacity: 5}\n  agent_obj: {ttl: 1m}\n", flags).unwrap();
        assert_eq!(settings.listen.port(), 9);
        assert_eq!(settings.cache.ttls["room_obj"], Duration::from_secs(7));
        assert_eq!(settings.cache.ttls["agent_obj"], Duration::from_mins(1));
        assert_eq!(settings.cache.capacities["room_obj"], 5);
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
                    .contains(name),
                "{text}"
            );
        }
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        let text = "access: {token_secret: hidden-words, admin_password_hash: hidden-hash}\nlimits: {header_timeout: 5s, connections: 7}\n";
        let settings = with_file(text, Flags::default()).unwrap();
        assert_eq!(
            (settings.limits.connections, settings.limits.header_timeout),
            (7, Time(Duration::from_secs(5)))
        );
        assert_eq!(
            settings.limits.request_burst,
            Limits::default().request_burst
        );
        assert!(!format!("{settings:?}").contains("hidden"));
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
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
            assert!(with(wrong).unwrap_err().contains("origin"), "{wrong}");
        }
        assert!(
            Settings::read(Flags::default())
                .unwrap()
                .cors_origins
                .contains(&"http://localhost:5173".to_owned())
        );
    }

    #[test]
    fn ttls_outside_what_suits_their_data_are_told_with_the_reason() {
        assert_eq!(
            Settings::read(Flags::default()).unwrap().unsuitable(),
            Vec::<String>::new()
        );
        let flags = Flags {
            ttl: vec![
                ("room_obj".into(), "1ms".into()),
                ("agent_obj".into(), "2days".into()),
            ],
            ..Flags::default()
        };
        let found = Settings::read(flags).unwrap().unsuitable();
        assert_eq!(found.len(), 2);
        assert!(
            found[0].starts_with("agent_obj")
                && found[0].contains("hidden")
                && found[1].contains("again and again")
        );
    }
}
