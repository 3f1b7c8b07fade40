//! Tests of the ids that new agents get.

use std::{fs, sync::Arc};

use domain::{AgentConfigs, AgentFiles as _, Agents, Error};

use super::{new_agent, open};
use crate::agent_files::{
    disk::RealDisk,
    faulty_disk::{DiskFault, FaultyDisk},
};

#[tokio::test]
async fn a_new_database_does_not_assign_the_id_of_a_deleted_agents_folder() {
    let root = tempfile::tempdir().unwrap();
    let deleted = root.path().join("agents/.deleted/Ada-7");
    fs::create_dir_all(&deleted).unwrap();
    fs::write(deleted.join("agent.yaml"), "id: 7\ncharacteristics: gone\n").unwrap();
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let ada = store.create(new_agent("Ada")).await.unwrap();
    assert_eq!(ada.id.0, 8);
    let folder = root.path().join("agents/Ada");
    fs::remove_dir_all(&folder).unwrap();
    drop(store);
    let store = open(root.path(), Arc::new(RealDisk)).await;
    assert!(
        !folder.exists(),
        "the folder of another agent was brought back"
    );
    let persona = AgentConfigs::find(&store, ada.id).await.unwrap().unwrap();
    assert_eq!(persona.characteristics, "old");
    Agents::delete(&store, ada.id).await.unwrap();
}

#[tokio::test]
async fn an_id_far_above_all_others_is_refused_and_later_agents_get_usual_ids() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("agents/Eve");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("agent.yaml"), "id: 9007199254740991\n").unwrap();
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let refused = store.adopt("Eve/agent.yaml").await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    assert_eq!(store.create(new_agent("Ada")).await.unwrap().id.0, 1);
    assert_eq!(store.problems().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_id_is_not_assigned_again_after_a_creation_that_failed() {
    for fault_at in 1.. {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::new(DiskFault::FullOnce, fault_at));
        let store = open(root.path(), disk.clone()).await;
        let failed = store.create(new_agent("Ada")).await;
        if disk.changes() < fault_at {
            assert!(failed.is_ok() && fault_at > 3, "{fault_at}: {failed:?}");
            break;
        }
        let second = store.create(new_agent("Bo")).await.unwrap();
        assert_eq!(second.id.0, 2, "at change {fault_at}: {failed:?}");
    }
}
