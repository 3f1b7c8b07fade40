//! Tests that work on agents' files does not make other writes wait.

use std::sync::Arc;

use domain::{AgentConfigs, Messages, NewMessage, NewRoom, RoomName, Rooms, UserId};

use super::{ADA, event, open, with_ada};
use crate::agent_files::{disk::RealDisk, folder::AgentsFolder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_do_not_wait_while_another_process_holds_the_lock_of_the_agents_folder() {
    let folder = with_ada().await;
    let store = open(folder.path(), Arc::new(RealDisk)).await;
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("tea").unwrap(),
        max_interactions: None,
    };
    let room = Rooms::create(&store, new).await.unwrap().id;
    let other = AgentsFolder::new(folder.path().join("agents"), Arc::new(RealDisk));
    let lock = other.lock().unwrap();
    let appending = {
        let store = store.clone();
        tokio::spawn(async move { store.append_memory(ADA, event("new")).await })
    };
    for number in 0..20 {
        let new = NewMessage::from_user(room, format!("{number}"));
        store.append(new).await.unwrap();
    }
    assert!(!appending.is_finished(), "the memory waits for the lock");
    drop(lock);
    let persona = appending.await.unwrap().unwrap();
    assert_eq!(persona.recent_events.len(), 2);
}
