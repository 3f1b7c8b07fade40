//! The credentials file. It stores the generated password hash and token secret, which settings
//! override, and the token epochs of the roles.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{error::AuthError, passwords::hash_password, tokens::Epochs};
use crate::settings::AuthSettings;

/// The minimum length of a token secret. HS256 uses a key of 256 bits, and a shorter secret is
/// easier to guess.
const MIN_SECRET_BYTES: usize = 32;

/// The credentials file, and a copy of its content in memory.
pub(super) struct CredentialsFile {
    path: PathBuf,
    content: Mutex<Content>,
}

/// The credentials in force, from the settings or from the file.
pub(super) struct ActiveCredentials {
    pub(super) admin_password_hash: String,
    pub(super) guest_password_hash: Option<String>,
    /// The secrets whose tokens are valid. The first one signs new tokens.
    pub(super) token_secrets: Vec<String>,
    pub(super) epochs: Epochs,
    /// The administrator's password, if this start of the server generated it.
    pub(super) generated_password: Option<String>,
    /// `true` if the password or the secret was generated now.
    pub(super) is_generated: bool,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_password_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_secret: Option<String>,
    admin_epoch: u64,
    guest_epoch: u64,
}

impl CredentialsFile {
    /// Reads the file and merges it with the settings, which take precedence.
    ///
    /// Generates a missing token secret and, if `is_loopback`, a missing administrator's password.
    /// Writes the file only if something was generated.
    pub(super) fn open(
        settings: &AuthSettings,
        is_loopback: bool,
    ) -> Result<(Self, ActiveCredentials), AuthError> {
        let path = settings.credentials.clone();
        let before = read(&path)?;
        let (content, active) = complete(&before, settings, is_loopback)?;
        if content != before {
            write(&path, &content)?;
        }
        let file = Self {
            path,
            content: Mutex::new(content),
        };
        Ok((file, active))
    }

    /// Returns the credentials that [`CredentialsFile::open`] would return. Writes nothing, but
    /// fails if the file would have to be written and cannot be.
    pub(super) fn check(
        settings: &AuthSettings,
        is_loopback: bool,
    ) -> Result<ActiveCredentials, AuthError> {
        let before = read(&settings.credentials)?;
        let active = complete(&before, settings, is_loopback)?.1;
        if active.is_generated {
            require_writable(&settings.credentials)?;
        }
        Ok(active)
    }

    /// Stores the epochs, so that revoked tokens stay revoked after a restart. Never lowers an
    /// epoch.
    pub(super) fn save_epochs(&self, epochs: Epochs) -> Result<(), AuthError> {
        // The lock is held during the write, so that the second of two concurrent writers writes
        // both changes.
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        // Takes the maximum, because two concurrent revocations may arrive here in the opposite
        // order.
        content.admin_epoch = content.admin_epoch.max(epochs.admin);
        content.guest_epoch = content.guest_epoch.max(epochs.guest);
        write(&self.path, &content)
    }
}

/// Merges the content of the credentials file with the settings, and generates what is missing.
/// Returns the new content of the file, and the credentials in force.
fn complete(
    before: &Content,
    settings: &AuthSettings,
    is_loopback: bool,
) -> Result<(Content, ActiveCredentials), AuthError> {
    let mut content = before.clone();
    let configured_hash = exposed(settings.admin_password_hash.as_ref());
    // Beyond loopback, a password must be configured. A generated password is printed only on
    // this machine, so users of other machines could not know it.
    if configured_hash.is_none() && !is_loopback {
        return Err(AuthError::NoPassword);
    }
    let mut generated_password = None;
    let admin_password_hash =
        if let Some(hash) = configured_hash.or_else(|| content.admin_password_hash.clone()) {
            hash
        } else {
            let password = random_hex();
            let hash = hash_password(&password)?;
            content.admin_password_hash = Some(hash.clone());
            generated_password = Some(password);
            hash
        };
    let token_secret = exposed(settings.token_secret.as_ref()).unwrap_or_else(|| {
        let secret = content
            .token_secret
            .get_or_insert_with(|| random_hex() + &random_hex());
        secret.clone()
    });
    let metrics_token = exposed(settings.metrics_token.as_ref());
    let previous_secret = exposed(settings.token_secret_previous.as_ref());
    let token_secrets: Vec<_> = [token_secret].into_iter().chain(previous_secret).collect();
    if let Some(short) = token_secrets
        .iter()
        .chain(&metrics_token)
        .find(|secret| secret.len() < MIN_SECRET_BYTES)
    {
        return Err(AuthError::ShortSecret {
            min: MIN_SECRET_BYTES,
            length: short.len(),
        });
    }
    let active = ActiveCredentials {
        admin_password_hash,
        guest_password_hash: exposed(settings.guest_password_hash.as_ref()),
        token_secrets,
        epochs: Epochs {
            admin: content.admin_epoch,
            guest: content.guest_epoch,
        },
        generated_password,
        is_generated: content != *before,
    };
    Ok((content, active))
}

fn exposed(secret: Option<&SecretString>) -> Option<String> {
    secret.map(|secret| secret.expose_secret().to_owned())
}

/// Returns 128 random bits as 32 hexadecimal digits.
fn random_hex() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn read(path: &Path) -> Result<Content, AuthError> {
    match fs::read_to_string(path) {
        // The parser's error is dropped, because it may quote a secret.
        Ok(text) => serde_yaml::from_str(&text).map_err(|_| AuthError::DamagedFile {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::default()),
        Err(error) => Err(AuthError::File {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Fails if a file cannot be created beside `path`. Leaves none behind.
fn require_writable(path: &Path) -> Result<(), AuthError> {
    let folder = path
        .ancestors()
        .skip(1)
        .map(|folder| {
            if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            }
        })
        .find(|folder| folder.exists());
    let created = tempfile::tempfile_in(folder.unwrap_or(Path::new(".")));
    created.map(drop).map_err(|error| AuthError::File {
        path: path.to_owned(),
        error,
    })
}

/// Replaces the file atomically. Only the file's owner may read the new file.
fn write(path: &Path, content: &Content) -> Result<(), AuthError> {
    let text = serde_yaml::to_string(content).expect("strings and numbers are valid YAML");
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let replace = || {
        fs::create_dir_all(folder)?;
        // Temporary files are created with permissions for their owner alone.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(
            file,
            "# Generated by greenroom. Keep this file secret.\n{text}"
        )?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The rename is durable only once the folder is synced, too.
        fs::File::open(folder)?.sync_all()
    };
    replace().map_err(|error: io::Error| AuthError::File {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &Path) -> AuthSettings {
        AuthSettings {
            credentials: folder.join("credentials.yaml"),
            ..AuthSettings::default()
        }
    }

    #[test]
    fn a_password_is_generated_once_and_only_the_owner_may_read_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (_, first) = CredentialsFile::open(&settings(folder.path()), true).unwrap();
        let password = first.generated_password.unwrap();
        let (_, second) = CredentialsFile::open(&settings(folder.path()), true).unwrap();
        assert_eq!(
            (second.generated_password, &second.admin_password_hash),
            (None, &first.admin_password_hash)
        );
        assert_eq!(second.token_secrets, first.token_secrets);
        let text = fs::read_to_string(folder.path().join("credentials.yaml")).unwrap();
        assert!(!text.contains(&password));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join("credentials.yaml"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0, "{mode:o}");
        }
    }

    #[test]
    fn beyond_loopback_a_password_must_be_configured() {
        let folder = tempfile::tempdir().unwrap();
        let error = CredentialsFile::open(&settings(folder.path()), false)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("GREENROOM_ADMIN_PASSWORD_HASH"), "{error}");
        // A generated password does not count as a configured one.
        CredentialsFile::open(&settings(folder.path()), true).unwrap();
        assert!(CredentialsFile::open(&settings(folder.path()), false).is_err());
        let configured = AuthSettings {
            admin_password_hash: Some(hash_password("tea").unwrap().into()),
            ..settings(folder.path())
        };
        assert!(CredentialsFile::open(&configured, false).is_ok());
    }

    #[test]
    fn epochs_outlive_a_restart_and_short_secrets_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (credentials, _) = CredentialsFile::open(&settings(folder.path()), true).unwrap();
        for (admin, guest) in [(0, 2), (1, 1)] {
            credentials.save_epochs(Epochs { admin, guest }).unwrap();
        }
        let (_, active) = CredentialsFile::open(&settings(folder.path()), true).unwrap();
        let highest = Epochs { admin: 1, guest: 2 };
        assert_eq!(active.epochs, highest);
        let short = AuthSettings {
            token_secret: Some("short".into()),
            ..settings(folder.path())
        };
        assert!(
            CredentialsFile::open(&short, true)
                .err()
                .unwrap()
                .to_string()
                .contains("32 bytes")
        );
    }
}
