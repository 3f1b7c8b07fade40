//! Passwords as hashes: Argon2 in the PHC format, or bcrypt.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use super::Role;

/// Longer ones are nobody's, and would cost time to hash.
const MOST_BYTES: usize = 1_024;

/// An Argon2id hash of a password, as the settings take it.
pub fn hash_password(password: &str) -> Result<String, String> {
    if password.is_empty() || password.len() > MOST_BYTES {
        return Err(format!("a password has 1 to {MOST_BYTES} bytes"));
    }
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// The configured hashes.
#[derive(Clone)]
pub(super) struct Passwords {
    admin: String,
    guest: Option<String>,
}

impl Passwords {
    pub(super) fn new(admin: String, guest: Option<String>) -> Result<Self, String> {
        for (role, hash) in [("administrator", Some(&admin)), ("guest", guest.as_ref())] {
            if hash.is_some_and(|hash| !is_hash(hash)) {
                return Err(format!(
                    "the {role}'s password hash is neither Argon2 nor bcrypt: `greenroom hash-password` makes one"
                ));
            }
        }
        Ok(Self { admin, guest })
    }

    /// Whose password this is. Both hashes are computed, so that the time does not tell which was tried.
    pub(super) async fn role_of(&self, password: String) -> Option<Role> {
        if password.len() > MOST_BYTES {
            return None;
        }
        let hashes = self.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let is_guest = hashes.guest.is_some_and(|hash| verifies(&password, &hash));
            if verifies(&password, &hashes.admin) {
                Some(Role::Admin)
            } else {
                is_guest.then_some(Role::Guest)
            }
        });
        checked.await.ok()?
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

    #[tokio::test]
    async fn a_password_is_that_of_the_role_whose_hash_it_has() {
        let (admin, guest) = (
            hash_password("tea").unwrap(),
            bcrypt::hash("cake", 4).unwrap(),
        );
        let passwords = Passwords::new(admin, Some(guest)).unwrap();
        for (password, role) in [
            ("tea", Some(Role::Admin)),
            ("cake", Some(Role::Guest)),
            ("", None),
            ("Tea", None),
        ] {
            assert_eq!(passwords.role_of(password.into()).await, role, "{password}");
        }
        assert_eq!(passwords.role_of("x".repeat(MOST_BYTES + 1)).await, None);
    }

    #[test]
    fn what_is_no_hash_is_refused_without_being_shown() {
        for text in ["", "tea", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$12$short"] {
            let error = Passwords::new(text.into(), None).err().unwrap();
            assert!(
                error.contains("administrator") && (text.is_empty() || !error.contains(text)),
                "{error}"
            );
        }
        assert!(hash_password("").is_err() && hash_password(&"x".repeat(MOST_BYTES + 1)).is_err());
    }
}
