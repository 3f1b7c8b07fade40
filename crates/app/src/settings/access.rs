//! Who may come in: passwords, secrets, origins, proxies.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

/// Access as flags, environment variables or a file give it.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Access")]
#[serde(default, deny_unknown_fields)]
pub struct AccessFlags {
    /// The administrator's password as an Argon2 or bcrypt hash, which `greenroom hash-password` makes; a flag is seen by
    /// everybody on the machine, the variable is not [default: one is made at the first start, on a loopback address]
    #[arg(
        long,
        env = "GREENROOM_ADMIN_PASSWORD_HASH",
        value_name = "HASH",
        hide_env_values = true,
        global = true
    )]
    pub admin_password_hash: Option<SecretString>,
    /// The guests' password in the same way [default: there are no guests]
    #[arg(
        long,
        env = "GREENROOM_GUEST_PASSWORD_HASH",
        value_name = "HASH",
        hide_env_values = true,
        global = true
    )]
    pub guest_password_hash: Option<SecretString>,
    /// What tokens are signed with, at least 32 bytes [default: made at the first start]
    #[arg(
        long,
        env = "GREENROOM_TOKEN_SECRET",
        value_name = "TEXT",
        hide_env_values = true,
        global = true
    )]
    pub token_secret: Option<SecretString>,
    /// The secret before that, whose tokens are still good
    #[arg(
        long,
        env = "GREENROOM_TOKEN_SECRET_PREVIOUS",
        value_name = "TEXT",
        hide_env_values = true,
        global = true
    )]
    pub token_secret_previous: Option<SecretString>,
    /// Where what is made at the first start is kept [default: greenroom-credentials.yaml]
    #[arg(
        long,
        env = "GREENROOM_CREDENTIALS",
        value_name = "FILE",
        global = true
    )]
    pub credentials: Option<PathBuf>,
    /// An origin whose pages may call, as `https://chat.example`; may be given several times [default: the usual local ones]
    #[arg(
        long = "cors-origin",
        env = "GREENROOM_CORS_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ',',
        global = true
    )]
    pub cors_origins: Vec<String>,
    /// A proxy whose X-Forwarded-For is believed, as 10.0.0.0/8; may be given several times [default: none]
    #[arg(
        long = "trusted-proxy",
        env = "GREENROOM_TRUSTED_PROXIES",
        value_name = "NETWORK",
        value_delimiter = ',',
        global = true
    )]
    pub trusted_proxies: Vec<IpNet>,
}

/// Passwords and secrets in force.
#[derive(Clone, Debug, Default)]
pub struct AuthSettings {
    /// The administrator's password as a hash.
    pub admin_password_hash: Option<SecretString>,
    /// The guests' password as a hash.
    pub guest_password_hash: Option<SecretString>,
    /// What tokens are signed with.
    pub token_secret: Option<SecretString>,
    /// The secret before that.
    pub token_secret_previous: Option<SecretString>,
    /// Where what is made is kept.
    pub credentials: PathBuf,
}

/// Where front ends are developed.
const LOCAL_ORIGINS: [&str; 6] = [
    "http://localhost:3000",
    "http://127.0.0.1:3000",
    "http://localhost:5173",
    "http://127.0.0.1:5173",
    "http://localhost:8080",
    "http://127.0.0.1:8080",
];

impl AuthSettings {
    pub(super) fn of(flags: &AccessFlags, file: &AccessFlags) -> Self {
        let first = |flag: &Option<SecretString>, file: &Option<SecretString>| {
            flag.clone().or_else(|| file.clone())
        };
        Self {
            admin_password_hash: first(&flags.admin_password_hash, &file.admin_password_hash),
            guest_password_hash: first(&flags.guest_password_hash, &file.guest_password_hash),
            token_secret: first(&flags.token_secret, &file.token_secret),
            token_secret_previous: first(&flags.token_secret_previous, &file.token_secret_previous),
            credentials: flags
                .credentials
                .clone()
                .or_else(|| file.credentials.clone())
                .unwrap_or_else(|| "greenroom-credentials.yaml".into()),
        }
    }
}

/// The origins in force; each is a scheme, a host and perhaps a port.
pub(super) fn origins(flags: Vec<String>, file: Vec<String>) -> Result<Vec<String>, String> {
    let named = if flags.is_empty() { file } else { flags };
    if named.is_empty() {
        return Ok(LOCAL_ORIGINS.map(str::to_owned).to_vec());
    }
    for origin in &named {
        let host = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        if host.is_none_or(|host| {
            host.is_empty()
                || host.contains('/')
                || !host.is_ascii()
                || host.contains(char::is_whitespace)
        }) {
            return Err(format!(
                "{origin} is not an origin: expected http:// or https://, a host, and perhaps a port, without a path"
            ));
        }
    }
    Ok(named)
}
