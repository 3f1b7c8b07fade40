//! Who calls: passwords, signed tokens, and how often each caller may ask.

mod credentials;
mod passwords;
mod proxies;
mod rates;
mod tokens;

use std::fmt;

use domain::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::settings::Settings;

use credentials::Credentials;
use passwords::Passwords;
pub use passwords::hash_password;
pub(crate) use proxies::Proxies;
use rates::Rates;
pub(crate) use rates::{Rate, TooMany};
pub(crate) use tokens::Verified;
use tokens::{Epochs, Tokens};

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// What concerns its own rooms.
    Guest,
}

/// A caller that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `admin`, or a guest's id.
    pub user: UserId,
    /// What it may do.
    pub role: Role,
}

impl Caller {
    /// The administrator.
    pub fn admin() -> Self {
        Self {
            user: UserId::admin(),
            role: Role::Admin,
        }
    }

    /// A guest that nobody was before.
    pub fn new_guest() -> Self {
        let user = UserId::parse(&format!("guest-{:032x}", rand::random::<u128>()))
            .expect("letters, digits and a hyphen");
        Self {
            user,
            role: Role::Guest,
        }
    }
}

/// Decides who calls.
pub struct Auth {
    passwords: Passwords,
    credentials: Credentials,
    pub(crate) tokens: Tokens,
    pub(crate) rates: Rates,
    pub(crate) proxies: Proxies,
    /// An administrator's password that was made now, to be shown once.
    made: Option<String>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

impl Auth {
    /// From the settings, and from the credentials' file where they name none. The error is for people.
    pub fn open(settings: &Settings) -> Result<Self, String> {
        let (credentials, known) =
            Credentials::open(&settings.auth, settings.listen.ip().is_loopback())?;
        let epochs = Epochs::new(known.admin_epoch, known.guest_epoch);
        Ok(Self {
            passwords: Passwords::new(known.admin_password_hash, known.guest_password_hash)?,
            tokens: Tokens::new(&known.token_secrets, epochs, settings.limits.rate()),
            rates: Rates::new(&settings.limits),
            proxies: Proxies::new(settings.trusted_proxies.clone()),
            credentials,
            made: known.made_password,
        })
    }

    /// The administrator's password, if it was made when this was opened.
    pub fn made_password(&self) -> Option<&str> {
        self.made.as_deref()
    }

    /// Who has this password; nobody, if it is none of the configured ones.
    pub(crate) async fn log_in(&self, password: String) -> Option<Caller> {
        match self.passwords.role_of(password).await? {
            Role::Admin => Some(Caller::admin()),
            Role::Guest => Some(Caller::new_guest()),
        }
    }

    /// A token of this caller, good for seven days.
    pub fn issue(&self, caller: &Caller) -> String {
        self.tokens.issue(caller)
    }

    /// No token of this role that was issued before is good any more.
    pub(crate) fn revoke(&self, role: Role) -> Result<(), String> {
        self.credentials.save_epochs(self.tokens.epochs.raise(role))
    }
}
