//! Tests that the number of an agent's recent events is bounded.

use std::{fmt::Write as _, fs, sync::Arc};

use domain::{AgentConfigs, AgentFiles as _, Error, MAX_RECENT_BYTES, MAX_RECENT_EVENTS};

use super::{ADA, event, open, with_ada};
use crate::agent_files::disk::RealDisk;

#[tokio::test]
async fn the_oldest_events_beyond_the_bound_move_to_an_archive_that_only_grows() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let folder = root.path().join("agents/Ada");
    let mut text = "# by hand\nrecent_events:\n".to_owned();
    for number in 0..MAX_RECENT_EVENTS {
        writeln!(text, "- text: \"event {number}\"").unwrap();
    }
    text += "long_term_memories:\n- title: a\n  text: b\n";
    fs::write(folder.join("memory.yaml"), text).unwrap();
    for number in 0..3 {
        let text = format!("new: {number}");
        let config = store.append_memory(ADA, event(&text)).await.unwrap();
        assert_eq!(config.recent_events.len(), MAX_RECENT_EVENTS);
        assert_eq!(config.recent_events.last(), Some(&event(&text)));
        assert_eq!(
            config.recent_events[0].text,
            format!("event {}", number + 1)
        );
        assert_eq!(config.long_term_memories.len(), 1);
        assert_eq!(AgentConfigs::find(&store, ADA).await.unwrap(), Some(config));
    }
    let memory = fs::read_to_string(folder.join("memory.yaml")).unwrap();
    assert!(memory.starts_with("# by hand\n"), "{memory}");
    let archive = fs::read_to_string(folder.join("memory-archive.yaml")).unwrap();
    let archived = "- text: event 0\n- text: event 1\n- text: event 2\n";
    assert_eq!(archive, archived);
    assert_eq!(store.problems().await.unwrap(), []);
}

#[tokio::test]
async fn long_events_are_bounded_by_their_bytes_and_no_file_gets_longer_than_it_may_be_read() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let long = "x".repeat(MAX_RECENT_BYTES / 3);
    for _ in 0..5 {
        store.append_memory(ADA, event(&long)).await.unwrap();
    }
    let config = AgentConfigs::find(&store, ADA).await.unwrap().unwrap();
    assert_eq!(config.recent_events.len(), 3);
    let mut config = (*config).clone();
    config.characteristics = "x".repeat(9 << 20);
    let refused = store.save(ADA, config).await;
    assert!(
        matches!(refused, Err(Error::Conflict(_))),
        "{:?}",
        refused.err()
    );
    assert_eq!(store.problems().await.unwrap(), []);
}
