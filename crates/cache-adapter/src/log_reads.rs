//! Reads of the cached copies of rooms' logs: from memory, or after a fill from the store.

use cache_core::{Age, Fold, TailRead, TailRegion};
use domain::{Repositories, Result, RoomId, Seq};

use crate::{
    log_copies::log_seq,
    observe::note,
    ports::CachedPorts,
    reads::{domain_error, observed},
};

impl CachedPorts {
    /// Returns the result of `read` on the room's copy. Returns `None` if no current copy is in
    /// memory, if `read` returns `None`, or in bypass mode.
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

    /// Returns the result of `read` on the room's copy in memory. If no copy can answer, calls
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
        // A hit is tried first: it does not need the clone of the ports that a fill needs.
        if !self.is_bypassing()
            && let Some(found) = region.look_up(&room, &read).map(TailRead::Found)
        {
            note_log_read(&found);
            return Ok(found);
        }
        self.fill_log(region, room, fill, read).await
    }

    /// Fills the room's copy after a miss, and returns the result of `read` on the copy. `fill`
    /// reads the store's own ports. It returns the highest sequence number in the copy, and the
    /// copy.
    ///
    /// Returns [`TailRead::Elsewhere`] if the caller must read the store itself. In bypass mode the
    /// caller always must.
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

    /// Returns the results of `read` on the copies of many rooms, in the order of `rooms`. One call
    /// of `fill` reads all copies that are not in memory. Not for use in bypass mode.
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

/// Records that a reader is about to return the state of a log in the store. From now on, an older
/// copy is not served. `last` is the last sequence number; `None` if the store has no such log.
pub(crate) fn saw_end<C: Fold>(region: &TailRegion<RoomId, C>, room: RoomId, last: Option<Seq>) {
    match last {
        Some(last) => region.saw(&room, log_seq(last)),
        None => region.region().will_return(&room),
    }
}

/// Reports the source and the age of a read to the observer.
fn note_log_read<T>(read: &TailRead<T>) {
    match read {
        TailRead::Found(found) => note(found.source, found.age),
        TailRead::Absent(source) => note(*source, Age::default()),
        // The caller reads the store next, and reports that read as a bypass.
        TailRead::Elsewhere => {}
    }
}
