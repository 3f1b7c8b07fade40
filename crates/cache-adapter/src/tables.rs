//! The table of regions and the table of stale keys, printed for the documentation.

use std::{fmt::Write as _, sync::Arc};

use cache_core::{Clock, Fold, Manager, Region, Runtime, TailRegion, Unknown};
use domain::Message;

use crate::{
    guard::{Covers, cover},
    keys::RegionKey,
    options::Options,
    regions::{Regions, Value, rows},
    row::Row,
    stale::{example_writes, stale},
};

/// Returns the table of regions in Markdown. Each row shows the default TTLs and the capacity.
///
/// ```
/// let table = cache_adapter::regions_table();
/// let row = "| `room_obj:{room_id}` | a room | 30 s | 300 s | yes | 100000 entries |";
/// assert!(table.contains(row));
/// ```
pub fn regions_table() -> String {
    let mut table = "| region and key | data | TTL classic | TTL coherent | polled | capacity |\n\
                     |---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows() {
        let Row {
            region,
            key,
            data,
            classic,
            coherent,
            capacity,
            unit,
            is_polled,
            ..
        } = row;
        let polled = if *is_polled { "yes" } else { "" };
        writeln!(
            table,
            "| `{region}:{{{key}}}` | {data} | {classic} s | {coherent} s | {polled} | \
             {capacity} {unit} |"
        )
        .expect("a String accepts all writes");
    }
    table
}

/// Returns a pair for each write method: its name, and the keys that it makes stale. The keys are
/// in backquotes and separated by commas.
///
/// The keys are those of example arguments: room 7, agent 3 and user `guest-1`.
///
/// ```
/// let table = cache_adapter::stale_table();
/// assert!(table.contains(&("Rooms::update".to_owned(), "`room_obj:7`".to_owned())));
/// ```
pub fn stale_table() -> Vec<(String, String)> {
    // These regions stay empty and spawn no tasks. Only their names are read.
    let (clock, _) = Clock::manual();
    let manager = Manager::new(Runtime::new(clock, drop), Unknown::Never);
    let regions = Regions::new(&manager, &Options::default());
    let shown = |write| {
        stale(write)
            .into_iter()
            .fold(ShownKeys(Vec::new()), |shown, keys| {
                cover(shown, keys, &regions)
            })
            .0
            .join(", ")
    };
    example_writes()
        .iter()
        .map(|(method, write)| ((*method).to_owned(), shown(write)))
        .collect()
}

/// The keys that a write makes stale, each printed in backquotes.
struct ShownKeys(Vec<String>);

impl ShownKeys {
    fn show(mut self, key: &str) -> Self {
        self.0.push(format!("`{key}`"));
        self
    }
}

impl Covers for ShownKeys {
    fn key<K: RegionKey, V: Value>(self, region: &Region<K, V>, key: K) -> Self {
        self.show(&format!("{}:{key}", region.name()))
    }

    fn creating<K: RegionKey, V: Value>(self, region: &Region<K, V>) -> Self {
        self.show(&format!("{} (absences)", region.name()))
    }

    fn keys_where<K: RegionKey, V: Value>(
        self,
        region: &Region<K, V>,
        glob: &str,
        _covers: Box<dyn Fn(&K) -> bool + Send + Sync>,
    ) -> Self {
        self.show(&format!("{}:{glob}", region.name()))
    }

    fn append<K: RegionKey, C: Fold<Entry = Arc<Message>>>(
        self,
        region: &TailRegion<K, C>,
        key: K,
    ) -> Self {
        self.show(&format!("{}:{key} (appended to)", region.region().name()))
    }
}
