//! One run: a few concurrent writers, and a pool of clients that read after each write.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tests::{
    client::{CacheMode, Client},
    random::Random,
    server::TestServer,
    slow::slow,
    staleness::WrongRead,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    plan::{Run, StoreKind, WriteTarget},
    world::{Counts, World},
};

/// The number of clients that read.
const CLIENTS: usize = 16;
/// The number of concurrent writers. With six writers, writes often conflict, and all clients are
/// busy.
const LANES: usize = 6;
/// The number of clients that read after each write.
pub(super) const READERS: usize = 4;
/// The number of reads that each of these clients makes after a write.
pub(super) const READS: usize = 5;
/// The maximum delay of the slow store. It is longer than a request takes on a busy machine. With
/// shorter delays, reads would rarely overlap with writes.
const LONGEST_DELAY: Duration = Duration::from_millis(40);

/// The result of a run. A run ends at the first wrong read.
#[derive(Debug)]
#[expect(dead_code, reason = "failure messages print every field")]
pub(super) struct RunReport {
    seed: u64,
    pub(super) writes: usize,
    pub(super) reads: usize,
    pub(super) hit_rate: f64,
    took: Duration,
    pub(super) wrong_read: Option<WrongRead>,
}

impl RunReport {
    pub(super) fn is_stale(&self) -> bool {
        matches!(self.wrong_read, Some(WrongRead::Stale(_)))
    }
}

/// A request to a client to read the target of a write. The client drops the sender when all its
/// reads are finished.
struct ReadOrder {
    target: WriteTarget,
    finished: oneshot::Sender<()>,
}

impl Run {
    pub(super) async fn play(self) -> RunReport {
        let seed = Random::seed();
        println!("{self:?}: GREENROOM_TEST_SEED={seed}");
        let server = match self.store {
            StoreKind::Sqlite => {
                TestServer::start(|settings| settings.cache.fault = self.fault).await
            }
            StoreKind::SlowMemory => {
                let store = contract::memory::repositories();
                let store = slow(store, LONGEST_DELAY, seed);
                let ttls = cache_adapter::rows().iter();
                let ttls = ttls.filter_map(|row| Some((row.region.to_owned(), self.ttl?)));
                TestServer::start_over(store, |settings| {
                    settings.cache.fault = self.fault;
                    settings.cache.ttls = ttls.collect();
                })
                .await
            }
        };
        let world = Arc::new(World::new(&server.client(), seed, self).await);
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        let mut readers = Vec::new();
        for _ in 0..CLIENTS {
            let (sender, orders) = mpsc::channel(LANES);
            readers.push(sender);
            tasks.spawn(read_all(world.clone(), server.client(), orders));
        }
        for _ in 0..LANES {
            tasks.spawn(write_all(world.clone(), server.client(), readers.clone()));
        }
        drop(readers);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let took = began.elapsed();
        let stats = server.client().get("/cache/stats").await.ok();
        server.end().await;
        let Counts {
            writes,
            reads,
            wrong_read,
            ..
        } = std::mem::take(&mut *world.counts());
        let report = RunReport {
            seed,
            writes,
            reads,
            hit_rate: stats["hit_rate"].as_f64().unwrap(),
            took,
            wrong_read,
        };
        self.print(&report);
        report
    }

    fn print(self, report: &RunReport) {
        let RunReport {
            writes,
            reads,
            hit_rate,
            took,
            wrong_read,
            ..
        } = report;
        let store = match self.store {
            StoreKind::Sqlite => "sqlite",
            StoreKind::SlowMemory => "a slow store",
        };
        let end = wrong_read
            .as_ref()
            .map_or("no stale read".into(), WrongRead::to_string);
        let line = format!(
            "http, {store}, {:?}: {writes} writes, {reads} reads, {hit_rate} % hits, \
             {took:.1?}: {end}",
            self.fault
        );
        tests::report("http.txt", &line);
    }
}

/// Runs writes until none is left. After each write, waits until several clients have read its
/// target.
async fn write_all(world: Arc<World>, client: Client, readers: Vec<mpsc::Sender<ReadOrder>>) {
    while let Some(kind) = world.next_write() {
        let target = match world.write(&client, kind).await {
            Ok(target) => target,
            Err(wrong) => return world.stop(wrong),
        };
        let mut readers: Vec<_> = readers.iter().collect();
        world.random.shuffle(&mut readers);
        let mut ends = Vec::new();
        for reader in &readers[..READERS] {
            let (finished, end) = oneshot::channel();
            // The send fails only if the client has ended. A client ends after a wrong read.
            let _ = reader.send(ReadOrder { target, finished }).await;
            ends.push(end);
        }
        for end in ends {
            // The client signals its end by dropping the sender, which the channel reports as an
            // error.
            let _ = end.await;
        }
    }
}

/// Runs one client, which reads after each order. Ends at the first wrong read.
async fn read_all(world: Arc<World>, client: Client, mut orders: mpsc::Receiver<ReadOrder>) {
    while let Some(order) = orders.recv().await {
        let mut repeat = None;
        for _ in 0..READS {
            if world.counts().wrong_read.is_some() {
                return;
            }
            let read = match repeat.take() {
                Some(read) => read,
                None => world.choose_read(order.target),
            };
            let mode = world.choose_mode();
            if let Err(wrong) = world.read(&client, &read, mode).await {
                return world.stop(wrong);
            }
            // Repeats a bypassing read: through the cache, it must show everything that the
            // bypassing read showed.
            repeat = (mode == CacheMode::Bypass).then_some(read);
        }
        drop(order.finished);
    }
}
