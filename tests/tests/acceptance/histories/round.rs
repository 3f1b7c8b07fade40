//! One round: a few clients call two keys of one kind while the store fails, time passes, and the cache is meddled with.

use std::{
    fmt::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_adapter::{Cache, Options, Preset};
use cache_core::{Clock, Fault, ManualClock, Runtime};
use domain::Error;
use tests::{
    faulty::Faults,
    linear::{Operation, judge},
    random::Random,
    slow::pause,
};

use super::{
    configs::Config,
    logs::{Activity, Log},
    rooms::{Members, OneRoom, Position, RoomsOf},
    subject::{Stage, Subject},
};

const CLIENTS: usize = 4;
const CALLS_PER_CLIENT: usize = 6;
const KINDS: u64 = 7;
/// Writes of unknown outcome after which a round goes on without faults: each may stand anywhere, so that the search for
/// an order takes long with many of them.
const MAX_UNKNOWN: u32 = 5;

/// What rounds did, so that a test can see that they did something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    pub(crate) calls: u64,
    /// Writes whose outcome the client does not know.
    pub(crate) unknown: u64,
    pub(crate) hits: u64,
    /// Loads that a write overtook.
    pub(crate) refused: u64,
}

/// Plays the round of a seed, which decides everything but the order in which threads run. The error is the history
/// that no order explains.
pub(crate) async fn play(stage: Stage, seed: u64, fault: Fault) -> Result<Tally, String> {
    match seed % KINDS {
        0 => Game::<OneRoom>::play(&stage, seed, fault).await,
        1 => Game::<Members>::play(&stage, seed, fault).await,
        2 => Game::<RoomsOf>::play(&stage, seed, fault).await,
        3 => Game::<Position>::play(&stage, seed, fault).await,
        4 => Game::<Log>::play(&stage, seed, fault).await,
        5 => Game::<Activity>::play(&stage, seed, fault).await,
        _ => Game::<Config>::play(&stage, seed, fault).await,
    }
}

/// A call, the key that it went to, and how.
struct Recorded<S: Subject> {
    key: usize,
    how: &'static str,
    operation: Operation<S::Call, S::Answer>,
}

struct Game<S: Subject> {
    cache: Cache,
    faults: Faults,
    clock: Clock,
    hand: ManualClock,
    keys: Vec<S::Key>,
    recorded: Mutex<Vec<Recorded<S>>>,
    /// Answers that no call may get.
    wrong: Mutex<Vec<String>>,
    time: AtomicU64,
    /// Of a hundred writes, so many are reads instead.
    reads_instead: usize,
    fresh: AtomicU32,
    unknown: AtomicU32,
    is_over: AtomicBool,
}

impl<S: Subject> Game<S> {
    async fn play(stage: &Stage, seed: u64, fault: Fault) -> Result<Tally, String> {
        let random = Random::new(seed);
        let (reads, writes) = *random.pick(&[(1, 1), (4, 4), (20, 0), (20, 0), (0, 20), (0, 20)]);
        let lag = (Duration::from_millis(reads), Duration::from_millis(writes));
        let faults = Faults::new(seed, *random.pick(&[0, 4, 10]), lag);
        let (clock, hand) = Clock::manual();
        // Room for one key where there are two: eviction.
        let capacity = if random.percent(25) {
            vec!["agent_config", "room_obj", "room_agents", "read_state"]
        } else {
            Vec::new()
        };
        let capacities = capacity
            .into_iter()
            .map(|region| (region.to_owned(), 1))
            .collect();
        let options = Options {
            preset: Preset::Coherent,
            capacities,
            fault,
            ..Options::default()
        };
        let cache = Cache::with_runtime(
            faults.plant(stage.r.clone()),
            &options,
            Runtime::tokio_with(clock.clone()),
        );
        let ((first, begin), (second, _)) = (S::make(stage).await, S::make(stage).await);
        let game = Arc::new(Self {
            cache,
            faults,
            clock,
            hand,
            keys: vec![first, second],
            recorded: Mutex::default(),
            wrong: Mutex::default(),
            time: AtomicU64::new(0),
            // Where writes are slow, there would always be one.
            reads_instead: if writes > reads { 70 } else { 0 },
            fresh: AtomicU32::new(1),
            unknown: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        });
        let meddler = tokio::spawn(game.clone().meddle(split(&random)));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(game.clone().client(split(&random))))
            .collect();
        for client in clients {
            client.await.expect("a client does not panic");
        }
        game.is_over.store(true, Ordering::Relaxed);
        meddler.await.expect("the meddler does not panic");
        game.settle()
            .await
            .map_err(|why| game.tell(seed, &why, None))?;
        game.read_at_last(&random).await;
        game.judge(seed, &begin)
    }

    async fn client(self: Arc<Self>, random: Random) {
        for _ in 0..CALLS_PER_CLIENT {
            let key = usize::from(random.percent(25));
            let mut call = S::draw(
                &self.keys[key],
                &random,
                self.fresh.fetch_add(1, Ordering::Relaxed),
            );
            if !S::is_read(&call) && random.percent(self.reads_instead) {
                call = Self::read(&self.keys[key], &random);
            }
            let (bypass, is_write) = (random.percent(30), !S::is_read(&call));
            self.call(&random, key, call, bypass).await;
            if (bypass || is_write) && random.percent(70) {
                // What was written, or seen past the cache, must be seen through it.
                self.call(&random, key, Self::read(&self.keys[key], &random), false)
                    .await;
            }
            if random.percent(40) {
                pause(&random, Duration::from_micros(300)).await;
            }
        }
    }

    fn read(key: &S::Key, random: &Random) -> S::Call {
        std::iter::repeat_with(|| S::draw(key, random, 0))
            .find(S::is_read)
            .expect("it goes on")
    }

    async fn call(&self, random: &Random, key: usize, call: S::Call, bypass: bool) {
        let (r, how) = if bypass {
            (&self.cache.bypassing, "past")
        } else {
            (&self.cache.repositories, "cached")
        };
        let began = self.tick();
        let answer = tokio::select! {
            answer = S::run(r, &self.keys[key], call.clone()) => Some(answer),
            () = self.patience(random) => None,
        };
        let at = self.tick();
        let answered = match answer {
            Some(Ok(answer)) => {
                S::learn(&self.keys[key], &answer);
                Some((at, answer))
            }
            // The caller went away, or nobody knows.
            None => None,
            Some(Err(error)) if error.may_be_applied() => None,
            // It did not happen and never will: what it wrote must not be seen.
            Some(Err(Error::Unavailable { .. })) => return,
            Some(Err(error)) => {
                return self
                    .wrong
                    .lock()
                    .unwrap()
                    .push(format!("{call:?}: {error}"));
            }
        };
        if answered.is_some() || !S::is_read(&call) {
            if answered.is_none() && self.unknown.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_UNKNOWN
            {
                self.faults.calm();
            }
            let operation = Operation {
                call,
                began,
                answered,
            };
            self.recorded.lock().unwrap().push(Recorded {
                key,
                how,
                operation,
            });
        }
    }

    /// After this, a caller goes away.
    async fn patience(&self, random: &Random) {
        if self.is_calm() {
            std::future::pending::<()>().await;
        } else if random.percent(6) {
            pause(random, Duration::from_millis(2)).await;
        } else {
            self.clock.sleep(Duration::from_mins(1)).await;
        }
    }

    fn is_calm(&self) -> bool {
        self.unknown.load(Ordering::Relaxed) >= MAX_UNKNOWN
    }

    fn tick(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    /// Moves the clock, beyond timeouts and TTLs too, and removes by hand.
    async fn meddle(self: Arc<Self>, random: Random) {
        let manager = &self.cache.manager;
        // In some rounds nearly every read loads; where writes are slow, reads hit.
        let most = if self.reads_instead > 0 {
            50
        } else {
            *random.pick(&[65, 70, 140])
        };
        while !self.is_over.load(Ordering::Relaxed) {
            pause(&random, Duration::from_millis(1)).await;
            match random.below(most) {
                0..40 => self.hand.advance(Duration::from_millis(100)),
                // Loads and writes time out.
                40..45 if !self.is_calm() => self.hand.advance(Duration::from_secs(11)),
                45..46 if !self.is_calm() => self.hand.advance(Duration::from_mins(5)),
                50..53 => self
                    .keys
                    .iter()
                    .for_each(|key| S::invalidate(&self.cache, key)),
                53..54 => drop(manager.clear()),
                54..55 => drop(manager.invalidate_glob("*_*")),
                55..58 => drop(manager.cleanup().await),
                58..59 => {
                    manager.set_all_enabled(false);
                    pause(&random, Duration::from_millis(1)).await;
                    manager.set_all_enabled(true);
                }
                46..50 | 59..70 => {}
                _ => self
                    .keys
                    .iter()
                    .for_each(|key| S::invalidate(&self.cache, key)),
            }
        }
    }

    /// Ends the faults and waits until no window is open.
    async fn settle(&self) -> Result<(), String> {
        self.faults.calm();
        let windows = || {
            self.cache
                .manager
                .stats()
                .iter()
                .map(|(_, _, stats)| stats.open_windows)
                .sum::<u64>()
        };
        let settled = async {
            while self.cache.manager.settle().await.is_err() || windows() > 0 {
                tokio::task::yield_now().await;
            }
        };
        // Who settles waits between two attempts.
        let time_passes = async {
            loop {
                self.hand.advance(Duration::from_secs(1));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = settled => Ok(()),
            () = time_passes => Ok(()),
            () = tokio::time::sleep(Duration::from_mins(1)) => Err(format!("{} windows stay open", windows())),
        }
    }

    /// Reads each key through the cache, past it, and through it again.
    async fn read_at_last(&self, random: &Random) {
        for (key, stands_for) in self.keys.iter().enumerate() {
            for bypass in [false, true, false] {
                self.call(random, key, Self::read(stands_for, random), bypass)
                    .await;
            }
        }
    }

    fn judge(&self, seed: u64, begin: &S) -> Result<Tally, String> {
        if let Some(wrong) = self.wrong.lock().unwrap().first() {
            return Err(self.tell(seed, wrong, None));
        }
        let mut tally = Tally {
            rounds: 1,
            ..Tally::default()
        };
        let recorded = self.recorded.lock().unwrap();
        for key in 0..self.keys.len() {
            let of = recorded.iter().filter(|recorded| recorded.key == key);
            let history: Vec<_> = of.map(|recorded| recorded.operation.clone()).collect();
            if let Err(longest) = judge(begin, &history) {
                let order: Vec<_> = longest.iter().map(|at| history[*at].began).collect();
                drop(recorded);
                return Err(self.tell(
                    seed,
                    &format!("no order explains every answer; the furthest is {order:?}"),
                    Some(key),
                ));
            }
            tally.calls += history.len() as u64;
            tally.unknown += history
                .iter()
                .filter(|operation| operation.answered.is_none())
                .count() as u64;
        }
        for (_, _, stats) in self.cache.manager.stats() {
            tally.hits += stats.hits;
            tally.refused += stats.refused_stores;
        }
        Ok(tally)
    }

    fn tell(&self, seed: u64, why: &str, of: Option<usize>) -> String {
        let mut told = format!("{}: {why}\n", std::any::type_name::<S>());
        let mut recorded = self.recorded.lock().unwrap();
        recorded.sort_by_key(|recorded| recorded.operation.began);
        for Recorded {
            key,
            how,
            operation,
        } in recorded
            .iter()
            .filter(|recorded| of.is_none_or(|key| recorded.key == key))
        {
            let Operation {
                call,
                began,
                answered,
            } = operation;
            let (ended, answer) = answered
                .as_ref()
                .map_or(("?".into(), "?".into()), |(at, answer)| {
                    (at.to_string(), format!("{answer:?}"))
                });
            writeln!(
                told,
                "{began:>4} to {ended:>4}  key {key}, {how:<6}  {call:?} = {answer}"
            )
            .expect("a text takes more");
        }
        told + &format!("GREENROOM_TEST_SEED={seed} plays this round again")
    }
}

/// Random numbers of one's own.
fn split(random: &Random) -> Random {
    Random::new(random.below(usize::MAX) as u64)
}
