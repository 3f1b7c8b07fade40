//! The reads and writes that an answer needs, through the ports. In each room a user sends a
//! message, then each agent reads its context and writes an answer.

use std::time::Duration;

use domain::{AgentId, NewMessage, RoomId};

use super::{
    operations::MeasuredOperations,
    sample::{AGENTS, ROOMS},
    workload_bench::WorkloadBench,
};
use crate::counter::Count;

/// The time between a user's message and the first answer, and between two answers.
const PAUSE: Duration = Duration::from_secs(2);
/// The maximum number of unanswered messages in a context.
const HISTORY: usize = 100;

/// The results of context reads and answers.
#[derive(Default)]
pub(super) struct ContextResults {
    pub(super) contexts: MeasuredOperations,
    pub(super) appends: MeasuredOperations,
    pub(super) warm_up: Count,
    /// Events that occurred outside of the measured operations, in the program's periodic work.
    pub(super) between_operations: Count,
}

/// Runs rounds in all rooms for this many seconds of the manual clock, after one round of warm-up.
pub(super) async fn run(bench: &WorkloadBench, seconds: u64) -> ContextResults {
    let mut results = ContextResults::default();
    let mut before = bench.counter.count();
    let turns = u64::try_from(AGENTS + 1).expect("the number of agents is small");
    let rooms = u32::try_from(ROOMS).expect("the number of rooms is small");
    for round in 0..=seconds / (PAUSE.as_secs() * turns) {
        if round == 1 {
            let warm_up = std::mem::take(&mut results);
            results.warm_up = warm_up.contexts.count;
            before = bench.counter.count();
        }
        for turn in 0..=AGENTS {
            for (number, room) in bench.sample.rooms.iter().enumerate() {
                bench.advance(PAUSE / rooms).await;
                // Turn 0 of each round belongs to the user, the other turns to the agents.
                if let Some(turn) = turn.checked_sub(1) {
                    let agent = bench.sample.agent(number, turn);
                    results.answer(bench, *room, agent, round).await;
                } else {
                    let question = NewMessage::from_user(*room, format!("question {round}"));
                    results.append(bench, question).await;
                }
            }
        }
    }
    let all = bench.counter.count() - before;
    results.between_operations = all - results.contexts.count - results.appends.count;
    results
}

impl ContextResults {
    /// Reads the context of an agent, and appends its answer.
    async fn answer(&mut self, bench: &WorkloadBench, room: RoomId, agent: AgentId, round: u64) {
        let context = self
            .contexts
            .measure(&bench.counter, bench.ports().context(room, agent, HISTORY))
            .await
            .expect("the store returns the context")
            .expect("the agent is in the room");
        assert!(!context.messages.is_empty() && context.members.len() == AGENTS);
        let answer = NewMessage::from_agent(
            room,
            agent,
            format!("answer {round}, of some usual length as agents write"),
        );
        self.append(bench, answer).await;
    }

    async fn append(&mut self, bench: &WorkloadBench, message: NewMessage) {
        self.appends
            .measure(&bench.counter, bench.ports().messages.append(message))
            .await
            .expect("the store accepts the message");
    }
}
