//! Explored schedules of the real types. Each history satisfies C1 and C2. With any rule disabled,
//! some history violates one of them.
//!
//! Built only under `--cfg shuttle`, by `cargo xtask schedules`.
#![cfg(shuttle)]

mod elsewhere;
mod judge;
mod logs;
mod scenarios;
mod world;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use cache_core::Fault;
use scenarios::{SCENARIOS, Scenario};
use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler},
};
use world::{ScheduleWorld, Visits};

/// Random schedules per scenario, unless `GREENROOM_SCHEDULES` sets another number.
const DEFAULT_COUNT: usize = 500;
/// The most schedules in which a planted fault is searched for.
const MAX_FAULT_SCHEDULES: usize = 10_000;
/// The seed of the schedules that search for a planted fault, so that a run can be repeated.
const SEED: u64 = 2;
/// Seeds of schedules that failed before, with their scenario.
const ONCE_FAILED: [(&str, u64); 0] = [];

fn schedules() -> usize {
    env::var("GREENROOM_SCHEDULES")
        .ok()
        .map_or(DEFAULT_COUNT, |count| {
            count.parse().expect("GREENROOM_SCHEDULES must be a number")
        })
}

fn config() -> Config {
    let mut config = Config::new();
    // 256 KiB: the futures of a debug build overflow the default of 32 KiB.
    config.stack_size = 0x4_0000;
    config.failure_persistence = shuttle::FailurePersistence::None;
    config
}

/// Runs a scenario and returns the situations that it visited.
fn explore(
    scenario: &Scenario,
    fault: Fault,
    scheduler: impl shuttle::scheduler::Scheduler + 'static,
) -> Visits {
    let visits: &'static Mutex<Visits> = Box::leak(Box::default());
    run_schedules(scenario, fault, scheduler, visits);
    visits.lock().unwrap().clone()
}

fn run_schedules(
    scenario: &Scenario,
    fault: Fault,
    scheduler: impl shuttle::scheduler::Scheduler + 'static,
    visits: &'static Mutex<Visits>,
) {
    let (run, setting) = (scenario.run, scenario.setting);
    Runner::new(scheduler, config()).run(move || {
        let world = ScheduleWorld::new(fault, setting, visits);
        shuttle::future::block_on(async {
            run(world.clone()).await;
            world.drain().await;
            world.count();
        });
    });
}

/// Searches for a schedule in which a scenario breaks a claim, with the rule of `fault` disabled.
/// Returns `true` if there is one.
fn finds(scenario: &Scenario, fault: Fault) -> bool {
    let began = Instant::now();
    let visits: &'static Mutex<Visits> = Box::leak(Box::default());
    let scheduler = RandomScheduler::new_from_seed(SEED, MAX_FAULT_SCHEDULES);
    let broken = catch_unwind(AssertUnwindSafe(|| {
        run_schedules(scenario, fault, scheduler, visits);
    }));
    let message = match broken {
        Ok(()) => "nothing".to_owned(),
        Err(panic) => panic
            .downcast_ref::<String>()
            .and_then(|text| text.lines().last())
            .unwrap_or_default()
            .to_owned(),
    };
    let coherent = visits
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .schedules;
    println!(
        "{fault:>24?}: {}: {message}, after {coherent} coherent schedules, {:.1} s",
        scenario.name,
        began.elapsed().as_secs_f64()
    );
    // Only a panic of the judge counts.
    message.contains("C1") || message.contains("C2")
}

#[test]
fn no_schedule_of_any_scenario_is_incoherent() {
    let count = schedules();
    for scenario in SCENARIOS {
        let began = Instant::now();
        let mut visits = explore(scenario, Fault::None, RandomScheduler::new(count));
        visits.add(&explore(
            scenario,
            Fault::None,
            PctScheduler::new(3, count / 4),
        ));
        println!(
            "{:>32}: {} schedules, {visits}, {:.1} s",
            scenario.name,
            count + count / 4,
            began.elapsed().as_secs_f64()
        );
        for situation in scenario.must_visit {
            assert!(
                visits.count(*situation) > 0,
                "{}: {situation:?} was never visited",
                scenario.name
            );
        }
    }
}

#[test]
fn schedules_that_failed_before_are_coherent() {
    for (name, seed) in ONCE_FAILED {
        let scenario = SCENARIOS
            .iter()
            .find(|scenario| scenario.name == name)
            .expect("the scenario exists");
        explore(
            scenario,
            Fault::None,
            RandomScheduler::new_from_seed(seed, 1),
        );
    }
}

#[test]
fn each_rule_taken_out_is_found() {
    let missed: Vec<_> = Fault::ALL
        .into_iter()
        .filter(|fault| {
            !SCENARIOS
                .iter()
                .filter(|scenario| scenario.finds.contains(fault))
                .any(|scenario| finds(scenario, *fault))
        })
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
