//! Explored schedules of the real types: each history keeps C1 and C2, and each rule taken out breaks one.
//!
//! Built only under `--cfg shuttle`, by `cargo xtask schedules`, which the ordinary tests run in its quick form.
#![cfg(shuttle)]

mod judge;
mod scenarios;
mod stage;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::Instant,
};

use cache_core::Fault;
use scenarios::{SCENARIOS, Scenario};
use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler},
};
use stage::{Stage, Visits};

/// Schedules per scenario in the quick form; `GREENROOM_SCHEDULES` sets another number.
const QUICK: usize = 500;
/// Schedules within which each planted fault is to be found.
const ENOUGH: usize = 10_000;
/// Seeds of schedules that once failed, by scenario.
const ONCE_FAILED: [(&str, u64); 0] = [];

fn schedules() -> usize {
    env::var("GREENROOM_SCHEDULES").ok().map_or(QUICK, |count| {
        count.parse().expect("GREENROOM_SCHEDULES is a number")
    })
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 0x4_0000;
    config.failure_persistence = shuttle::FailurePersistence::None;
    config
}

/// Runs a scenario and tells which windows it visited.
fn explore(
    scenario: &Scenario,
    fault: Fault,
    scheduler: impl shuttle::scheduler::Scheduler + 'static,
) -> Visits {
    let visits: &'static Mutex<Visits> = Box::leak(Box::default());
    let run = scenario.run;
    Runner::new(scheduler, config()).run(move || {
        let stage = Stage::new(fault, visits);
        shuttle::future::block_on(async {
            run(stage.clone()).await;
            stage.drain().await;
            stage.count();
        });
    });
    visits.lock().unwrap().clone()
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
        for window in scenario.windows {
            assert!(
                visits.of(*window) > 0,
                "{}: {window:?} was never visited",
                scenario.name
            );
        }
    }
}

#[test]
fn schedules_that_once_failed_hold() {
    for (name, seed) in ONCE_FAILED {
        let scenario = SCENARIOS
            .iter()
            .find(|scenario| scenario.name == name)
            .expect("the scenario is there");
        explore(
            scenario,
            Fault::None,
            RandomScheduler::new_from_seed(seed, 1),
        );
    }
}

#[test]
fn each_rule_taken_out_is_found() {
    let mut missed = Vec::new();
    for fault in Fault::ALL {
        let scenarios = SCENARIOS
            .iter()
            .filter(|scenario| scenario.finds.contains(&fault));
        let mut found = false;
        for scenario in scenarios {
            if found {
                break;
            }
            let began = Instant::now();
            let scheduler = RandomScheduler::new_from_seed(1, ENOUGH);
            let broken =
                catch_unwind(AssertUnwindSafe(|| explore(scenario, fault, scheduler))).err();
            let why =
                broken.map(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default());
            let why = why
                .as_deref()
                .unwrap_or("nothing")
                .lines()
                .last()
                .unwrap_or_default();
            println!(
                "{fault:>24?}: {}: {why}, {:.1} s",
                scenario.name,
                began.elapsed().as_secs_f64()
            );
            // Another panic than the judge's is no finding.
            found |= why.contains("C1") || why.contains("C2");
        }
        if !found {
            missed.push(fault);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
