//! All settings of one source: the command line with the environment, or the file.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use cache_adapter::{Options, Preset};

use super::{
    access::AccessFlags,
    answers::AnswerFlags,
    error::SettingsError,
    files::FileWatch,
    limits::LimitFlags,
    regions::{RegionFlag, RegionOptions},
    table::settings_table,
    value::{LogFilter, SettingValue},
};

/// The name of a [`Preset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresetName {
    /// Short TTLs, the defaults.
    Classic,
    /// Long TTLs. They are safe because each write invalidates what it makes stale.
    Coherent,
}

impl SettingValue for PresetName {
    const EXPECTED: &'static str = "`classic` or `coherent`";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "classic" => Some(Self::Classic),
            "coherent" => Some(Self::Coherent),
            _ => None,
        }
    }
}

impl From<PresetName> for Preset {
    fn from(name: PresetName) -> Self {
        match name {
            PresetName::Classic => Self::Classic,
            PresetName::Coherent => Self::Coherent,
        }
    }
}

settings_table! {
    /// Settings of one source: flags and environment variables, or the file.
    ///
    /// A setting that the source does not give is `None`, an empty list or `false`.
    pub struct Flags {
        /// Address to listen on, or a port alone; port 0 picks a free one
        listen: SocketAddr = "127.0.0.1:8001", "GREENROOM_LISTEN", "ADDRESS:PORT";
        /// Database to use: `sqlite:FILE` or `postgres://USER@HOST/NAME`
        #[arg(hide_env_values = true)]
        database: String = "sqlite:greenroom.db", "GREENROOM_DATABASE", "ADDRESS";
        /// Folder with the agents' files
        agents: PathBuf = "agents", "GREENROOM_AGENTS", "FOLDER";
        /// TTLs to start from: classic (short) or coherent (long)
        preset: PresetName = "classic", "GREENROOM_PRESET", "PRESET";
        /// Refresh the values that polls read, in the background, after half of their TTL
        refresh_ahead: bool = "true", "GREENROOM_REFRESH_AHEAD", "true|false";
        /// Largest request body, in bytes
        max_body_bytes: usize = "10485760", "GREENROOM_MAX_BODY_BYTES", "BYTES";
        /// Most messages to keep in memory for each room; at least 200
        tail_messages: usize = Options::default().tail.messages,
            "GREENROOM_TAIL_MESSAGES", "NUMBER";
        /// Most bytes of messages to keep in memory for each room
        tail_bytes: usize = Options::default().tail.bytes, "GREENROOM_TAIL_BYTES", "BYTES";
        /// Log lines to write, such as `info` or `warn,cache=debug`
        log: LogFilter = "info", "GREENROOM_LOG", "FILTER";
        /// Time after which a client that reads nothing is disconnected
        write_timeout: Duration = "30s", "GREENROOM_WRITE_TIMEOUT", "TIME";
        /// Address on which `/metrics` and `/health` need no token [default: none]
        metrics_listen: SocketAddr, "GREENROOM_METRICS_LISTEN", "ADDRESS:PORT";
        /// Address of a collector that traces are exported to over OTLP [default: none]
        #[arg(hide_env_values = true)]
        otlp: String, "GREENROOM_OTLP", "URL";
        /// Folder with a built single-page front end to serve at /
        frontend: PathBuf, "GREENROOM_FRONTEND", "FOLDER";
        /// How often to check the files of recently read agents; at least 10ms
        probe: Duration = humantime::format_duration(FileWatch::default().probe),
            "GREENROOM_PROBE", "TIME";
    }
    plus {
        /// YAML file with settings; flags and environment variables override it
        #[arg(long, env = "GREENROOM_CONFIG", value_name = "FILE", global = true)]
        #[serde(skip)]
        pub config: Option<PathBuf>,
        /// TTL of one region, such as `room_obj=45s`; may be given several times
        #[arg(
            long,
            env = "GREENROOM_TTL",
            value_name = "REGION=TIME",
            value_delimiter = ',',
            global = true,
            value_parser = RegionFlag::flag_parser()
        )]
        #[serde(skip)]
        pub ttl: Vec<RegionFlag>,
        /// Capacity of one region, such as `room_obj=5000`; in entries, for `room_messages` and
        /// `message_image` in bytes; may be given several times
        #[arg(
            long,
            env = "GREENROOM_CAPACITY",
            value_name = "REGION=NUMBER",
            value_delimiter = ',',
            global = true,
            value_parser = RegionFlag::flag_parser()
        )]
        #[serde(skip)]
        pub capacity: Vec<RegionFlag>,
        /// Do not create sample agents when the agents' folder does not exist
        #[arg(long, env = "GREENROOM_NO_SAMPLES", global = true)]
        #[serde(skip)]
        pub no_samples: bool,
        /// Do not serve the page at /ui/
        #[arg(long, env = "GREENROOM_NO_PAGE", global = true)]
        #[serde(skip)]
        pub no_page: bool,
        /// Do not ask the operating system to report changes of agents' files; they are still
        /// checked at the interval of `--probe`
        #[arg(long, env = "GREENROOM_NO_WATCH", global = true)]
        #[serde(skip)]
        pub no_watch: bool,
        /// TTLs and capacities by region, in the file.
        #[arg(skip)]
        pub regions: BTreeMap<String, RegionOptions>,
        /// The opposite of `no_samples`, in the file.
        #[arg(skip)]
        pub samples: Option<bool>,
        /// The opposite of `no_page`, in the file.
        #[arg(skip)]
        pub page: Option<bool>,
        /// The opposite of `no_watch`, in the file.
        #[arg(skip)]
        pub watch: Option<bool>,
        /// Passwords, secrets, origins and proxies.
        #[command(flatten)]
        pub access: AccessFlags,
        /// Limits on requests, sizes and times.
        #[command(flatten)]
        pub limits: LimitFlags,
        /// How agents answer.
        #[command(flatten)]
        pub answers: AnswerFlags,
    }
}

impl Flags {
    /// Reads the settings file. An empty file has no settings.
    pub(super) fn from_file(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path).map_err(|error| SettingsError::Read {
            path: path.to_owned(),
            error,
        })?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_yaml::from_str(&text).map_err(|error| SettingsError::Parse {
            path: path.to_owned(),
            error,
        })
    }
}
