//! Signed tokens: who the caller is, until when, and of which epoch of its role.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::{RoomId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use super::{
    Caller, Role,
    rates::{Rate, Share, TooMany},
};

/// How long a token is good.
const TOKEN_TTL: Duration = Duration::from_hours(7 * 24);
/// How long a ticket for an event stream is good.
const TICKET_TTL: Duration = Duration::from_mins(1);
/// Ours are under 400 bytes; longer ones are nobody's.
const MOST_BYTES: usize = 1_024;
/// Verified tokens that are remembered.
const REMEMBERED: usize = 10_000;
const AUDIENCE: &str = "greenroom";

/// Raised to refuse every token of a role that was issued before.
pub(super) struct Epochs {
    admin: AtomicU64,
    guest: AtomicU64,
}

/// Issues tokens, and tells whose a token is.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    /// The first signs; those before it are still good.
    decoding: Vec<DecodingKey>,
    pub(super) epochs: Epochs,
    rate: Rate,
    /// By the whole token, so that a look-up proves what verifying proved.
    verified: Cache<String, Arc<Verified>>,
}

/// A token whose signature was checked.
pub(crate) struct Verified {
    pub(crate) caller: Caller,
    expires: u64,
    epoch: u64,
    share: Share,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    sub: String,
    role: Role,
    epoch: u64,
    exp: u64,
    /// So that no two tokens are the same.
    #[serde(default)]
    jti: String,
    /// The only room that a ticket is good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<i64>,
}

impl Epochs {
    pub(super) fn new(admin: u64, guest: u64) -> Self {
        Self {
            admin: AtomicU64::new(admin),
            guest: AtomicU64::new(guest),
        }
    }

    fn of(&self, role: Role) -> u64 {
        let epoch = match role {
            Role::Admin => &self.admin,
            Role::Guest => &self.guest,
        };
        epoch.load(Ordering::SeqCst)
    }

    /// Both, after one was raised.
    pub(super) fn raise(&self, role: Role) -> (u64, u64) {
        let epoch = match role {
            Role::Admin => &self.admin,
            Role::Guest => &self.guest,
        };
        epoch.fetch_add(1, Ordering::SeqCst);
        (self.of(Role::Admin), self.of(Role::Guest))
    }
}

impl Tokens {
    /// `secrets` is not empty; the first signs.
    pub(super) fn new(secrets: &[String], epochs: Epochs, rate: Rate) -> Self {
        let signing = secrets.first().map_or(&[][..], |secret| secret.as_bytes());
        Self {
            encoding: EncodingKey::from_secret(signing),
            decoding: secrets
                .iter()
                .map(|secret| DecodingKey::from_secret(secret.as_bytes()))
                .collect(),
            epochs,
            rate,
            verified: Cache::new(REMEMBERED),
        }
    }

    pub(super) fn issue(&self, caller: &Caller) -> String {
        self.sign(caller, TOKEN_TTL, None)
    }

    /// Good for one room's event stream, where a browser cannot set a header.
    pub(crate) fn ticket(&self, caller: &Caller, room: RoomId) -> String {
        self.sign(caller, TICKET_TTL, Some(room.0))
    }

    fn sign(&self, caller: &Caller, ttl: Duration, room: Option<i64>) -> String {
        let (epoch, exp, jti) = (
            self.epochs.of(caller.role),
            now() + ttl.as_secs(),
            format!("{:016x}", rand::random::<u64>()),
        );
        let claims = Claims {
            aud: AUDIENCE.into(),
            sub: caller.user.to_string(),
            role: caller.role,
            epoch,
            exp,
            jti,
            room,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .expect("claims are JSON, and the key is a secret's")
    }

    /// Whose token this is; nobody's if it is forged, expired, revoked, or a ticket.
    pub(crate) fn verify(&self, token: &str) -> Option<Arc<Verified>> {
        self.verify_at(token, now())
    }

    fn verify_at(&self, token: &str, now: u64) -> Option<Arc<Verified>> {
        let verified = if let Some(verified) = self.verified.get(token) {
            verified
        } else {
            let (verified, room) = self.check(token)?;
            if room.is_some() {
                return None;
            }
            let verified = Arc::new(verified);
            self.verified.insert(token.to_owned(), verified.clone());
            verified
        };
        self.is_good(&verified, now).then_some(verified)
    }

    /// Whose ticket for this room this is.
    pub(crate) fn verify_ticket(&self, ticket: &str, room: RoomId) -> Option<Arc<Verified>> {
        let (verified, of) = self.check(ticket)?;
        (of == Some(room.0) && self.is_good(&verified, now())).then(|| Arc::new(verified))
    }

    fn is_good(&self, verified: &Verified, now: u64) -> bool {
        now < verified.expires && verified.epoch == self.epochs.of(verified.caller.role)
    }

    fn check(&self, token: &str) -> Option<(Verified, Option<i64>)> {
        if token.len() > MOST_BYTES {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        // Checked on each use, of remembered tokens too.
        validation.validate_exp = false;
        let claims = self
            .decoding
            .iter()
            .find_map(|key| decode::<Claims>(token, key, &validation).ok())?
            .claims;
        let user = UserId::parse(&claims.sub).ok()?;
        let is_admin = user == UserId::admin();
        if is_admin != (claims.role == Role::Admin) {
            return None;
        }
        let caller = Caller {
            user,
            role: claims.role,
        };
        Some((
            Verified {
                caller,
                expires: claims.exp,
                epoch: claims.epoch,
                share: self.rate.share(),
            },
            claims.room,
        ))
    }
}

impl Verified {
    /// Counts a request of this token.
    pub(crate) fn count(&self) -> Result<(), TooMany> {
        self.share.count()
    }
}

/// Seconds since 1970: expiry is a matter of calendars, not of freshness.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(secrets: &[&str]) -> Tokens {
        let secrets: Vec<_> = secrets.iter().map(ToString::to_string).collect();
        Tokens::new(&secrets, Epochs::new(0, 0), Rate::new(1_000, 1_000))
    }

    fn of(verified: Option<Arc<Verified>>) -> Option<Caller> {
        verified.map(|verified| verified.caller.clone())
    }

    #[test]
    fn a_token_is_good_for_seven_days_and_no_longer_however_often_it_was_used() {
        let tokens = tokens(&["secret"]);
        let token = tokens.issue(&Caller::admin());
        let week = 7 * 24 * 3_600;
        assert_eq!(
            of(tokens.verify_at(&token, now() + week - 5)),
            Some(Caller::admin())
        );
        assert_eq!(
            of(tokens.verify_at(&token, now() + week + 5)),
            None,
            "remembered, and expired all the same"
        );
        assert_eq!(of(tokens.verify(&token)), Some(Caller::admin()));
    }

    #[test]
    fn an_older_secret_still_verifies_and_no_longer_signs() {
        let old = tokens(&["old"]);
        let token = old.issue(&Caller::admin());
        assert!(tokens(&["new", "old"]).verify(&token).is_some());
        assert!(tokens(&["new"]).verify(&token).is_none());
        assert!(
            old.verify(&tokens(&["new", "old"]).issue(&Caller::admin()))
                .is_none()
        );
    }

    #[test]
    fn all_tokens_of_a_role_are_revoked_at_once() {
        let tokens = tokens(&["secret"]);
        let (admin, guest) = (
            tokens.issue(&Caller::admin()),
            tokens.issue(&Caller::new_guest()),
        );
        let ticket = tokens.ticket(&Caller::new_guest(), RoomId(7));
        assert!(tokens.verify(&admin).is_some() && tokens.verify(&guest).is_some());
        assert_eq!(tokens.epochs.raise(Role::Guest), (0, 1));
        assert!(tokens.verify(&admin).is_some() && tokens.verify(&guest).is_none());
        assert!(tokens.verify_ticket(&ticket, RoomId(7)).is_none());
        assert!(tokens.verify(&tokens.issue(&Caller::new_guest())).is_some());
    }

    #[test]
    fn a_ticket_is_good_for_its_room_and_nothing_else() {
        let tokens = tokens(&["secret"]);
        let caller = Caller::new_guest();
        let ticket = tokens.ticket(&caller, RoomId(7));
        assert_eq!(
            of(tokens.verify_ticket(&ticket, RoomId(7))),
            Some(caller.clone())
        );
        assert_eq!(of(tokens.verify_ticket(&ticket, RoomId(8))), None);
        assert!(tokens.verify(&ticket).is_none());
        assert_eq!(
            of(tokens.verify_ticket(&tokens.issue(&caller), RoomId(7))),
            None
        );
    }

    #[test]
    fn a_role_and_a_user_that_do_not_belong_together_are_nobody() {
        let tokens = tokens(&["secret"]);
        let mixed = [
            Caller {
                user: UserId::admin(),
                role: Role::Guest,
            },
            Caller {
                user: Caller::new_guest().user,
                role: Role::Admin,
            },
        ];
        for caller in mixed {
            assert!(tokens.verify(&tokens.issue(&caller)).is_none());
        }
    }
}
