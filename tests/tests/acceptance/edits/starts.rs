//! Edits of the agents' folder while the server is stopped, and server starts with many agents.

use std::{
    fs,
    time::{Duration, Instant},
};

use tests::records::create_agent;

use super::fixture::open_store;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_while_the_server_is_stopped_shows_after_the_start_and_in_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_store(folder.path()).await;
    let id = create_agent(&store, "Ada").await.id;
    drop(store);
    let agents = folder.path().join("agents");
    let (old, moved) = (agents.join("Ada"), agents.join("Bo"));
    fs::write(
        old.join("agent.yaml"),
        format!("# mine\nid: {id}\npriority: 5\n"),
    )
    .unwrap();
    fs::rename(&old, &moved).unwrap();
    let store = open_store(folder.path()).await;
    assert_eq!(
        store.agents.find(id).await.unwrap().unwrap().name.as_str(),
        "Bo"
    );
    assert_eq!(store.agents.list(None, 1_000).await.unwrap().len(), 1);
    fs::write(moved.join("agent.yaml"), "broken: [\n").unwrap();
    assert_eq!(
        store.configs.find(id).await.unwrap().unwrap().priority,
        5,
        "the start must store the persona that it found as the last good one"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_keep_the_ids_in_their_files_when_the_database_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("Ada", "id: 2\n"),
        ("Bo", "id: 1\n"),
        ("Cy", "id: 7\n"),
        ("Di", "# new\nin_a_nutshell: x"),
    ] {
        let agent = folder.path().join("agents").join(name);
        fs::create_dir_all(&agent).unwrap();
        fs::write(agent.join("agent.yaml"), text).unwrap();
    }
    let store = open_store(folder.path()).await;
    let found: Vec<_> = store
        .agents
        .list(None, 1_000)
        .await
        .unwrap()
        .iter()
        .map(|agent| (agent.id.0, agent.name.to_string()))
        .collect();
    assert_eq!(
        found,
        [
            (1, "Bo".into()),
            (2, "Ada".into()),
            (7, "Cy".into()),
            (8, "Di".into())
        ]
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("agents/Di/agent.yaml")).unwrap(),
        "# new\nin_a_nutshell: x\nid: 8\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_agents_are_loaded_by_a_fresh_start_in_under_a_second() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=1_000 {
        let agent = folder
            .path()
            .join(format!("agents/group {}/하늘 {number}", number % 24));
        fs::create_dir_all(&agent).unwrap();
        let text = "말이 느리고 다정하다.\n".repeat(100).replace('\n', "\n  ");
        fs::write(
            agent.join("agent.yaml"),
            format!("id: {number}\ncharacteristics: |\n  {text}\n"),
        )
        .unwrap();
        fs::write(
            agent.join("memory.yaml"),
            "recent_events:\n- text: 빨간 우산\n",
        )
        .unwrap();
    }
    drop(open_store(folder.path()).await);
    let began = Instant::now();
    let store = open_store(folder.path()).await;
    let ids: Vec<_> = store
        .agents
        .list(None, 1_000)
        .await
        .unwrap()
        .iter()
        .map(|agent| agent.id)
        .collect();
    assert_eq!(store.configs.find_many(&ids).await.unwrap().len(), 1_000);
    let took = began.elapsed();
    tests::report(
        "edits.txt",
        &format!("a fresh start loaded 1,000 agents, and each was read, in {took:?}"),
    );
    // The bound of one second is for an optimized build. A debug build on a busy machine needs
    // longer.
    assert!(
        took < Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 1 }),
        "{took:?}"
    );
}
