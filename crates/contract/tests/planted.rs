//! Tests of the laws: they detect every planted fault, and a correct backend passes them.

use std::collections::BTreeSet;

use contract::{
    EditFiles as _, Law, PORT_METHODS, memory,
    planted::{
        ChangesFault, EditedMemory, FaultyChanges, FaultyPlace, FileFault, PlaceFault,
        PlantedFault, repositories,
    },
};
use futures_util::future::join_all;

/// Returns the names of the laws that a backend with this fault breaks.
async fn broken_laws(fault: PlantedFault, laws: &[Law]) -> Vec<&'static str> {
    let ports = repositories(fault);
    let mut broken = Vec::new();
    for law in laws {
        if let Err(breach) = (law.run)(ports.clone()).await {
            let reason = breach.to_string();
            assert!(
                !reason.contains("panicked"),
                "{} under {fault:?}: {reason}",
                law.name
            );
            broken.push(law.name);
        }
    }
    broken
}

#[tokio::test]
async fn every_fault_is_caught_and_every_law_catches_one() {
    let laws = contract::laws();
    let mut caught = BTreeSet::new();
    let mut missed_faults = Vec::new();
    for &fault in PlantedFault::ALL {
        // The laws of other ports run only if the laws of the fault's port do not notice it.
        let (port, _) = fault.method().split_once("::").unwrap();
        let (own, others): (Vec<Law>, Vec<Law>) = laws.iter().partition(|law| law.port == port);
        let mut broken = broken_laws(fault, &own).await;
        if broken.is_empty() {
            broken = broken_laws(fault, &others).await;
        }
        if broken.is_empty() {
            missed_faults.push((fault, fault.method()));
        }
        caught.extend(broken);
    }
    assert!(missed_faults.is_empty(), "no law notices {missed_faults:?}");
    for law in laws.iter().filter(|law| !caught.contains(law.name)) {
        let mut is_idle = true;
        for &fault in PlantedFault::ALL {
            is_idle = is_idle && broken_laws(fault, &[*law]).await.is_empty();
        }
        assert!(!is_idle, "no fault breaks {}", law.name);
    }
}

#[tokio::test]
async fn a_sound_backend_keeps_all_laws_fresh_and_in_use() {
    let ports = memory::repositories();
    for _ in 0..3 {
        let report = contract::check(&ports).await;
        report.assert();
        assert_eq!(report.passed, contract::laws().len());
    }
}

#[tokio::test]
async fn the_laws_hold_side_by_side() {
    let ports = memory::repositories();
    let runs = contract::laws()
        .into_iter()
        .map(|law| (law.run)(ports.clone()));
    let outcome: Result<Vec<()>, _> = join_all(runs).await.into_iter().collect();
    assert_eq!(outcome.err(), None);
}

#[test]
fn every_method_of_every_port_has_a_fault() {
    let faulty: BTreeSet<_> = PlantedFault::ALL
        .iter()
        .map(|fault| fault.method())
        .collect();
    let methods: BTreeSet<_> = PORT_METHODS.iter().map(|method| method.name).collect();
    assert_eq!(faulty, methods);
}

#[test]
fn every_port_of_the_bundle_has_laws() {
    let bound: BTreeSet<_> = contract::laws().iter().map(|law| law.port).collect();
    let ports: BTreeSet<_> = PORT_METHODS.iter().map(|method| method.port).collect();
    assert_eq!(bound, ports);
}

#[tokio::test]
async fn every_fault_of_a_place_is_caught_and_every_law_of_reopening_catches_one() {
    let sound = contract::check_reopening(&memory::Place::default()).await;
    sound.assert();
    let mut caught = BTreeSet::new();
    for fault in PlaceFault::ALL {
        let report = contract::check_reopening(&FaultyPlace::new(fault)).await;
        assert!(!report.failed.is_empty(), "no law notices {fault:?}");
        caught.extend(report.failed.into_iter().map(|(law, _)| law));
    }
    assert_eq!(caught.len(), sound.passed, "{caught:?}");
}

#[tokio::test]
async fn every_fault_of_changes_is_caught_and_every_law_of_changes_catches_one() {
    let sound = contract::check_changes(&memory::SharedStore::default()).await;
    sound.assert();
    let mut caught = BTreeSet::new();
    for fault in ChangesFault::ALL {
        let report = contract::check_changes(&FaultyChanges::new(fault)).await;
        assert!(!report.failed.is_empty(), "no law notices {fault:?}");
        caught.extend(report.failed.into_iter().map(|(law, _)| law));
    }
    assert_eq!(caught.len(), sound.passed, "{caught:?}");
}

#[tokio::test]
async fn every_fault_of_files_is_caught_and_every_law_of_files_catches_one() {
    let sound = contract::check_files(&EditedMemory::default()).await;
    sound.assert();
    let mut caught = BTreeSet::new();
    for fault in FileFault::ALL {
        let report = contract::check_files(&EditedMemory::with(fault)).await;
        assert!(!report.failed.is_empty(), "no law notices {fault:?}");
        caught.extend(report.failed.into_iter().map(|(law, _)| law));
    }
    assert_eq!(caught.len(), sound.passed, "{caught:?}");
}

#[tokio::test]
async fn a_store_with_files_keeps_the_other_laws() {
    let store = EditedMemory::default();
    contract::check(&store.repositories()).await.assert();
}
