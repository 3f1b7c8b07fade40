//! A persona stands in two files and a row, and is read and changed as one.

use std::time::Duration;

use domain::{
    AgentConfig, AgentId, AgentName, LongTermMemory, NewAgent, RecentEvent, Repositories,
};

use crate::stores::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persona_is_never_read_half_old_and_half_new() {
    let store = Place::sqlite().open().await;
    let id = agent(&store.r, "Ada", 0).await;
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
            "agent.yaml and memory.yaml"
        );
    }
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_given_up_never_lands_on_a_later_one() {
    for place in Place::all("changes given up on postgres").await {
        let store = place.open().await;
        let configs = &store.r.configs;
        let id = agent(&store.r, "Ada", 0).await;
        for number in 1..120 {
            given_up(configs.save(id, persona(number)), number).await;
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
async fn what_was_read_of_a_persona_is_not_taken_back_while_its_agent_is_deleted() {
    let store = Place::sqlite().open().await;
    let configs = &store.r.configs;
    for number in 1..60 {
        let id = agent(&store.r, &format!("Ada {number}"), 0).await;
        given_up(configs.save(id, persona(1)), number * 2).await;
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
async fn an_agent_whose_deletion_was_given_up_keeps_its_files_or_is_gone() {
    let store = Place::sqlite().open().await;
    for number in 1..150 {
        let id = agent(&store.r, &format!("Ada {number}"), 7).await;
        given_up(store.r.agents.delete(id), number).await;
        store.r.settle.settle().await.unwrap();
        let found = store.r.configs.find(id).await.unwrap();
        assert_eq!(
            store.r.configs.reload(id).await.ok(),
            found,
            "after {number} steps"
        );
    }
}

/// Runs `change` for a little while, longer with each step, and drops it.
async fn given_up<T>(change: impl Future<Output = T>, step: u32) {
    let _ = tokio::time::timeout(Duration::from_micros(50) * step, change).await;
}

async fn agent(r: &Repositories, name: &str, number: u32) -> AgentId {
    let name = AgentName::parse(name).unwrap();
    r.agents
        .create(NewAgent {
            name,
            group: None,
            config: persona(number),
            picture: None,
        })
        .await
        .unwrap()
        .id
}

/// The same number in both files.
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
