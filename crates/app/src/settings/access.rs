//! Settings that decide who may call: passwords, secrets, origins and proxies.

use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;

use super::{error::SettingsError, table::settings_table};

settings_table! {
    /// Access settings of one source.
    #[command(next_help_heading = "Access")]
    pub struct AccessFlags {
        /// Administrator password as an Argon2 or bcrypt hash; create one with `greenroom
        /// hash-password`; prefer the variable, because other users of the machine can see flags
        /// [default: on a loopback address, a password is generated at the first start]
        #[arg(hide_env_values = true)]
        admin_password_hash: SecretString, "GREENROOM_ADMIN_PASSWORD_HASH", "HASH";
        /// Guest password as an Argon2 or bcrypt hash [default: guests cannot log in]
        #[arg(hide_env_values = true)]
        guest_password_hash: SecretString, "GREENROOM_GUEST_PASSWORD_HASH", "HASH";
        /// Secret that signs tokens; at least 32 bytes [default: generated at the first start]
        #[arg(hide_env_values = true)]
        token_secret: SecretString, "GREENROOM_TOKEN_SECRET", "TEXT";
        /// Previous token secret, whose tokens stay valid
        #[arg(hide_env_values = true)]
        token_secret_previous: SecretString, "GREENROOM_TOKEN_SECRET_PREVIOUS", "TEXT";
        /// Token with which a monitoring system may read /metrics; at least 32 bytes [default: only
        /// the administrator may]
        #[arg(hide_env_values = true)]
        metrics_token: SecretString, "GREENROOM_METRICS_TOKEN", "TEXT";
        /// File for the password hash and the secret that are generated at the first start
        credentials: PathBuf = "greenroom-credentials.yaml", "GREENROOM_CREDENTIALS", "FILE";
    }
    lists {
        /// Origin whose pages may call the server, such as `https://chat.example`; may be given
        /// several times [default: the usual origins of local development]
        cors_origins: String, "cors-origin", "GREENROOM_CORS_ORIGINS", "ORIGIN";
        /// Network of a proxy whose X-Forwarded-For header is trusted, such as 10.0.0.0/8; may be
        /// given several times [default: none]
        trusted_proxies: IpNet, "trusted-proxy", "GREENROOM_TRUSTED_PROXIES", "NETWORK";
    }
}

/// The passwords and secrets in force.
#[derive(Clone, Debug, Default)]
pub struct AuthSettings {
    /// The administrator's password as a hash.
    pub admin_password_hash: Option<SecretString>,
    /// The guests' password as a hash.
    pub guest_password_hash: Option<SecretString>,
    /// The secret that signs tokens.
    pub token_secret: Option<SecretString>,
    /// The previous secret, whose tokens stay valid.
    pub token_secret_previous: Option<SecretString>,
    /// The token with which a monitoring system may read the metrics.
    pub metrics_token: Option<SecretString>,
    /// The file for generated credentials.
    pub credentials: PathBuf,
}

/// The usual origins of development servers for front ends.
const LOCAL_ORIGINS: [&str; 6] = [
    "http://localhost:3000",
    "http://127.0.0.1:3000",
    "http://localhost:5173",
    "http://127.0.0.1:5173",
    "http://localhost:8080",
    "http://127.0.0.1:8080",
];

/// Returns the allowed origins: those that are configured, or else [`LOCAL_ORIGINS`].
pub(super) fn origins(configured: Vec<String>) -> Result<Vec<String>, SettingsError> {
    if configured.is_empty() {
        return Ok(LOCAL_ORIGINS.map(str::to_owned).to_vec());
    }
    match configured.iter().find(|origin| !is_origin(origin)) {
        Some(origin) => Err(SettingsError::Invalid {
            name: "`access.cors_origins`".to_owned(),
            expected: "an origin such as `https://chat.example:8443`, without a path",
            value: origin.clone(),
        }),
        None => Ok(configured),
    }
}

fn is_origin(text: &str) -> bool {
    text.strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .is_some_and(|host| {
            !host.is_empty()
                && host.is_ascii()
                && !host.contains('/')
                && !host.contains(char::is_whitespace)
        })
}
