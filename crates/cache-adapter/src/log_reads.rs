//! Reads of the copies of rooms' logs: from memory, or filled from the store.

use cache_core::{Age, Fold, TailRead, TailRegion};
use domain::{Repositories, Result, RoomId};

use crate::{
    observe::note,
    ports::CachedPorts,
    reads::{domain_error, observed},
};

impl CachedPorts {
    /// Returns what `read` finds in the room's copy; `None` if there is no current copy in memory
    /// or `read` returns `None`.
    pub(crate) fn log_hit<C: Fold, T>(
        &self,
        region: &TailRegion<RoomId, C>,
        room: RoomId,
        read: impl FnOnce(&C) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.is_bypassing() {
            None
        } else {
            region.look_up(&room, read).map(observed)
        }
    }

    /// Returns what `read` finds in the room's copy, from memory or else by
    /// [`CachedPorts::fill_log`].
    pub(crate) async fn read_log<C, T, Fut>(
        &self,
        region: &TailRegion<RoomId, C>,
        room: RoomId,
        fill: impl FnOnce(Repositories) -> Fut + Send + 'static,
        read: impl Fn(&C) -> Option<T>,
    ) -> Result<TailRead<T>>
    where
        C: Fold,
        Fut: Future<Output = Result<Option<(u64, C)>>> + Send + 'static,
    {
        // First without cloning the ports for the fill, which a hit does not need.
        if !self.is_bypassing()
            && let Some(found) = region.look_up(&room, &read).map(TailRead::Found)
        {
            note_log_read(&found);
            return Ok(found);
        }
        self.fill_log(region, room, fill, read).await
    }

    /// Returns what `read` finds in the room's copy, after a look-up found none. `fill` reads the
    /// copy from the bare ports, with the highest sequence number that it reaches.
    ///
    /// Returns [`TailRead::Elsewhere`] if the caller must read the store itself, as it always must
    /// when it bypasses the cache.
    pub(crate) async fn fill_log<C, T, Fut>(
        &self,
        region: &TailRegion<RoomId, C>,
        room: RoomId,
        fill: impl FnOnce(Repositories) -> Fut + Send + 'static,
        read: impl Fn(&C) -> Option<T>,
    ) -> Result<TailRead<T>>
    where
        C: Fold,
        Fut: Future<Output = Result<Option<(u64, C)>>> + Send + 'static,
    {
        if self.is_bypassing() {
            return Ok(TailRead::Elsewhere);
        }
        let bare = self.bare().clone();
        let found = region
            .fill_after_miss(room, move || fill(bare), &read)
            .await
            .map_err(domain_error)?;
        note_log_read(&found);
        Ok(found)
    }

    /// Returns what `read` finds in the copies of many rooms, in the order of `rooms`. One call of
    /// `fill` reads all copies that are missing.
    pub(crate) async fn read_logs<C, T, Fut>(
        &self,
        region: &TailRegion<RoomId, C>,
        rooms: &[RoomId],
        fill: impl FnOnce(Repositories, Vec<RoomId>) -> Fut + Send + 'static,
        read: impl Fn(&C) -> Option<T>,
    ) -> Result<Vec<TailRead<T>>>
    where
        C: Fold,
        Fut: Future<Output = Result<Vec<(RoomId, u64, C)>>> + Send + 'static,
    {
        let bare = self.bare().clone();
        let found = region
            .get_or_fill_many(rooms, move |rooms| fill(bare, rooms), read)
            .await
            .map_err(domain_error)?;
        found.iter().for_each(note_log_read);
        Ok(found)
    }
}

/// Reports the read to the observer.
fn note_log_read<T>(read: &TailRead<T>) {
    match read {
        TailRead::Found(found) => note(found.source, found.age),
        TailRead::Absent(source) => note(*source, Age::default()),
        // The read of the store that follows reports itself.
        TailRead::Elsewhere => {}
    }
}
