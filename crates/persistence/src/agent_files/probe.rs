//! A probe that finds edits of agents' files by `stat` calls. It is needed on file systems where
//! the watcher gets no events.

use std::time::Instant;

use domain::AgentId;

use super::{path::AgentPath, read::Probed};

/// The bound on `stat` calls per second, for all agents together.
///
/// Twenty agents in a group, probed ten times a second, cost 600 calls. With more agents than the
/// bound allows, each one is probed less often.
const STATS_PER_SECOND: f64 = 2_000.0;

/// The greatest number of `stat` calls in one run. It is the share of a tenth of a second, because
/// a probe runs ten times a second.
const BURST: f64 = 200.0;

/// The greatest number of `stat` calls for one agent: one for each of its two files, and one for
/// its group's file.
const MAX_STATS_PER_AGENT: f64 = 3.0;

/// The state that a probe keeps between two runs.
pub(super) struct Probe {
    /// The index of the agent that the next run begins with.
    next: usize,
    /// The tokens of a token bucket: the number of `stat` calls that are allowed now.
    allowed: f64,
    refilled_at: Instant,
    /// `true` if the last run could not check all agents.
    is_late: bool,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            next: 0,
            allowed: BURST,
            refilled_at: Instant::now(),
            is_late: false,
        }
    }
}

impl Probe {
    /// Checks as many agents as the bound allows, and returns the changed ones. The next run
    /// continues with the agents after them.
    pub(super) fn run(
        &mut self,
        agents: &[(AgentId, AgentPath)],
        probe: impl Fn(&AgentPath) -> Probed,
    ) -> Vec<AgentId> {
        self.refill();
        let mut changed = Vec::new();
        let mut probed = 0;
        while probed < agents.len() && self.allowed >= MAX_STATS_PER_AGENT {
            let (id, path) = &agents[(self.next + probed) % agents.len()];
            let result = probe(path);
            self.allowed -= f64::from(result.stat_calls);
            probed += 1;
            if result.is_changed {
                changed.push(*id);
            }
        }
        // `checked_rem` returns `None` if there are no agents.
        self.next = (self.next + probed).checked_rem(agents.len()).unwrap_or(0);
        self.report_delay(agents.len(), probed < agents.len());
        changed
    }

    fn refill(&mut self) {
        let now = Instant::now();
        let elapsed = now.duration_since(self.refilled_at).as_secs_f64();
        self.allowed = (self.allowed + elapsed * STATS_PER_SECOND).min(BURST);
        self.refilled_at = now;
    }

    /// Logs a warning when runs begin to miss agents, and a message when a run checks all of them
    /// again.
    fn report_delay(&mut self, agents: usize, is_late: bool) {
        if is_late && !self.is_late {
            tracing::warn!(
                agents,
                max_stats_per_second = STATS_PER_SECOND,
                "too many agents to probe the files of all in time: \
                 edits that the watcher does not report are found later"
            );
        } else if self.is_late && !is_late {
            tracing::info!(agents, "the files of all agents are probed in time again");
        }
        self.is_late = is_late;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::AgentName;

    use super::*;

    #[test]
    fn a_probe_keeps_to_its_bound_and_gets_round_all() {
        let agents: Vec<_> = (1..=500)
            .map(|n| {
                let name = AgentName::parse(&n.to_string()).unwrap();
                (AgentId(n), AgentPath { group: None, name })
            })
            .collect();
        let mut probe = Probe::default();
        let began = Instant::now();
        let (mut found, mut stats) = (BTreeSet::new(), 0.0);
        while found.len() < agents.len() {
            let changed = probe.run(&agents, |_| Probed {
                is_changed: true,
                stat_calls: 2,
            });
            stats += 2.0 * f64::from(u32::try_from(changed.len()).unwrap());
            assert!(
                stats <= BURST + began.elapsed().as_secs_f64() * STATS_PER_SECOND,
                "{stats} stat calls in {:?}",
                began.elapsed()
            );
            assert!(probe.is_late);
            found.extend(changed);
            std::thread::yield_now();
        }
    }
}
