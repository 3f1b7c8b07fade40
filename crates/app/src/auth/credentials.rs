//! The credentials' file: what the program made by itself because no setting names it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Mutex,
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::passwords::hash_password;
use crate::settings::AuthSettings;

/// Shorter secrets could be guessed.
const LEAST_SECRET_BYTES: usize = 32;

/// The file, and what stands in it.
pub(super) struct Credentials {
    path: PathBuf,
    saved: Mutex<Saved>,
}

/// What is in force.
pub(super) struct Known {
    pub(super) admin_password_hash: String,
    pub(super) guest_password_hash: Option<String>,
    /// The first signs.
    pub(super) token_secrets: Vec<String>,
    pub(super) admin_epoch: u64,
    pub(super) guest_epoch: u64,
    pub(super) made_password: Option<String>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Saved {
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_password_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_secret: Option<String>,
    admin_epoch: u64,
    guest_epoch: u64,
}

impl Credentials {
    /// Makes what no setting and no file names: a password for the administrator, on a loopback address only, and a
    /// secret to sign with.
    pub(super) fn open(
        settings: &AuthSettings,
        is_loopback: bool,
    ) -> Result<(Self, Known), String> {
        let path = settings.credentials.clone();
        let before = read(&path)?;
        let mut saved = before.clone();
        let exposed = |secret: &Option<SecretString>| {
            secret
                .as_ref()
                .map(|secret| secret.expose_secret().to_owned())
        };
        let mut made_password = None;
        let configured = exposed(&settings.admin_password_hash);
        if configured.is_none() && !is_loopback {
            return Err("without a configured administrator's password the server listens on a loopback address only: set \
                        GREENROOM_ADMIN_PASSWORD_HASH to what `greenroom hash-password` prints"
                .into());
        }
        let admin_password_hash =
            if let Some(hash) = configured.or_else(|| saved.admin_password_hash.clone()) {
                hash
            } else {
                let password = format!("{:032x}", rand::random::<u128>());
                let hash = hash_password(&password)?;
                saved.admin_password_hash = Some(hash.clone());
                made_password = Some(password);
                hash
            };
        let token_secret = match exposed(&settings.token_secret) {
            Some(secret) => secret,
            None => saved
                .token_secret
                .get_or_insert_with(|| {
                    format!(
                        "{:032x}{:032x}",
                        rand::random::<u128>(),
                        rand::random::<u128>()
                    )
                })
                .clone(),
        };
        let token_secrets: Vec<_> = [Some(token_secret), exposed(&settings.token_secret_previous)]
            .into_iter()
            .flatten()
            .collect();
        if token_secrets
            .iter()
            .any(|secret| secret.len() < LEAST_SECRET_BYTES)
        {
            return Err(format!(
                "a token secret has at least {LEAST_SECRET_BYTES} bytes"
            ));
        }
        if saved != before {
            write(&path, &saved)?;
        }
        let known = Known {
            admin_password_hash,
            guest_password_hash: exposed(&settings.guest_password_hash),
            token_secrets,
            admin_epoch: saved.admin_epoch,
            guest_epoch: saved.guest_epoch,
            made_password,
        };
        Ok((
            Self {
                path,
                saved: Mutex::new(saved),
            },
            known,
        ))
    }

    /// Remembers the epochs over a restart.
    pub(super) fn save_epochs(&self, (admin, guest): (u64, u64)) -> Result<(), String> {
        let mut saved = self
            .saved
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Of two that revoke at a time the later raise counts, whoever saves last.
        saved.admin_epoch = saved.admin_epoch.max(admin);
        saved.guest_epoch = saved.guest_epoch.max(guest);
        write(&self.path, &saved)
    }
}

fn read(path: &Path) -> Result<Saved, String> {
    match fs::read_to_string(path) {
        Ok(text) => serde_yaml::from_str(&text)
            .map_err(|_| format!("{}: not a credentials' file", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Saved::default()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Whole or not at all, and for nobody else to read.
fn write(path: &Path, saved: &Saved) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(told)?;
    // Made for its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(told)?;
    let text = serde_yaml::to_string(saved).map_err(|error| error.to_string())?;
    writeln!(file, "# Made by greenroom; keep it secret.\n{text}").map_err(told)?;
    file.as_file().sync_all().map_err(told)?;
    file.persist(path).map_err(|error| told(error.error))?;
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(told)
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
    fn a_password_is_made_once_and_nobody_else_may_read_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (_, first) = Credentials::open(&settings(folder.path()), true).unwrap();
        let password = first.made_password.unwrap();
        let (_, second) = Credentials::open(&settings(folder.path()), true).unwrap();
        assert_eq!(
            (second.made_password, &second.admin_password_hash),
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
        let error = Credentials::open(&settings(folder.path()), false)
            .err()
            .unwrap();
        assert!(error.contains("GREENROOM_ADMIN_PASSWORD_HASH"), "{error}");
        // One that was made by itself is known to this machine only.
        Credentials::open(&settings(folder.path()), true).unwrap();
        assert!(Credentials::open(&settings(folder.path()), false).is_err());
        let configured = AuthSettings {
            admin_password_hash: Some(hash_password("tea").unwrap().into()),
            ..settings(folder.path())
        };
        assert!(Credentials::open(&configured, false).is_ok());
    }

    #[test]
    fn epochs_outlive_a_restart_and_short_secrets_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (credentials, _) = Credentials::open(&settings(folder.path()), true).unwrap();
        credentials.save_epochs((0, 2)).unwrap();
        credentials.save_epochs((1, 1)).unwrap();
        let (_, known) = Credentials::open(&settings(folder.path()), true).unwrap();
        assert_eq!((known.admin_epoch, known.guest_epoch), (1, 2));
        let short = AuthSettings {
            token_secret: Some("short".into()),
            ..settings(folder.path())
        };
        assert!(
            Credentials::open(&short, true)
                .err()
                .unwrap()
                .contains("32 bytes")
        );
    }
}
