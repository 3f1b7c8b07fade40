//! The laws notice every fault, and nothing but faults.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{Fault, repositories};
use crate::contract::{self, memory};

#[tokio::test]
async fn every_fault_is_caught_and_every_law_catches_one() {
    let mut idle: BTreeSet<_> = contract::laws().iter().map(|law| law.name).collect();
    let mut missed = Vec::new();
    for &fault in Fault::ALL {
        let failed = contract::check(&repositories(fault)).await.failed;
        if failed.is_empty() {
            missed.push((fault, fault.method()));
        }
        for (name, why) in failed {
            assert!(!why.contains("panicked"), "{name} under {fault:?}: {why}");
            idle.remove(name);
        }
    }
    assert!(missed.is_empty(), "no law notices {missed:?}");
    assert!(idle.is_empty(), "no fault breaks {idle:#?}");
}

#[tokio::test]
async fn an_unbroken_backend_keeps_all_laws_fresh_and_in_use() {
    let r = memory::repositories();
    for _ in 0..3 {
        let report = contract::check(&r).await;
        report.assert();
        assert_eq!(report.passed, contract::laws().len());
    }
}

#[tokio::test]
async fn the_laws_hold_side_by_side() {
    let r = memory::repositories();
    let outcomes = join_all(contract::laws().into_iter().map(|law| (law.run)(r.clone()))).await;
    assert_eq!(
        outcomes.into_iter().collect::<Result<Vec<()>, _>>().err(),
        None
    );
}

#[test]
fn every_method_of_every_port_has_a_fault() {
    let (mut port, mut methods) = ("", Vec::new());
    for line in include_str!("../../ports.rs").lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub trait ") {
            port = rest.split(':').next().unwrap();
        }
        if let Some(rest) = line.strip_prefix("async fn ") {
            methods.push(format!("{port}::{}", rest.split('(').next().unwrap()));
        }
    }
    assert!(methods.len() > 40, "{methods:?}");
    let of_faults: BTreeSet<_> = Fault::ALL
        .iter()
        .map(|fault| fault.method().to_owned())
        .collect();
    assert_eq!(of_faults, methods.into_iter().collect());
}

#[test]
fn every_port_of_the_bundle_has_laws() {
    let owed: BTreeSet<_> = contract::laws().iter().map(|law| law.port).collect();
    let ports: BTreeSet<_> = Fault::ALL
        .iter()
        .filter_map(|fault| fault.method().split_once("::"))
        .map(|(port, _)| port)
        .collect();
    assert_eq!(owed, ports);
}
