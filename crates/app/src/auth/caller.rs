//! Callers and their roles.

use domain::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The permissions of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything.
    Admin,
    /// May use its own rooms.
    Guest,
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `admin`, or a guest's id.
    pub user: UserId,
    /// The caller's permissions.
    pub role: Role,
}

impl Caller {
    /// Returns the administrator as a caller.
    pub fn admin() -> Self {
        Self {
            user: UserId::admin(),
            role: Role::Admin,
        }
    }

    /// Returns a guest with a new random id.
    pub fn new_guest() -> Self {
        let user = UserId::parse(&format!("guest-{:032x}", rand::random::<u128>()))
            .expect("letters, digits and a hyphen are a valid id");
        Self {
            user,
            role: Role::Guest,
        }
    }
}
