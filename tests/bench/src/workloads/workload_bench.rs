//! The program that a workload runs against, on a manual clock.

use std::{path::Path, sync::Arc, time::Duration};

use app::App;
use cache_adapter::{Cache, Options, Preset};
use cache_core::{Clock, ManualClock};
use domain::Repositories;
use tests::server;

use super::{cache_mode::CacheMode, sample::SampleRooms};
use crate::{
    counter::Counter,
    store::{RegionHits, region_hits},
};

/// The program in one cache mode, on a store with sample rooms.
pub(super) struct WorkloadBench {
    pub(super) app: Arc<App>,
    pub(super) settings: app::Settings,
    pub(super) sample: SampleRooms,
    pub(super) counter: Counter,
    clock_hand: ManualClock,
}

impl WorkloadBench {
    /// Creates the program with an empty cache, on the store that contains the sample.
    pub(super) fn new(
        store: &Repositories,
        folder: &Path,
        mode: CacheMode,
        sample: &SampleRooms,
        counter: &Counter,
    ) -> Self {
        let (clock, clock_hand) = Clock::manual();
        let mut settings = server::settings(folder);
        settings.answers.responder = "scripted".into();
        settings.answers.pace = Some(Duration::ZERO);
        settings.cache = Options {
            preset: match mode {
                CacheMode::Uncached => Preset::Classic,
                CacheMode::Cached(preset) => preset,
            },
            ..Options::default()
        };
        let app = server::app_over(store.clone(), &settings, clock);
        app.cache
            .manager
            .set_all_enabled(mode != CacheMode::Uncached);
        Self {
            app,
            settings,
            sample: sample.clone(),
            counter: counter.clone(),
            clock_hand,
        }
    }

    /// Advances the clock and does the periodic work that is then due: removes personas that were
    /// not read recently, and sweeps expired entries.
    pub(super) async fn advance(&self, time: Duration) {
        let probe = app::FileWatch::default().probe;
        let rounds = u64::try_from(app::PROBE_WINDOW.as_nanos() / probe.as_nanos())
            .expect("the window has few rounds");
        let clock = self.cache().manager.clock().clone();
        let ticks = |interval: Duration, now: u64| {
            now / u64::try_from(interval.as_nanos()).expect("the interval is short")
        };
        let before = clock.now();
        self.clock_hand.advance(time);
        for _ in ticks(probe, before)..ticks(probe, clock.now()) {
            self.cache().begin_probe_round(rounds);
        }
        if ticks(app::CLEANUP_INTERVAL, before) < ticks(app::CLEANUP_INTERVAL, clock.now()) {
            self.cache().manager.cleanup().await;
        }
    }

    /// Returns the cache of the program.
    pub(super) fn cache(&self) -> &Cache {
        &self.app.cache
    }

    /// Returns the cached ports.
    pub(super) fn ports(&self) -> &Repositories {
        &self.app.cache.repositories
    }

    /// Returns the hit rates of all regions that were read.
    pub(super) fn hits(&self) -> Vec<RegionHits> {
        region_hits(self.cache(), 0)
    }
}
