//! Tests of the pictures of new agents.

use std::{fs, sync::Arc};

use domain::{Agents, Error, NewAgent, Picture};

use super::{new_agent, open};
use crate::agent_files::disk::RealDisk;

#[tokio::test]
async fn a_new_agent_leaves_alone_the_picture_in_a_folder_of_no_agent() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let folder = root.path().join("agents/Cy");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("profile.png"), "a person's").unwrap();
    let picture = Picture {
        media_type: "image/png".into(),
        bytes: b"another's".to_vec(),
    };
    let new = NewAgent {
        picture: Some(picture),
        ..new_agent("Cy")
    };
    let refused = store.create(new).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(fs::read(folder.join("profile.png")).unwrap(), b"a person's");
    assert!(!folder.join("agent.yaml").exists());
}
