//! One round: a few clients call two keys of one kind. Meanwhile the store fails, time passes, and
//! an administrator operates the cache.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use cache_adapter::{Cache, Options, Preset};
use cache_core::{Clock, Fault, ManualClock, Runtime};
use domain::Error;
use tests::{
    client::CacheMode,
    faulty::{AnswerDelay, StoreFaults},
    linearizability::RecordedCall,
    random::Random,
    region_stats::open_windows,
    slow::pause,
};

use super::{
    activities::ActivityModel,
    logs::LogModel,
    members::MembersModel,
    model::{HistoryWorld, KeyModel},
    personas::PersonaModel,
    read_positions::ReadPositionModel,
    recorder::{Recorder, Refusal, Seed, Tally},
    rooms::{OwnedRoomsModel, RoomModel},
};

/// Four clients make six calls each, mostly on one key, so calls are often concurrent. More calls
/// would be too slow for the checker, whose search grows exponentially with overlapping calls.
const CLIENTS: usize = 4;
const CALLS_PER_CLIENT: usize = 6;
const KINDS: u64 = 7;
/// The number of unknown outcomes after which a round continues without faults. A write of unknown
/// outcome may take effect at any time, so many of them make the checker slow.
const MAX_UNKNOWN: u32 = 5;

/// Plays the round of a seed. The error contains the history if no order of its calls explains the
/// outcomes.
pub(crate) async fn play(world: HistoryWorld, seed: Seed, fault: Fault) -> Result<Tally, Refusal> {
    match seed % KINDS {
        0 => Round::<RoomModel>::play(&world, seed, fault).await,
        1 => Round::<MembersModel>::play(&world, seed, fault).await,
        2 => Round::<OwnedRoomsModel>::play(&world, seed, fault).await,
        3 => Round::<ReadPositionModel>::play(&world, seed, fault).await,
        4 => Round::<LogModel>::play(&world, seed, fault).await,
        5 => Round::<ActivityModel>::play(&world, seed, fault).await,
        _ => Round::<PersonaModel>::play(&world, seed, fault).await,
    }
}

/// A round in progress.
struct Round<M: KeyModel> {
    cache: Cache,
    faults: StoreFaults,
    clock: Clock,
    hand: ManualClock,
    keys: Vec<M::Key>,
    recorder: Recorder<M>,
    /// The percentage of drawn writes that are replaced with reads.
    reads_instead: usize,
    fresh: AtomicU32,
    unknown: AtomicU32,
    is_over: AtomicBool,
}

impl<M: KeyModel> Round<M> {
    async fn play(world: &HistoryWorld, seed: Seed, fault: Fault) -> Result<Tally, Refusal> {
        let random = Random::new(seed);
        let (reads, writes) = *random.pick(&[(1, 1), (4, 4), (20, 0), (20, 0), (0, 20), (0, 20)]);
        let delay = AnswerDelay {
            reads: Duration::from_millis(reads),
            writes: Duration::from_millis(writes),
        };
        let faults = StoreFaults::new(seed, *random.pick(&[0, 4, 10]), delay);
        let (clock, hand) = Clock::manual();
        let options = Options {
            preset: Preset::Coherent,
            capacities: draw_capacities(&random),
            fault,
            ..Options::default()
        };
        let cache = Cache::with_runtime(
            faults.plant(world.r.clone()),
            &options,
            Runtime::tokio_with(clock.clone()),
        );
        let (first, initial) = M::create(world).await;
        let (second, _) = M::create(world).await;
        let round = Arc::new(Self {
            cache,
            faults,
            clock,
            hand,
            keys: vec![first, second],
            recorder: Recorder::default(),
            // Without this, slow writes would overlap all the time, and no read would hit.
            reads_instead: if writes > reads { 70 } else { 0 },
            fresh: AtomicU32::new(1),
            unknown: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        });
        let administrator = tokio::spawn(round.clone().interfere(random.split()));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(round.clone().run_client(random.split())))
            .collect();
        for client in clients {
            client.await.expect("a client does not panic");
        }
        round.is_over.store(true, Ordering::Relaxed);
        administrator.await.expect("interference does not panic");
        round.settle().await.map_err(|open| {
            let reason = format!("{open} windows stay open");
            round.recorder.refuse(seed, &reason, None)
        })?;
        round.read_finally(&random).await;
        let mut tally = round.recorder.judge(seed, round.keys.len(), &initial)?;
        for region in round.cache.manager.stats() {
            tally.hits += region.stats.hits;
            tally.refused += region.stats.refused_stores;
        }
        Ok(tally)
    }

    async fn run_client(self: Arc<Self>, random: Random) {
        for _ in 0..CALLS_PER_CLIENT {
            let key = usize::from(random.percent(25));
            let fresh = self.fresh.fetch_add(1, Ordering::Relaxed);
            let mut call = M::draw(&self.keys[key], &random, fresh);
            if !M::is_read(&call) && random.percent(self.reads_instead) {
                call = Self::draw_read(&self.keys[key], &random);
            }
            let mode = if random.percent(30) {
                CacheMode::Bypass
            } else {
                CacheMode::Cached
            };
            let is_write = !M::is_read(&call);
            self.call(&random, key, call, mode).await;
            if (mode == CacheMode::Bypass || is_write) && random.percent(70) {
                // A cached read must now show the data that this client wrote, or read while
                // bypassing the cache.
                let read = Self::draw_read(&self.keys[key], &random);
                self.call(&random, key, read, CacheMode::Cached).await;
            }
            if random.percent(40) {
                pause(&random, Duration::from_micros(300)).await;
            }
        }
    }

    fn draw_read(key: &M::Key, random: &Random) -> M::Call {
        std::iter::repeat_with(|| M::draw(key, random, 0))
            .find(M::is_read)
            .expect("every kind of key draws reads")
    }

    /// Runs a call and records it. A call that certainly had no effect is not recorded.
    async fn call(&self, random: &Random, key: usize, call: M::Call, mode: CacheMode) {
        let repositories = match mode {
            CacheMode::Cached => &self.cache.repositories,
            CacheMode::Bypass => &self.cache.bypassing,
        };
        let began = self.recorder.now();
        let result = tokio::select! {
            result = M::run(repositories, &self.keys[key], call.clone()) => Some(result),
            () = self.lose_patience(random) => None,
        };
        let ended = self.recorder.now();
        let returned = match result {
            Some(Ok(outcome)) => {
                M::record_outcome(&self.keys[key], &outcome);
                Some((ended, outcome))
            }
            // The caller has given up, or the outcome is unknown.
            None => None,
            Some(Err(error)) if error.may_be_applied() => None,
            // The call had no effect and never will, so no read may show the value it would have
            // written.
            Some(Err(Error::Unavailable { .. })) => return,
            Some(Err(error)) => return self.recorder.record_wrong(format!("{call:?}: {error}")),
        };
        if returned.is_none() {
            if M::is_read(&call) {
                return;
            }
            if self.unknown.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_UNKNOWN {
                self.faults.stop();
            }
        }
        let recorded = RecordedCall {
            call,
            began,
            returned,
        };
        self.recorder.record(key, mode, recorded);
    }

    /// Returns when the caller gives up: rarely within two milliseconds, otherwise after a minute
    /// of the manual clock. Never returns once faults are stopped.
    async fn lose_patience(&self, random: &Random) {
        if self.is_calm() {
            std::future::pending::<()>().await;
        } else if random.percent(6) {
            pause(random, Duration::from_millis(2)).await;
        } else {
            self.clock.sleep(Duration::from_mins(1)).await;
        }
    }

    /// Returns `true` once the maximum number of unknown outcomes is reached. Faults are then
    /// stopped.
    fn is_calm(&self) -> bool {
        self.unknown.load(Ordering::Relaxed) >= MAX_UNKNOWN
    }

    /// Interferes until the clients have ended: advances the clock, sometimes beyond timeouts and
    /// TTLs, and runs an administrator's operations on the cache.
    async fn interfere(self: Arc<Self>, random: Random) {
        let manager = &self.cache.manager;
        // A number without its own arm invalidates the keys: these are 50 to 52, and all from 70
        // on. In rounds with 140 numbers, nearly every read therefore loads. If writes are slow,
        // only the numbers below 50 are drawn, so that reads hit.
        let operations = if self.reads_instead > 0 {
            50
        } else {
            *random.pick(&[65, 70, 140])
        };
        while !self.is_over.load(Ordering::Relaxed) {
            pause(&random, Duration::from_millis(1)).await;
            match random.below(operations) {
                0..40 => self.hand.advance(Duration::from_millis(100)),
                // Eleven seconds are longer than the timeouts of loads and writes in progress.
                40..45 if !self.is_calm() => self.hand.advance(Duration::from_secs(11)),
                45..46 if !self.is_calm() => self.hand.advance(Duration::from_mins(5)),
                53..54 => drop(manager.clear()),
                54..55 => drop(manager.invalidate_glob("*_*")),
                55..58 => drop(manager.cleanup().await),
                58..59 => {
                    manager.set_all_enabled(false);
                    pause(&random, Duration::from_millis(1)).await;
                    manager.set_all_enabled(true);
                }
                46..50 | 59..70 => {}
                _ => self.invalidate_keys(),
            }
        }
    }

    fn invalidate_keys(&self) {
        for key in &self.keys {
            M::invalidate(&self.cache, key);
        }
    }

    /// Stops the faults and waits until all windows are closed. The error is the number of windows
    /// that are still open after a minute.
    async fn settle(&self) -> Result<(), u64> {
        self.faults.stop();
        let settled = async {
            while self.cache.manager.settle().await.is_err() || open_windows(&self.cache) > 0 {
                tokio::task::yield_now().await;
            }
        };
        // The cache sleeps on the manual clock between two attempts to settle. Real time must also
        // pass, so that the store can make progress.
        let time_passes = async {
            loop {
                self.hand.advance(Duration::from_secs(1));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = settled => Ok(()),
            () = time_passes => Ok(()),
            () = tokio::time::sleep(Duration::from_mins(1)) => {
                Err(open_windows(&self.cache))
            }
        }
    }

    /// Reads each key three times: through the cache, bypassing it, and through the cache again.
    async fn read_finally(&self, random: &Random) {
        for (index, key) in self.keys.iter().enumerate() {
            for mode in [CacheMode::Cached, CacheMode::Bypass, CacheMode::Cached] {
                let read = Self::draw_read(key, random);
                self.call(random, index, read, mode).await;
            }
        }
    }
}

/// Returns capacities of one entry for some regions in a quarter of the rounds, otherwise none. The
/// two keys of a round then evict each other.
fn draw_capacities(random: &Random) -> HashMap<String, u64> {
    if !random.percent(25) {
        return HashMap::new();
    }
    ["agent_config", "room_obj", "room_agents", "read_state"]
        .map(|region| (region.to_owned(), 1))
        .into()
}
