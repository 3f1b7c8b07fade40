//! Tests that a persona, which is stored in two files and a row, is read and changed as a unit.

use std::time::Duration;

use domain::{AgentConfig, AgentId, LongTermMemory, NewAgent, RecentEvent, Repositories};
use tests::records::new_agent;

use crate::stores::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persona_is_never_read_half_old_and_half_new() {
    let store = Place::sqlite().open().await;
    let id = create_agent(&store.r, "Ada", 0).await;
    let r = store.r.clone();
    let writer = tokio::spawn(async move {
        for number in 1..100 {
            r.configs.save(id, persona(number)).await.unwrap();
        }
    });
    while !writer.is_finished() {
        let found = store.r.configs.find(id).await.unwrap().unwrap();
        assert_eq!(
            found.in_a_nutshell, found.long_term_memories[0].title,
            "agent.yaml and memory.yaml must show the same version"
        );
    }
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_change_is_never_applied_after_a_later_one() {
    for place in Place::all("abandoned changes on postgres").await {
        let store = place.open().await;
        let configs = &store.r.configs;
        let id = create_agent(&store.r, "Ada", 0).await;
        for number in 1..120 {
            abandon(configs.save(id, persona(number)), number).await;
            let event = RecentEvent {
                date: None,
                text: number.to_string(),
            };
            let changed = configs.append_memory(id, event).await.unwrap();
            store.r.settle.settle().await.unwrap();
            assert_eq!(
                configs.find(id).await.unwrap(),
                Some(changed),
                "{}: after {number} steps",
                store.place.kind
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_a_persona_stay_the_same_while_its_agent_is_deleted() {
    let store = Place::sqlite().open().await;
    let configs = &store.r.configs;
    for number in 1..60 {
        let id = create_agent(&store.r, &format!("Ada {number}"), 0).await;
        abandon(configs.save(id, persona(1)), number * 2).await;
        store.r.settle.settle().await.unwrap();
        let before = configs.find(id).await.unwrap();
        let r = store.r.clone();
        let deletion = tokio::spawn(async move { r.agents.delete(id).await });
        while let Some(found) = configs.find(id).await.unwrap() {
            assert_eq!(Some(found), before, "after {number} steps");
        }
        deletion.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_deletion_was_abandoned_keeps_its_files_or_is_deleted() {
    let store = Place::sqlite().open().await;
    for number in 1..150 {
        let id = create_agent(&store.r, &format!("Ada {number}"), 7).await;
        abandon(store.r.agents.delete(id), number).await;
        store.r.settle.settle().await.unwrap();
        let found = store.r.configs.find(id).await.unwrap();
        assert_eq!(
            store.r.files.reload(id).await.ok(),
            found,
            "after {number} steps"
        );
    }
}

/// Runs `change` for a short time, then drops it. The time grows with `step`, so that over all
/// steps the change is abandoned at every point of its progress.
async fn abandon<T>(change: impl Future<Output = T>, step: u32) {
    let _ = tokio::time::timeout(Duration::from_micros(50) * step, change).await;
}

async fn create_agent(r: &Repositories, name: &str, number: u32) -> AgentId {
    let new = NewAgent {
        config: persona(number),
        ..new_agent(name)
    };
    r.agents.create(new).await.unwrap().id
}

/// Returns a persona with this number in both files.
fn persona(number: u32) -> AgentConfig {
    AgentConfig {
        in_a_nutshell: number.to_string(),
        long_term_memories: vec![LongTermMemory {
            title: number.to_string(),
            text: String::new(),
        }],
        ..AgentConfig::default()
    }
}
