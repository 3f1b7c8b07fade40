//! Edits of agents' files, saved in the ways in which editors save files.

use std::{fs, path::Path, time::Duration};

use domain::{AgentConfig, GroupName, NewAgent, RecentEvent};
use tests::records::new_agent;

use super::fixture::{Detection, EditFixture};

/// A function that replaces the text of a file.
type Save = fn(&Path, &str);

/// The ways in which editors save a file.
const SAVES: [(&str, Save); 4] = [
    ("in place", |path, text| fs::write(path, text).unwrap()),
    ("a rename over it", |path, text| {
        let temporary = path.with_extension("yaml~");
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, path).unwrap();
    }),
    ("deleted and created", |path, text| {
        fs::remove_file(path).unwrap();
        fs::write(path, text).unwrap();
    }),
    ("moved away and created", |path, text| {
        fs::rename(path, path.with_extension("bak")).unwrap();
        fs::write(path, text).unwrap();
    }),
];

/// Edits both files of an agent in each of the ways in [`SAVES`], and asserts that each edit is
/// detected. Consecutive edits have the same length, so the size of a file does not reveal them,
/// and its time may not either. Asserts that the median time until an edit shows is below `bound`.
async fn assert_each_save_shows(fixture: &EditFixture, means: &str, bound: Duration) {
    let id = fixture.create_agent("Ada").await;
    let mut times = Vec::new();
    for (style, save) in SAVES {
        for number in 10..16 {
            fixture.read(id).await;
            save(
                &fixture.path("Ada", "agent.yaml"),
                &format!("id: {id}\npriority: {number} # by hand\n"),
            );
            times.push(fixture.wait_for_priority(id, number).await);
            let text = format!("{style} {number}");
            save(
                &fixture.path("Ada", "memory.yaml"),
                &format!("recent_events: [{{text: \"{text}\"}}]\n"),
            );
            let shown = fixture.wait_until(id, |config| {
                let first = config.recent_events.first();
                first.is_some_and(|event| event.text == text)
            });
            times.push(shown.await);
        }
    }
    times.sort();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    tests::report(
        "edits.txt",
        &format!(
            "an edit shows {means} after {median:?}, the median of {}, at most {longest:?}",
            times.len()
        ),
    );
    assert!(
        median < bound,
        "half of the edits must show within {bound:?}, took {median:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_shows_however_it_is_saved_with_the_watcher() {
    assert_each_save_shows(
        &EditFixture::new(Detection::Watcher).await,
        "with the watcher alone",
        Duration::from_millis(50),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_shows_however_it_is_saved_with_the_probe() {
    assert_each_save_shows(
        &EditFixture::new(Detection::Probe).await,
        "with the probe alone",
        // The sum of the probe's interval and the duration of one round.
        Duration::from_millis(150),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_right_after_a_write_of_the_server_is_not_taken_for_that_write() {
    for detection in Detection::ALL {
        let fixture = EditFixture::new(detection).await;
        let id = fixture.create_agent("Ada").await;
        for number in 0..20 {
            let event = RecentEvent {
                date: None,
                text: "own".into(),
            };
            let configs = &fixture.cache.repositories.configs;
            configs.append_memory(id, event).await.unwrap();
            let path = fixture.path("Ada", "memory.yaml");
            // The edit keeps the file's size. It follows the write so soon that the file's time may
            // be the same.
            let text = fs::read_to_string(&path)
                .unwrap()
                .replace("own", &format!("{number:03}"));
            fs::write(&path, text).unwrap();
            let shows_edit = |config: &AgentConfig| {
                let last = config.recent_events.last();
                last.is_some_and(|event| event.text == format!("{number:03}"))
            };
            fixture.wait_until(id, shows_edit).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_a_groups_file_shows_in_its_agents() {
    for detection in Detection::ALL {
        let fixture = EditFixture::new(detection).await;
        let new = NewAgent {
            group: Some(GroupName::parse("the group").unwrap()),
            ..new_agent("Bo")
        };
        let id = fixture.create(new, "the group/Bo").await;
        if detection == Detection::Watcher {
            // The fixture has written a priority into the agent's own file, which overrides the
            // group's.
            let agent = fixture.path("the group/Bo", "agent.yaml");
            fs::write(agent, format!("id: {id}\n")).unwrap();
            fixture.wait_for_priority(id, 0).await;
        }
        fixture.read(id).await;
        let group = fixture.path("the group", "group.yaml");
        for priority in 1..5 {
            fs::write(&group, format!("priority: {priority}\n")).unwrap();
            fixture.wait_for_priority(id, priority).await;
        }
    }
}
