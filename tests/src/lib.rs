//! Support for the acceptance tests.

pub mod actors;
pub mod decorate;
pub mod driver;
pub mod faulty;
pub mod judge;
pub mod linear;
pub mod postgres;
pub mod random;
pub mod server;
pub mod slow;
pub mod sse;

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::Arc,
};

use domain::{Message, MessageId, Role, RoomId, Seq, Timestamp};

/// The workspace's top folder.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the workspace")
        .to_path_buf()
}

/// The message of a user that has this id and place in its room.
pub fn message(room: RoomId, id: i64) -> Arc<Message> {
    Arc::new(Message {
        id: MessageId(id),
        room,
        seq: Seq(id),
        author: None,
        content: "a message of usual length, as people write them in a chat".into(),
        role: Role::User,
        participant_type: None,
        participant_name: None,
        thinking: None,
        anthropic_calls: None,
        timestamp: Timestamp::default(),
        image_media_type: None,
        interrupted: false,
    })
}

/// Prints a line and appends it to `reports/{report}` in the target folder, which shows it when the test passes, too.
pub fn report(report: &str, line: &str) {
    println!("{line}");
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), |dir| workspace().join(dir));
    let folder = target.join("reports");
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(folder.join(report))
        .expect("a report can be written to");
    // One call, so that lines of concurrent tests stay whole.
    file.write_all(format!("{line}\n").as_bytes())
        .expect("a report can be written to");
}

/// Says that a test is not run here. Where everything must run, under `CI=true`, that is a failure.
pub fn not_run(test: &str, why: &str) {
    let line = format!("not run: {test} ({why})");
    report("not-run.txt", &line);
    assert!(env::var("CI").as_deref() != Ok("true"), "{line}");
}

/// The walk-through of `docs/adding-a-backend.md`, compiled and run as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../docs/adding-a-backend.md")]
pub struct AddingABackend;
