//! The program that measures, run on its shortest part.

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn the_quick_form_prints_a_table_and_a_verdict_for_each_goal() {
    let output = bench(&["misses", "--quick"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(shown.contains("| `Region::get_or_load` | 1 |"), "{shown}");
    assert!(
        shown
            .contains("* loads when a thousand tasks ask for one cold key: 1, goal at most 1: met"),
        "{shown}"
    );
}

#[test]
fn what_is_not_measured_is_refused_with_what_is() {
    let output = bench(&["hitz"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("workloads"),
        "{said}"
    );
}
