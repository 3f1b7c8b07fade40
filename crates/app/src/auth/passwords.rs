//! Password hashes: Argon2 in the PHC string format, or bcrypt.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use super::{caller::Role, error::AuthError};
use crate::bounds::HeavyPermit;

/// The maximum length of a password. The time to hash a password grows with its length, so this
/// bounds the cost of a login.
const MAX_BYTES: usize = 1_024;

/// Returns an Argon2id hash of a password, in the format that the settings accept.
pub fn hash_password(password: &str) -> Result<String, AuthError> {
    if password.is_empty() || password.len() > MAX_BYTES {
        return Err(AuthError::PasswordLength {
            max: MAX_BYTES,
            length: password.len(),
        });
    }
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(AuthError::Hash)
}

/// The password hashes of the roles. Without a guest hash, guests cannot log in.
#[derive(Clone)]
pub(super) struct Passwords {
    admin: String,
    guest: Option<String>,
}

impl Passwords {
    /// Checks the format of the hashes. The error names the role but does not contain the hash.
    pub(super) fn new(admin: String, guest: Option<String>) -> Result<Self, AuthError> {
        for (role, hash) in [("administrator", Some(&admin)), ("guest", guest.as_ref())] {
            if hash.is_some_and(|hash| !is_hash(hash)) {
                return Err(AuthError::InvalidHash { role });
            }
        }
        Ok(Self { admin, guest })
    }

    /// Returns the role that has this password, or `None` if no role has it.
    ///
    /// Checks the password against both hashes in any case, so that the response time does not
    /// reveal which of them matched. Hashing is slow on purpose, so it runs on a thread for
    /// blocking work. The thread holds `permit` until it has ended.
    pub(super) async fn role_of(&self, password: String, permit: HeavyPermit) -> Option<Role> {
        if password.len() > MAX_BYTES {
            return None;
        }
        let hashes = self.clone();
        let checked = tokio::task::spawn_blocking(move || {
            // The thread goes on if the caller is cancelled.
            let _permit = permit;
            let is_guest = hashes.guest.is_some_and(|hash| verifies(&password, &hash));
            if verifies(&password, &hashes.admin) {
                Some(Role::Admin)
            } else {
                is_guest.then_some(Role::Guest)
            }
        });
        checked.await.ok().flatten()
    }
}

fn is_hash(hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| hash.hash.is_some()) || is_bcrypt(hash)
}

fn is_bcrypt(hash: &str) -> bool {
    hash.parse::<bcrypt::HashParts>().is_ok()
}

fn verifies(password: &str, hash: &str) -> bool {
    if is_bcrypt(hash) {
        return bcrypt::verify(password, hash).unwrap_or(false);
    }
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::HeavyWork;

    #[tokio::test]
    async fn a_password_belongs_to_the_role_with_its_hash() {
        let (admin, guest) = (
            hash_password("tea").unwrap(),
            bcrypt::hash("cake", 4).unwrap(),
        );
        let passwords = Passwords::new(admin, Some(guest)).unwrap();
        let work = HeavyWork::default();
        for (password, role) in [
            ("tea", Some(Role::Admin)),
            ("cake", Some(Role::Guest)),
            ("", None),
            ("Tea", None),
        ] {
            let permit = work.begin_password().await.unwrap();
            let found = passwords.role_of(password.into(), permit).await;
            assert_eq!(found, role, "{password}");
        }
        let permit = work.begin_password().await.unwrap();
        let long = "x".repeat(MAX_BYTES + 1);
        assert_eq!(passwords.role_of(long, permit).await, None);
    }

    #[test]
    fn an_invalid_hash_is_refused_and_not_shown() {
        for text in ["", "tea", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$12$short"] {
            let error = Passwords::new(text.into(), None).err().unwrap().to_string();
            assert!(
                error.contains("administrator") && (text.is_empty() || !error.contains(text)),
                "{error}"
            );
        }
        assert!(hash_password("").is_err() && hash_password(&"x".repeat(MAX_BYTES + 1)).is_err());
    }
}
