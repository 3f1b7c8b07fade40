//! One row of the table of regions, and the presets of TTLs that it holds.

use std::time::Duration;

/// A set of default TTLs, one for each region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Short TTLs, from 5 seconds to 5 minutes.
    #[default]
    Classic,
    /// Long TTLs, from 5 to 15 minutes.
    ///
    /// They are as safe as short ones: writes through the ports invalidate what they change. A TTL
    /// only bounds memory and how long an edit outside the ports stays hidden.
    Coherent,
}

/// The settings of one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The region's name. Its printed keys begin with it.
    pub region: &'static str,
    /// The form of a key, as printed keys have it behind the colon.
    pub key: &'static str,
    /// The TTL in seconds under [`Preset::Classic`].
    pub classic: u64,
    /// The TTL in seconds under [`Preset::Coherent`].
    pub coherent: u64,
    /// The greatest total of the entries, counted in `unit`.
    pub capacity: u64,
    /// The unit of `capacity`: `entries` or `bytes`.
    pub unit: &'static str,
    /// The least and the greatest TTL in seconds that suit the data.
    ///
    /// With a shorter one nearly every read is a load; with a longer one an edit outside the ports
    /// stays hidden for too long.
    pub suits: (u64, u64),
    /// The cached data, as a phrase.
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
