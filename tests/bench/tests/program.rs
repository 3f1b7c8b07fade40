//! Tests that run the benchmark program with its shortest benchmark.

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn a_quick_run_prints_a_table_and_a_verdict_for_each_goal() {
    let output = bench(&["misses", "--quick"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        printed.contains("| `Region::get_or_load` | 1 |"),
        "{printed}"
    );
    assert!(
        printed.contains("* loads for 1000 tasks that read one cold key: 1, goal at most 1: met"),
        "{printed}"
    );
}

#[test]
fn an_unknown_benchmark_is_refused_with_the_list_of_benchmarks() {
    let output = bench(&["hitz"]);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && printed.contains("workloads"),
        "{printed}"
    );
}
