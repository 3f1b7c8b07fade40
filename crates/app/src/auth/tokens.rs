//! Signed tokens (JWTs). Each contains a caller, an expiry time and an epoch of the caller's role.
//!
//! All tokens of a role are revoked by starting a new epoch.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use cache_core::{Clock, Front, Manager, Policy, Region, Runtime, Unknown};
use domain::{RoomId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::sleep};

use super::{
    caller::{Caller, Role},
    rates::{Rate, TokenQuota, TooMany},
};

/// The lifetime of a token. Using a token does not extend it, so users log in again after a week.
const TOKEN_TTL: Duration = Duration::from_hours(7 * 24);
/// The lifetime of a ticket, which is a token for one event stream. It is short, because the ticket
/// is part of a URL, and proxies may log URLs.
const TICKET_TTL: Duration = Duration::from_mins(1);
/// The interval at which a stream checks that its token is still valid. Revocations are noticed at
/// once, so this bounds only the effect of changes of the wall clock.
const RECHECK: Duration = Duration::from_secs(15);
/// The maximum length of a token that is checked. Issued tokens have less than 400 bytes.
const MAX_BYTES: usize = 1_024;
/// The maximum number of cached verified tokens. A cached token costs a look-up instead of the
/// verification of a signature.
const CACHED_TOKENS: u64 = 10_000;
/// The maximum number of guests whose quotas are kept.
const CACHED_QUOTAS: usize = 10_000;
const AUDIENCE: &str = "greenroom";

/// The epoch of each role, a number that each revocation increments. A token is valid only in the
/// epoch in which it was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epochs {
    pub(super) admin: u64,
    pub(super) guest: u64,
}

/// The current epoch of each role.
struct CurrentEpochs {
    admin: AtomicU64,
    guest: AtomicU64,
}

/// The keys that sign and verify tokens.
struct Keys {
    secrets: Vec<String>,
    encoding: EncodingKey,
    /// The keys of the current and of the previous secret. Tokens signed with the previous secret
    /// stay valid.
    decoding: Vec<DecodingKey>,
}

/// The issuer and verifier of tokens.
pub(crate) struct Tokens {
    keys: ArcSwap<Keys>,
    /// The number of times that the keys were replaced.
    keys_version: AtomicU64,
    epochs: CurrentEpochs,
    /// Notified after each revocation.
    revoked: watch::Sender<()>,
    /// The rate limit of tokens that are verified from now on.
    rate: Mutex<Rate>,
    /// Tokens whose signature was verified. The key is the whole token including its signature, so
    /// a hit proves that the signature is valid.
    verified: Region<String, Arc<Verified>>,
    /// Front of these tokens, so that requests with different tokens do not wait for each other.
    recently_verified: Front<String, Arc<Verified>, Arc<Verified>>,
    /// The quotas of guests.
    quotas: Cache<UserId, Arc<TokenQuota>>,
}

/// A token whose signature is valid.
pub(crate) struct Verified {
    pub(crate) caller: Caller,
    expires: u64,
    epoch: u64,
    /// The version of the keys with which the token was verified, or an older one.
    keys_version: u64,
    /// Shared by all tokens of a guest, so that a renewed token is no fresh quota.
    quota: Arc<TokenQuota>,
}

/// A verified token. If it is a ticket, also the room to which it is restricted, and the expiry
/// time of the token for which it was issued.
struct Checked {
    token: Verified,
    room: Option<i64>,
    until: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    sub: String,
    role: Role,
    epoch: u64,
    exp: u64,
    /// Random, so that two tokens issued to one caller in the same second differ.
    #[serde(default)]
    jti: String,
    /// The only room for which a ticket is valid; `None` in all other tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<i64>,
    /// The expiry time of the token for which a ticket was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl CurrentEpochs {
    fn new(epochs: Epochs) -> Self {
        Self {
            admin: AtomicU64::new(epochs.admin),
            guest: AtomicU64::new(epochs.guest),
        }
    }

    fn epoch(&self, role: Role) -> &AtomicU64 {
        match role {
            Role::Admin => &self.admin,
            Role::Guest => &self.guest,
        }
    }

    // SeqCst: a request that begins after a revocation was acknowledged must see the new epoch. A
    // weaker ordering would save nothing measurable, because verifying a token costs far more.

    fn get(&self, role: Role) -> u64 {
        self.epoch(role).load(Ordering::SeqCst)
    }

    fn raise(&self, role: Role) -> Epochs {
        self.epoch(role).fetch_add(1, Ordering::SeqCst);
        Epochs {
            admin: self.get(Role::Admin),
            guest: self.get(Role::Guest),
        }
    }
}

impl Keys {
    fn new(secrets: &[String]) -> Arc<Self> {
        let signing = secrets.first().map_or(&[][..], |secret| secret.as_bytes());
        Arc::new(Self {
            secrets: secrets.to_vec(),
            encoding: EncodingKey::from_secret(signing),
            decoding: secrets
                .iter()
                .map(|secret| DecodingKey::from_secret(secret.as_bytes()))
                .collect(),
        })
    }
}

impl Tokens {
    /// Creates the issuer. It signs tokens with the first of `secrets`, and accepts tokens that
    /// were signed with any of them.
    pub(super) fn new(secrets: &[String], epochs: Epochs, rate: Rate, clock: Clock) -> Self {
        // Not a region of the store: it is neither listed nor cleared with those.
        let manager = Manager::new(Runtime::new(clock, drop), Unknown::Never);
        let policy = Policy::new(TOKEN_TTL, CACHED_TOKENS);
        let verified = manager.region("verified_tokens", policy);
        Self {
            keys: Keys::new(secrets).into(),
            keys_version: AtomicU64::new(0),
            epochs: CurrentEpochs::new(epochs),
            revoked: watch::Sender::new(()),
            rate: Mutex::new(rate),
            recently_verified: verified.front(Some),
            verified,
            quotas: Cache::new(CACHED_QUOTAS),
        }
    }

    /// Replaces the secrets and the rate limit. Each token gets a new quota.
    ///
    /// If the secrets differ, each token is verified anew. Streams end, and their clients connect
    /// again.
    pub(super) fn replace(&self, secrets: &[String], rate: Rate) {
        *self.rate.lock().unwrap_or_else(PoisonError::into_inner) = rate;
        self.verified.remove_where(|_| true);
        self.quotas.clear();
        if self.keys.load().secrets == secrets {
            return;
        }
        self.keys.store(Keys::new(secrets));
        // SeqCst, and after the keys: a token with the new version was verified with the new keys.
        self.keys_version.fetch_add(1, Ordering::SeqCst);
        self.revoked.send_replace(());
    }

    /// Returns a new token for this caller.
    pub(super) fn issue(&self, caller: &Caller) -> String {
        self.sign(caller, TOKEN_TTL, None, None)
    }

    /// Returns a ticket for one room's event stream, for the caller with this token.
    ///
    /// Browsers cannot set a header on the request for an event stream, so the URL contains the
    /// ticket.
    pub(crate) fn ticket(&self, token: &Verified, room: RoomId) -> String {
        self.sign(&token.caller, TICKET_TTL, Some(room.0), Some(token.expires))
    }

    fn sign(
        &self,
        caller: &Caller,
        ttl: Duration,
        room: Option<i64>,
        until: Option<u64>,
    ) -> String {
        let claims = Claims {
            aud: AUDIENCE.into(),
            sub: caller.user.to_string(),
            role: caller.role,
            epoch: self.epochs.get(caller.role),
            exp: now() + ttl.as_secs(),
            jti: format!("{:016x}", rand::random::<u64>()),
            room,
            until,
        };
        let keys = self.keys.load();
        encode(&Header::new(Algorithm::HS256), &claims, &keys.encoding)
            .expect("the claims are valid JSON and the key fits the algorithm")
    }

    /// Starts a new epoch for this role and returns the epochs of both roles.
    pub(super) fn revoke(&self, role: Role) -> Epochs {
        let epochs = self.epochs.raise(role);
        self.revoked.send_replace(());
        epochs
    }

    /// Waits until a token is expired or revoked.
    ///
    /// A change of the wall clock is noticed after [`RECHECK`] at the latest.
    pub(crate) async fn ended(&self, token: &Verified) {
        let mut revoked = self.revoked.subscribe();
        while self.is_valid(token, now()) {
            let left = Duration::from_secs(token.expires.saturating_sub(now()));
            tokio::select! {
                () = sleep(left.min(RECHECK)) => {}
                _ = revoked.changed() => {}
            }
        }
    }

    /// Verifies a token. Returns `None` if it is forged, expired or revoked, or if it is a ticket.
    pub(crate) fn verify(&self, token: &str) -> Option<Arc<Verified>> {
        self.verify_at(token, now())
    }

    fn verify_at(&self, token: &str, now: u64) -> Option<Arc<Verified>> {
        // A token that was verified with earlier keys is verified again.
        let cached = self
            .recently_verified
            .glance(token, |verified| Some(verified.clone()));
        let cached = cached.and_then(|read| read.value);
        let cached =
            cached.filter(|cached| cached.keys_version == self.keys_version.load(Ordering::SeqCst));
        let verified = if let Some(verified) = cached {
            verified
        } else {
            let checked = self.check(token)?;
            if checked.room.is_some() {
                return None;
            }
            let verified = Arc::new(checked.token);
            self.verified.insert(token.to_owned(), verified.clone());
            verified
        };
        // Checked on each use, because a token may have expired or been revoked since it was
        // cached.
        self.is_valid(&verified, now).then_some(verified)
    }

    /// Verifies a ticket. Returns `None` if it is not valid for this room.
    pub(crate) fn verify_ticket(&self, ticket: &str, room: RoomId) -> Option<Arc<Verified>> {
        let Checked {
            mut token,
            room: of_room,
            until,
        } = self.check(ticket)?;
        if of_room != Some(room.0) || !self.is_valid(&token, now()) {
            return None;
        }
        // The stream may go on after the ticket has expired, until the caller's token expires.
        token.expires = until.unwrap_or(token.expires);
        Some(Arc::new(token))
    }

    /// Returns `true` if a verified token is neither expired nor revoked.
    pub(crate) fn is_current(&self, token: &Verified) -> bool {
        self.is_valid(token, now())
    }

    fn is_valid(&self, token: &Verified, now: u64) -> bool {
        now < token.expires
            && token.epoch == self.epochs.get(token.caller.role)
            && token.keys_version == self.keys_version.load(Ordering::SeqCst)
    }

    /// Returns the quota of a new token. The administrator has many users, so each of its tokens
    /// has its own.
    fn quota_of(&self, caller: &Caller) -> Arc<TokenQuota> {
        let rate = *self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        match caller.role {
            Role::Admin => Arc::new(rate.quota()),
            Role::Guest => {
                let created = self.quotas.get_or_insert_with(&caller.user, || {
                    Ok::<_, std::convert::Infallible>(Arc::new(rate.quota()))
                });
                let Ok(quota) = created;
                quota
            }
        }
    }

    /// Checks signature and claims, but neither expiry nor epoch.
    fn check(&self, token: &str) -> Option<Checked> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        // `is_valid` checks the expiry, so that the same rule applies to cached and to new tokens.
        validation.validate_exp = false;
        let keys_version = self.keys_version.load(Ordering::SeqCst);
        let keys = self.keys.load();
        let claims = keys
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
        Some(Checked {
            token: Verified {
                quota: self.quota_of(&caller),
                caller,
                expires: claims.exp,
                epoch: claims.epoch,
                keys_version,
            },
            room: claims.room,
            until: claims.until,
        })
    }
}

impl Verified {
    /// Counts a request with this token.
    pub(crate) fn count(&self) -> Result<(), TooMany> {
        self.quota.count()
    }
}

/// Returns the Unix time in seconds. Tokens outlive the process, so their expiry is wall-clock
/// time.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::settings::Limits;

    fn tokens(secrets: &[&str]) -> Tokens {
        let secrets: Vec<_> = secrets.iter().map(ToString::to_string).collect();
        let epochs = Epochs { admin: 0, guest: 0 };
        let rate = Rate::per_token(&Limits::default());
        Tokens::new(&secrets, epochs, rate, Clock::real())
    }

    fn caller(verified: Option<Arc<Verified>>) -> Option<Caller> {
        verified.map(|verified| verified.caller.clone())
    }

    #[test]
    fn a_token_is_valid_for_seven_days_and_no_longer_however_often_it_is_used() {
        let tokens = tokens(&["secret"]);
        let token = tokens.issue(&Caller::admin());
        let week = 7 * 24 * 3_600;
        assert_eq!(
            caller(tokens.verify_at(&token, now() + week - 5)),
            Some(Caller::admin())
        );
        assert_eq!(
            caller(tokens.verify_at(&token, now() + week + 5)),
            None,
            "a cached token expires, too"
        );
        assert_eq!(caller(tokens.verify(&token)), Some(Caller::admin()));
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
        let token = tokens.verify(&guest).unwrap();
        let ticket = tokens.ticket(&token, RoomId(7));
        assert!(tokens.verify(&admin).is_some() && tokens.verify(&guest).is_some());
        assert_eq!(tokens.revoke(Role::Guest), Epochs { admin: 0, guest: 1 });
        assert!(tokens.verify(&admin).is_some() && tokens.verify(&guest).is_none());
        assert!(tokens.verify_ticket(&ticket, RoomId(7)).is_none());
        assert!(tokens.verify(&tokens.issue(&Caller::new_guest())).is_some());
    }

    #[test]
    fn a_ticket_is_valid_for_its_room_and_nothing_else() {
        let tokens = tokens(&["secret"]);
        let guest = Caller::new_guest();
        let token = tokens.verify(&tokens.issue(&guest)).unwrap();
        let ticket = tokens.ticket(&token, RoomId(7));
        assert_eq!(
            caller(tokens.verify_ticket(&ticket, RoomId(7))),
            Some(guest.clone())
        );
        assert_eq!(caller(tokens.verify_ticket(&ticket, RoomId(8))), None);
        assert!(tokens.verify(&ticket).is_none());
        assert_eq!(
            caller(tokens.verify_ticket(&tokens.issue(&guest), RoomId(7))),
            None
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_its_token_and_not_with_its_ticket() {
        let tokens = tokens(&["secret"]);
        let token = tokens.verify(&tokens.issue(&Caller::admin())).unwrap();
        let ticket = tokens.ticket(&token, RoomId(7));
        let of_ticket = tokens.verify_ticket(&ticket, RoomId(7)).unwrap();
        assert_eq!(of_ticket.expires, token.expires);
        let mut ended = pin!(tokens.ended(&of_ticket));
        assert!(ended.as_mut().now_or_never().is_none());
        tokens.revoke(Role::Admin);
        ended.await;
    }

    #[test]
    fn replaced_secrets_apply_to_tokens_that_were_verified_before() {
        let tokens = tokens(&["old"]);
        let token = tokens.issue(&Caller::admin());
        let verified = tokens.verify(&token).unwrap();
        let rate = Rate::per_token(&Limits::default());
        tokens.replace(&["new".into(), "old".into()], rate);
        assert!(!tokens.is_valid(&verified, now()));
        assert!(
            tokens.verify(&token).is_some(),
            "the previous secret still verifies"
        );
        tokens.replace(&["new".into()], rate);
        assert!(tokens.verify(&token).is_none());
    }

    #[test]
    fn a_role_and_a_user_that_do_not_belong_together_are_refused() {
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
