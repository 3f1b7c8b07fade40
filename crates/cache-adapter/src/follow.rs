//! Follows the changes that other processes make to the store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::{Began, Change, Changes, Error, Message, Result, RoomId, Seq};
use futures_util::future::{Either, select};

use crate::{cache::Cache, elsewhere::Elsewhere, regions::Regions, stale::stale_elsewhere};

/// The number of polls within the bound. If one fails, the next one comes before values are served
/// no longer.
const POLLS_WITHIN_BOUND: u32 = 3;
/// The minimum timeout of a poll. With a shorter one, polls of a busy store would never succeed.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The number of changes above which everything is removed from memory instead.
const MOST_CHANGES: usize = 10_000;

/// Follows the changes of other processes. [`Cache::follower`] returns one.
pub struct Follower {
    cache: Cache,
    changes: Arc<dyn Changes>,
    bound: Duration,
    /// `true` if the last poll has succeeded.
    is_following: bool,
    /// `true` if changes may have been returned that were not applied, and are not pending.
    may_have_missed: bool,
    /// Changes that `next` returned and that are not applied yet.
    pending: Vec<Change>,
}

/// Messages by room and sequence number.
type MessagesBySeq = HashMap<(RoomId, Seq), Arc<Message>>;

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Cache {
    /// Returns a follower of the changes that other processes make to the store.
    ///
    /// # Panics
    ///
    /// Panics unless [`Options::others_write`](crate::Options::others_write) is set.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// use std::time::Duration;
    /// use cache_adapter::{Cache, Options};
    /// use contract::memory::SharedStore;
    /// use domain::{NewRoom, RoomChange, RoomName, UserId};
    ///
    /// let store = SharedStore::default();
    /// let bound = Duration::from_secs(1);
    /// let options = Options { others_write: Some(bound), ..Options::default() };
    /// let nodes = [store.node(), store.node()];
    /// let caches = nodes.clone().map(|node| Cache::new(node.repositories, options.clone()));
    /// let [reader, writer] = &caches;
    /// let mut follower = reader.follower(nodes[0].changes.clone());
    /// follower.catch_up().await?;
    ///
    /// let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
    /// let new = NewRoom { owner, name, max_interactions: None };
    /// let room = writer.repositories.rooms.create(new).await?.id;
    /// reader.repositories.rooms.find(room).await?;
    /// let pause = RoomChange { is_paused: Some(true), ..RoomChange::default() };
    /// writer.repositories.rooms.update(room, pause).await?;
    ///
    /// follower.catch_up().await?;
    /// let found = reader.repositories.rooms.find(room).await?;
    /// assert!(found.is_some_and(|room| room.is_paused));
    /// # Ok(()) }
    /// ```
    pub fn follower(&self, changes: Arc<dyn Changes>) -> Follower {
        let bound = self.store.others_write;
        Follower {
            cache: self.clone(),
            changes,
            bound: bound.expect("`Options::others_write` says that other processes write"),
            is_following: false,
            // An earlier follower may have read changes from the port.
            may_have_missed: true,
            pending: Vec::new(),
        }
    }
}

impl Follower {
    /// Reads the changes of other processes, and removes what they make stale from memory. Values
    /// in memory are then served for the bound again.
    ///
    /// Dropping the call loses no change: the next call applies it.
    ///
    /// # Errors
    ///
    /// Returns the error of the store. The next call resumes. It removes everything from memory
    /// only if changes may have been missed.
    pub async fn catch_up(&mut self) -> Result<()> {
        let caught_up = self.catch_up_in_time().await;
        self.is_following = caught_up.is_ok();
        caught_up
    }

    /// Catches up again and again, without an end, and pauses a third of the bound in between. Logs
    /// the first failure of a series, and the recovery.
    pub async fn run(mut self) {
        let clock = self.cache.manager.clock().clone();
        let mut has_failed = false;
        loop {
            let caught_up = self.catch_up().await;
            match &caught_up {
                Ok(()) if has_failed => {
                    tracing::info!(target: "cache", "changes of other processes are read again");
                }
                Err(error) if !has_failed => {
                    tracing::warn!(
                        target: "cache",
                        %error,
                        "cannot read the changes of other processes; values are served only while \
                         they were loaded within the bound"
                    );
                }
                _ => {}
            }
            has_failed = caught_up.is_err();
            clock.sleep(self.bound / POLLS_WITHIN_BOUND).await;
        }
    }

    async fn catch_up_in_time(&mut self) -> Result<()> {
        let timeout = self.timeout();
        let late = self.cache.manager.clock().sleep(timeout);
        match select(Box::pin(self.read_and_apply()), late).await {
            Either::Left((caught_up, _)) => caught_up,
            Either::Right(_) => {
                let error = format!("the store did not return the changes within {timeout:?}");
                Err(Error::unavailable(error))
            }
        }
    }

    fn timeout(&self) -> Duration {
        self.bound.max(MIN_TIMEOUT)
    }

    async fn read_and_apply(&mut self) -> Result<()> {
        if !self.is_following && self.changes.begin().await? == Began::Anew {
            self.may_have_missed = true;
        }
        if self.may_have_missed {
            // After `begin`: `next` returns every change that is committed from then on.
            self.cache.manager.begin_anew();
            self.pending.clear();
            self.may_have_missed = false;
        }
        // Before the call: `next` returns every change that was acknowledged before.
        let sampled_at = self.cache.manager.clock().now();
        self.pending.extend(self.changes.next().await?);
        let messages = self.messages_of_copies().await;
        // Without an await. If a panic ends it, the next call begins anew.
        self.may_have_missed = true;
        self.apply(&messages);
        self.cache.manager.renew(sampled_at);
        self.may_have_missed = false;
        Ok(())
    }

    /// Applies the pending changes. Removes the copy of a log whose message is missing.
    fn apply(&mut self, messages: &MessagesBySeq) {
        let (manager, regions) = (&self.cache.manager, &self.cache.store.regions);
        if self.removes_everything() {
            manager.begin_anew();
            self.pending.clear();
        }
        for change in self.pending.drain(..) {
            let message = match &change {
                Change::MessageAppended(room, seq) => messages.get(&(*room, *seq)).cloned(),
                _ => None,
            };
            Elsewhere::with_message(message).remove(stale_elsewhere(&change), regions);
        }
    }

    /// Returns `true` if the pending changes are too many, or are not known.
    fn removes_everything(&self) -> bool {
        self.pending.len() > MOST_CHANGES || self.pending.contains(&Change::Everything)
    }

    /// Reads the appended messages of rooms whose log is in memory. Returns an empty map if the
    /// store fails or is slow.
    async fn messages_of_copies(&self) -> MessagesBySeq {
        if self.removes_everything() {
            return MessagesBySeq::new();
        }
        let regions = &self.cache.store.regions;
        let appended = self.pending.iter().filter_map(|change| match change {
            Change::MessageAppended(room, seq) => Some((*room, *seq)),
            _ => None,
        });
        // Checked after `next`: a fill that begins later reads these messages itself.
        let wanted: Vec<_> = appended
            .filter(|(room, _)| has_copy(regions, *room))
            .collect();
        if wanted.is_empty() {
            return MessagesBySeq::new();
        }
        let late = self.cache.manager.clock().sleep(self.timeout() / 2);
        let messages = match select(self.changes.messages(&wanted), late).await {
            Either::Left((Ok(messages), _)) => messages,
            Either::Left((Err(error), _)) => {
                tracing::debug!(target: "cache", %error, "cannot read messages of other processes");
                Vec::new()
            }
            Either::Right(_) => Vec::new(),
        };
        let by_seq = |message: Arc<Message>| ((message.room, message.seq), message);
        messages.into_iter().map(by_seq).collect()
    }
}

/// Returns `true` if a copy of the room's log is in memory or is being filled.
fn has_copy(regions: &Regions, room: RoomId) -> bool {
    regions.room_messages.has_copy(&room)
        || regions.room_answers.has_copy(&room)
        || regions.room_activity.has_copy(&room)
}
