//! Counts the instructions of a request, and its locked writes on lines of memory that two threads
//! write, by single-stepping both.

use std::process::Command;

use crate::{
    instructions::not_run,
    steps::{Steps, note, target, top},
};

/// The committed counts of a request.
struct Committed {
    kind: &'static str,
    instructions: f64,
    locked: f64,
    /// The locked instructions on lines that both threads write. Cores take turns at such a line.
    shared: f64,
}

const COMMITTED: [Committed; 4] = [
    Committed {
        kind: "empty-poll",
        instructions: 9_730.0,
        locked: 13.1,
        shared: 0.0,
    },
    Committed {
        kind: "poll-of-20-messages",
        instructions: 11_880.0,
        locked: 26.1,
        shared: 14.0,
    },
    Committed {
        kind: "chatting-agents",
        instructions: 8_730.0,
        locked: 14.0,
        shared: 2.0,
    },
    Committed {
        kind: "room",
        instructions: 10_840.0,
        locked: 38.2,
        shared: 26.0,
    },
];

impl Committed {
    fn allows(&self, instructions: f64, locked: f64, shared: f64) -> bool {
        let more_shared = if self.shared > 0.0 { MORE_SHARED } else { 0.0 };
        instructions <= self.instructions * TOLERANCE
            && locked <= self.locked + MORE_LOCKED
            && shared <= self.shared + more_shared
    }
}

/// The factor by which instructions may exceed the committed number. Hash seeds, which are random,
/// change the length of a look-up.
const TOLERANCE: f64 = 1.05;
/// The number by which locked instructions may exceed the committed one, for the same reason.
const MORE_LOCKED: f64 = 1.0;

/// The number by which shared ones may exceed a committed number above zero: sometimes two threads
/// get neighbouring memory. Zero stays zero.
const MORE_SHARED: f64 = 2.0;

/// Fails if a request costs more than committed.
pub(crate) fn run(steps: &mut Steps) -> Result<(), String> {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return not_run("shared lines", "only Linux on x86-64 can be traced");
    }
    steps.cargo(
        "shared lines",
        &[
            "build",
            "--profile",
            "traced",
            "--quiet",
            "--package",
            "shared-lines",
        ],
    )?;
    let program = top().join(target()).join("traced/shared-lines");
    let output = Command::new(program)
        .output()
        .map_err(|error| format!("shared-lines: {error}"))?;
    if !output.status.success() {
        let report = String::from_utf8_lossy(&output.stderr);
        return Err(format!("shared-lines failed: {report}"));
    }
    let report = String::from_utf8_lossy(&output.stdout);
    let mut more = Vec::new();
    for committed in COMMITTED {
        let line = report
            .lines()
            .find_map(|line| line.strip_prefix(committed.kind)?.strip_prefix(' '));
        let counts: Vec<f64> = line
            .unwrap_or_default()
            .split(' ')
            .filter_map(|count| count.parse().ok())
            .collect();
        let [instructions, locked, shared] = counts[..] else {
            return Err(format!("shared-lines printed no counts: {report}"));
        };
        let text = format!(
            "{}: {instructions:.0} instructions, {locked:.1} locked, {shared:.1} of them shared; \
             committed {:.0}, {:.1}, {:.1}",
            committed.kind, committed.instructions, committed.locked, committed.shared
        );
        note("shared-lines.txt", &text)?;
        if !committed.allows(instructions, locked, shared) {
            more.push(text);
        }
    }
    if more.is_empty() {
        Ok(())
    } else {
        Err(format!("a request costs more:\n{}", more.join("\n")))
    }
}
