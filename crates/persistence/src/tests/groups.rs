//! Tests that no change makes a folder both an agent and a group, and that no change of one agent
//! moves the folders of other agents.

use std::{fs, sync::Arc};

use domain::{
    AgentChange, AgentConfigs, AgentFiles as _, AgentName, Agents, Error, GroupName, NewAgent,
    Result,
};

use super::{ADA, new_agent, open, with_ada};
use crate::agent_files::disk::RealDisk;

fn in_group(name: &str, group: &str) -> NewAgent {
    NewAgent {
        group: Some(GroupName::parse(group).unwrap()),
        ..new_agent(name)
    }
}

fn assert_conflict<T: std::fmt::Debug>(result: Result<T>, wanted: &str) {
    let Err(Error::Conflict(why)) = result else {
        panic!("{result:?}")
    };
    assert!(why.contains(wanted), "{why}");
}

#[tokio::test]
async fn a_folder_is_an_agent_or_a_group_but_never_both() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let yara = store.create(in_group("Yara", "Guild")).await.unwrap().id;
    assert_conflict(store.create(new_agent("Guild")).await, "is a group");
    assert_conflict(store.create(in_group("Bo", "Ada")).await, "is an agent");
    let renamed = AgentChange {
        name: Some(AgentName::parse("Guild").unwrap()),
        ..AgentChange::default()
    };
    assert_conflict(store.update(ADA, renamed).await, "is a group");
    let moved = AgentChange {
        group: Some(Some(GroupName::parse("Ada").unwrap())),
        ..AgentChange::default()
    };
    assert_conflict(store.update(yara, moved).await, "is an agent");
    assert_eq!(
        AgentConfigs::find_many(&store, &[ADA, yara])
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(store.problems().await.unwrap(), []);
}

#[tokio::test]
async fn an_agents_folder_that_contains_others_is_reported_and_is_neither_moved_nor_deleted() {
    let root = with_ada().await;
    let agents = root.path().join("agents");
    fs::create_dir(agents.join("Ada/Yara")).unwrap();
    fs::write(agents.join("Ada/Yara/agent.yaml"), "priority: 1\n").unwrap();
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let problems = store.problems().await.unwrap();
    assert!(
        problems.iter().any(|problem| problem.name == "Ada"
            && problem.text.contains("an agent and a group of Yara")),
        "{problems:?}"
    );
    assert_conflict(
        Agents::delete(&store, ADA).await,
        "contains the agents Yara",
    );
    let renamed = AgentChange {
        name: Some(AgentName::parse("Bo").unwrap()),
        ..AgentChange::default()
    };
    assert_conflict(store.update(ADA, renamed).await, "contains the agents Yara");
    assert!(agents.join("Ada/Yara/agent.yaml").exists());
    // Other changes are possible.
    let change = AgentChange {
        priority: Some(3),
        ..AgentChange::default()
    };
    store.update(ADA, change).await.unwrap();
}

#[tokio::test]
async fn a_folder_with_another_agents_id_is_neither_changed_nor_deleted_nor_shown() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let bo = store.create(new_agent("Bo")).await.unwrap().id;
    let agents = root.path().join("agents");
    let foreign = format!("id: {bo}\ncharacteristics: Bo\n");
    fs::write(agents.join("Ada/agent.yaml"), &foreign).unwrap();
    let event = super::event("new");
    assert_conflict(store.append_memory(ADA, event).await, "`id` must be");
    assert_conflict(Agents::delete(&store, ADA).await, "`id` must be");
    let persona = AgentConfigs::find(&store, ADA).await.unwrap().unwrap();
    assert_eq!(persona.characteristics, "old");
    assert_eq!(persona.recent_events.len(), 1);
    let text = fs::read_to_string(agents.join("Ada/agent.yaml")).unwrap();
    assert_eq!(text, foreign);
}

#[tokio::test]
async fn a_copy_of_an_agent_does_not_replace_it_while_its_file_has_errors() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let agents = root.path().join("agents");
    fs::create_dir(agents.join("Ada copy")).unwrap();
    fs::copy(
        agents.join("Ada/agent.yaml"),
        agents.join("Ada copy/agent.yaml"),
    )
    .unwrap();
    fs::write(agents.join("Ada/agent.yaml"), "priority: [\n").unwrap();
    assert!(matches!(store.reload(ADA).await, Err(Error::Invalid(_))));
    let ada = Agents::find(&store, ADA).await.unwrap().unwrap();
    assert_eq!(ada.name.as_str(), "Ada");
}
