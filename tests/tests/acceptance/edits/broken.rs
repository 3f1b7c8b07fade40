//! Agents' files that are broken or missing.

use std::fs;

use domain::{AgentChange, Error};

use super::fixture::{Detection, EditFixture};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_or_missing_file_is_reported_and_leaves_the_last_good_persona_in_force() {
    for detection in Detection::ALL {
        let fixture = EditFixture::new(detection).await;
        let repositories = &fixture.cache.repositories;
        let id = fixture.create_agent("Ada").await;
        fixture.write_priority("Ada", id, 5);
        fixture.wait_for_priority(id, 5).await;
        let assert_reported = async |wanted: &str| {
            let problems = repositories.files.problems().await.unwrap();
            assert!(
                problems
                    .iter()
                    .any(|problem| problem.name == "Ada" && problem.text.contains(wanted)),
                "{problems:?}"
            );
            assert_eq!(fixture.read(id).await.priority, 5);
            let bypassed = fixture.cache.bypassing.configs.find(id).await;
            assert_eq!(bypassed.unwrap().unwrap().priority, 5);
        };
        for (text, wanted) in [
            (
                "priority: high\n".to_owned(),
                "agent.yaml, line 1, column 11: priority",
            ),
            (String::new(), "an empty file"),
            (format!("id: {}\npriority: 7\n", id.0 + 100), "`id` must be"),
        ] {
            fs::write(fixture.path("Ada", "agent.yaml"), &text).unwrap();
            assert_reported(wanted).await;
            let change = AgentChange {
                priority: Some(1),
                ..AgentChange::default()
            };
            let refused = repositories.agents.update(id, change).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
            assert_eq!(
                fs::read_to_string(fixture.path("Ada", "agent.yaml")).unwrap(),
                text,
                "a refused write must leave the edited file as it is"
            );
        }
        fs::rename(fixture.path("Ada", ""), fixture.path_outside("away")).unwrap();
        assert_reported("is missing").await;
        fs::rename(fixture.path_outside("away"), fixture.path("Ada", "")).unwrap();
        fixture.write_priority("Ada", id, 6);
        fixture.wait_for_priority(id, 6).await;
        assert_eq!(repositories.files.problems().await.unwrap(), []);
    }
}
