//! Agents' folders that are renamed or copied by hand, and the removal of personas that are not
//! read.

use std::fs;

use domain::Error;
use tests::{region_stats::region_stats, wait::soon};

use super::fixture::{Detection, EditFixture};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_renamed_by_hand_is_the_same_agent_under_a_new_name() {
    for detection in Detection::ALL {
        let fixture = EditFixture::new(detection).await;
        let id = fixture.create_agent("Ada").await;
        fixture.write_priority("Ada", id, 5);
        fixture.wait_for_priority(id, 5).await;
        fs::create_dir(fixture.path("group", "")).unwrap();
        fs::rename(fixture.path("Ada", ""), fixture.path("group", "하늘")).unwrap();
        let renamed = async {
            loop {
                let agents = &fixture.cache.repositories.agents;
                let agent = agents.find(id).await.unwrap().unwrap();
                let priority = fixture.read(id).await.priority;
                assert_eq!(priority, 5, "the persona must stay in force");
                if agent.name.as_str() == "하늘" {
                    return agent;
                }
                tokio::task::yield_now().await;
            }
        };
        let agent = soon("the agent gets its folder's new name", renamed).await;
        assert_eq!(agent.config_file, "group/하늘/agent.yaml");
        assert_eq!(agent.group.as_ref().unwrap().as_str(), "group");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_with_a_taken_id_is_a_configuration_error() {
    let fixture = EditFixture::new(Detection::Probe).await;
    let id = fixture.create_agent("Ada").await;
    fs::create_dir(fixture.path("Copy", "")).unwrap();
    fs::copy(
        fixture.path("Ada", "agent.yaml"),
        fixture.path("Copy", "agent.yaml"),
    )
    .unwrap();
    let store = &fixture.store;
    assert!(matches!(
        store.files.adopt("Copy/agent.yaml").await,
        Err(Error::Conflict(_))
    ));
    let problems = store.files.problems().await.unwrap();
    assert!(
        problems[0].name == "Copy"
            && problems[0]
                .text
                .contains(&format!("`id` {id} belongs to agent Ada")),
        "{problems:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persona_that_is_not_read_for_long_is_removed_and_the_next_read_loads_it_from_the_disk() {
    let fixture = EditFixture::new(Detection::Probe).await;
    let id = fixture.create_agent("Ada").await;
    fixture.read(id).await;
    let before = region_stats(&fixture.cache, "agent_config").size;
    // More rounds than the 300 after which a persona without reads is removed.
    for _ in 0..400 {
        fixture.cache.begin_probe_round(300);
    }
    let after = region_stats(&fixture.cache, "agent_config").size;
    assert_eq!((before, after), (1, 0));
    fixture.write_priority("Ada", id, 5);
    assert_eq!(fixture.read(id).await.priority, 5);
}
