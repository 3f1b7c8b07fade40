//! Runs the program under disturbances, and checks that it loses no acknowledged write and serves
//! no stale read.
//!
//! ```sh
//! cargo build --release -p greenroom
//! cargo run --release -p tests --example soak -- target/release/greenroom 10
//! ```
//!
//! The arguments are the path of the program and the number of minutes. Half of the time goes to
//! SQLite, half to PostgreSQL. In each round, the program serves writers in several rooms, a writer
//! of memories, and a person who edits an agent's file. Then the round is disturbed: the program is
//! killed or stopped, the disk becomes full, or the database restarts. After the next start, the
//! contents are compared with the acknowledged writes.
//!
//! The command ends with an error at the first lost write, stale read, or failed start. The
//! environment variable `GREENROOM_TEST_SEED` sets the seed that it prints.

mod disk;
mod folder_edits;
mod program;
mod room_log;

use std::{
    env,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tests::random::Random;
use tokio::time::sleep;

use disk::Disk;
use folder_edits::AgentEdits;
use program::{Program, Session};
use room_log::RoomLog;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The number of rooms that are written at the same time.
const ROOMS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [program, minutes] = arguments.as_slice() else {
        return Err("usage: soak PROGRAM MINUTES".into());
    };
    let program = PathBuf::from(program).canonicalize()?;
    let time = Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0);
    let seed = Random::seed();
    println!("soak: seed {seed}");
    let random = Random::new(seed);
    if let Some(database) = tests::postgres::database("the soak on PostgreSQL").await {
        soak(&program, Some(database), time / 2, &random).await?;
        return soak(&program, None, time / 2, &random).await;
    }
    soak(&program, None, time, &random).await
}

/// The end of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    Kill,
    Stop,
    FullDisk,
    RestartOfDatabase,
}

/// Runs rounds on one database until `time` has passed.
async fn soak(
    program: &Path,
    database: Option<String>,
    time: Duration,
    random: &Random,
) -> Result<(), Failure> {
    let name = database.as_ref().map_or("sqlite", |_| "postgres");
    let disk = Disk::new()?;
    let (began, mut rounds, mut disturbances) = (Instant::now(), 0, [0; 4]);
    let mut program = Program::new(program, disk.folder(), database);
    let mut session = program.start().await?;
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        rooms.push(RoomLog::create(&session).await?);
    }
    let mut edits = AgentEdits::create(&session, disk.folder()).await?;
    loop {
        let disturbance = choose(name, &disk, random);
        disturbances[disturbance as usize] += 1;
        let calm = Duration::from_millis(500 + random.below(3_000) as u64);
        let stop = AtomicBool::new(false);
        let disturb = async {
            sleep(calm).await;
            let disturbed = disturb(disturbance, &disk, &session, &mut program).await;
            // Relaxed: the flag orders no other memory.
            stop.store(true, Ordering::Relaxed);
            disturbed
        };
        // While the disk is full or the database restarts, edits may go unnoticed for a while.
        let is_calm = matches!(disturbance, Disturbance::Kill | Disturbance::Stop);
        let writing = join_all(rooms.iter_mut().map(|room| room.write(&session, &stop)));
        let editing = edits.run(&session, &stop, is_calm);
        let (disturbed, written, edited) = tokio::join!(disturb, writing, editing);
        disturbed?;
        edited?;
        written.into_iter().collect::<Result<(), _>>()?;
        session = program.start().await?;
        for room in &mut rooms {
            room.verify(&session).await?;
        }
        edits.verify(&session).await?;
        rounds += 1;
        if began.elapsed() >= time {
            break;
        }
    }
    program.stop().await?;
    let acknowledged: usize = rooms.iter().map(|room| room.acknowledged).sum();
    println!(
        "soak on {name}: {rounds} rounds, {acknowledged} acknowledged messages, {} memories, {} \
         edits; kills, stops, full disks, restarts of the database: {disturbances:?}",
        edits.memories, edits.edits
    );
    if acknowledged == 0 || edits.edits == 0 {
        return Err("the soak has written nothing".into());
    }
    if rooms.iter().all(|room| room.interrupted == 0) {
        return Err("no message was interrupted by a disturbance".into());
    }
    Ok(())
}

fn choose(database: &str, disk: &Disk, random: &Random) -> Disturbance {
    match random.below(10) {
        0 => Disturbance::Stop,
        1..=3 if database == "postgres" => Disturbance::RestartOfDatabase,
        1..=3 if disk.is_small() => Disturbance::FullDisk,
        _ => Disturbance::Kill,
    }
}

/// Disturbs the program while it serves requests, and ends it. After a full disk or a restart of
/// the database, the program must accept messages again before it is killed.
async fn disturb(
    disturbance: Disturbance,
    disk: &Disk,
    session: &Session,
    program: &mut Program,
) -> Result<(), Failure> {
    match disturbance {
        Disturbance::Kill => {}
        Disturbance::Stop => return program.stop().await,
        Disturbance::FullDisk => {
            disk.fill()?;
            sleep(Duration::from_millis(700)).await;
            disk.free()?;
            session.wait_until_it_writes().await?;
        }
        Disturbance::RestartOfDatabase => {
            tests::postgres::restart().await;
            session.wait_until_it_writes().await?;
        }
    }
    program.kill();
    Ok(())
}
