//! [`Row`], the settings of one region, and [`Preset`], the choice between its two default TTLs.

use std::time::Duration;

/// A set of default TTLs, one for each region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Short TTLs, from 5 seconds to 5 minutes.
    #[default]
    Classic,
    /// Long TTLs, from 5 to 15 minutes.
    ///
    /// Long TTLs do not make reads more stale than short ones, because writes through the ports
    /// invalidate the keys that they change. A TTL only limits memory use, and how long an edit
    /// outside the ports stays hidden.
    Coherent,
}

/// The settings of one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The region's name. A printed key, such as `room_obj:7`, begins with it.
    pub region: &'static str,
    /// The form of a printed key after the colon, such as `user_id/room_id`.
    pub key: &'static str,
    /// The TTL in seconds under [`Preset::Classic`].
    pub classic: u64,
    /// The TTL in seconds under [`Preset::Coherent`].
    pub coherent: u64,
    /// The maximum number of entries, or their maximum total size. `unit` says which.
    pub capacity: u64,
    /// The unit of `capacity`: `entries` or `bytes`.
    pub unit: &'static str,
    /// The minimum and the maximum TTL, in seconds, that suit the data.
    ///
    /// With a shorter TTL nearly every read is a load. With a longer TTL an edit outside the ports
    /// stays hidden for too long.
    pub suits: (u64, u64),
    /// `true` if polls of a watched room read the data.
    /// [`Options::refresh_ahead`](crate::Options::refresh_ahead) concerns it.
    pub is_polled: bool,
    /// A phrase that describes the cached data, such as "a room's members".
    pub data: &'static str,
}

impl Row {
    /// Returns the region's TTL under `preset`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cache_adapter::{Preset, rows};
    ///
    /// let room = rows().iter().find(|row| row.region == "room_obj").expect("rooms are cached");
    /// assert_eq!(room.ttl(Preset::Classic), Duration::from_secs(30));
    /// assert_eq!(room.ttl(Preset::Coherent), Duration::from_mins(5));
    /// ```
    pub fn ttl(&self, preset: Preset) -> Duration {
        Duration::from_secs(match preset {
            Preset::Classic => self.classic,
            Preset::Coherent => self.coherent,
        })
    }
}
