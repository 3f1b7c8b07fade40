//! Tests that polls, an open tab and answers read without statements and without file reads, once
//! their data is in memory.

use std::time::Duration;

use app::Settings;
use domain::{AgentId, NewMessage, RoomId};
use serde_json::{Value, json};

use crate::tab::{OpenTab, count_accesses};

const POLLS: usize = 1_000;

/// The expected accesses when the store is not used.
const NONE: [&str; 0] = [];

impl OpenTab {
    /// Asserts that polls run no statement, with and without a new message. Also asserts that the
    /// counter sees other statements.
    async fn assert_polls_run_no_statement(&self) {
        let newest = self.newest_id().await;
        self.client.get(&self.poll_path(0)).await.ok();
        let ((), accesses) = count_accesses(async {
            for _ in 0..POLLS {
                let polled = self.client.get(&self.poll_path(newest)).await;
                assert_eq!(polled.ok(), json!([]));
            }
        })
        .await;
        assert_eq!(accesses, NONE, "empty polls must run no statement");
        let mut since = newest;
        for number in 0..POLLS {
            self.append(&format!("new {number}"), None).await;
            let (polled, accesses) = count_accesses(self.client.get(&self.poll_path(since))).await;
            assert_eq!(
                accesses, NONE,
                "a poll that gets a new message must run no statement"
            );
            let ids = polled.ids();
            assert_eq!(ids.len(), 1);
            since = ids[0];
        }
        self.assert_accesses_are_counted(since).await;
    }

    /// Asserts that the counter counts the statements of a bypassing poll and of a write.
    async fn assert_accesses_are_counted(&self, since: i64) {
        let path = self.poll_path(since);
        let (_, accesses) = count_accesses(self.client.get_bypassing(&path)).await;
        assert!(
            accesses.len() >= 2,
            "the statements of a bypassing poll must be counted: {accesses:?}"
        );
        let ((), accesses) = count_accesses(self.client.mark_read(self.room)).await;
        assert!(
            accesses.iter().any(|access| access.contains("BEGIN")),
            "a BEGIN must be counted: {accesses:?}"
        );
    }

    /// Sends the requests that an open tab makes in a minute, while the background jobs run.
    /// Asserts that no statement runs.
    async fn assert_idle_tab_runs_no_statement(&self) {
        /// The number of half seconds in a minute.
        const TICKS: usize = 120;
        let since = self.newest_id().await;
        // The interval of each request, in half seconds.
        let requests = [
            (4, self.poll_path(since)),
            (3, format!("/rooms/{}/chatting-agents", self.room)),
            (10, "/rooms".to_owned()),
            (20, "/agents".to_owned()),
        ];
        let mut bodies = Vec::new();
        for (_, path) in &requests {
            self.client.get(path).await.ok();
            bodies.push(self.client.get(path).await.body);
        }
        let (count, accesses) = count_accesses(async {
            let mut count = 0;
            for tick in 0..TICKS {
                for ((interval, path), body) in requests.iter().zip(&bodies) {
                    if tick % interval == 0 {
                        let response = self.client.get(path).await;
                        assert_eq!(
                            (&response.body, response.is_hit()),
                            (body, Some(true)),
                            "{path}"
                        );
                        count += 1;
                    }
                }
                self.hand.advance(Duration::from_millis(500));
                tokio::task::yield_now().await;
            }
            count
        })
        .await;
        assert_eq!(count, 30 + 40 + 12 + 6);
        assert_eq!(accesses, NONE, "an idle tab must run no statement");
        let (_, accesses) = count_accesses(self.client.get_bypassing("/agents")).await;
        assert!(
            accesses.iter().any(|access| access.contains("a file")),
            "reads of files must be counted: {accesses:?}"
        );
    }
}

async fn assert_no_statement_runs(change: impl FnOnce(&mut Settings)) {
    let tab = OpenTab::open(change).await;
    tab.assert_polls_run_no_statement().await;
    tab.assert_idle_tab_runs_no_statement().await;
    tab.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_an_idle_tab_run_no_statement_on_sqlite() {
    let _guard = crate::run_alone().await;
    assert_no_statement_runs(|_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_an_idle_tab_run_no_statement_on_postgres() {
    let _guard = crate::run_alone().await;
    if let Some(database) = tests::postgres::database("statements on PostgreSQL").await {
        assert_no_statement_runs(|settings| settings.database = database).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_of_an_answer_is_read_without_a_statement() {
    let _guard = crate::run_alone().await;
    let tab = OpenTab::open(|_| {}).await;
    let ports = &tab.server.app().cache.repositories;
    let (room, agent) = (RoomId(tab.room), AgentId(tab.agent));
    ports.sessions.save(room, agent, "s1".into()).await.unwrap();
    let context = ports.context(room, agent, 100).await.unwrap();
    context.expect("the agent is in the room");
    for number in 0..100 {
        let question = NewMessage::from_user(room, format!("question {number}"));
        let question = ports.messages.append(question).await.unwrap();
        let (context, accesses) = count_accesses(ports.context(room, agent, 100)).await;
        assert_eq!(accesses, NONE, "a context in memory must run no statement");
        let context = context.unwrap().unwrap();
        assert_eq!(context.messages, [question]);
        assert_eq!(context.answers, 50 + number);
        assert_eq!(context.session_id.as_deref(), Some("s1"));
        assert_eq!(context.members.len(), 2);
        let bypassing = &tab.server.app().cache.bypassing;
        let (context, accesses) = count_accesses(bypassing.context(room, agent, 100)).await;
        assert_eq!(context.unwrap().unwrap().answers, 50 + number);
        assert!(
            accesses.len() >= 5,
            "the statements of a bypassing context must be counted: {accesses:?}"
        );
        tab.append("answer", None).await;
    }
    tab.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persona_that_was_evicted_is_only_statted_and_runs_no_statement() {
    let _guard = crate::run_alone().await;
    let tab = OpenTab::open(|_| {}).await;
    let (cache, agent) = (&tab.server.app().cache, AgentId(tab.agent));
    tab.backdate_bobs_files();
    cache.manager.clear();
    let (first, accesses) = count_accesses(cache.repositories.configs.find(agent)).await;
    assert!(
        accesses.iter().any(|access| access == "a file"),
        "files with other times must be read: {accesses:?}"
    );
    for _ in 0..10 {
        cache.manager.clear();
        let (again, accesses) = count_accesses(cache.repositories.configs.find(agent)).await;
        assert_eq!(accesses, NONE, "unchanged files must not be read");
        assert_eq!(again, first);
    }
    let (bypassed, accesses) = count_accesses(cache.bypassing.configs.find(agent)).await;
    assert!(
        accesses.len() >= 2 && accesses.iter().any(|access| access == "a file"),
        "a bypassing read must read the files: {accesses:?}"
    );
    assert_eq!(bypassed, first);
    tab.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_a_warm_room_run_only_their_writes() {
    const QUESTIONS: usize = 50;
    let _guard = crate::run_alone().await;
    let tab = OpenTab::open(|settings| settings.answers.responder = "scripted".into()).await;
    let ask = async |number: usize| {
        let question = format!("question {number}");
        tab.client.send_message(tab.room, &question).await;
        tab.server.app().conversations.ended().await;
    };
    ask(0).await;
    let before = tab.newest_id().await;
    let ((), accesses) = count_accesses(async {
        for number in 1..=QUESTIONS {
            ask(number).await;
        }
    })
    .await;
    let path = tab.poll_path(before) + "&limit=1000";
    let messages = tab.client.get(&path).await.items();
    let is_answer = |message: &&Value| !message["agent_id"].is_null();
    let answers = messages.iter().filter(is_answer).count();
    let begins = accesses.iter().filter(|access| access.contains("BEGIN"));
    let transactions = begins.count();
    tests::report(
        "answers.txt",
        &format!(
            "{answers} answers to {QUESTIONS} messages: {transactions} transactions, \
             {} statements, no read",
            accesses.len()
        ),
    );
    assert!(
        answers >= 2 * QUESTIONS,
        "both agents must answer each message, gave {answers} answers"
    );
    let is_read = |access: &&String| {
        !["BEGIN", "INSERT", "UPDATE", "COMMIT"]
            .iter()
            .any(|word| access.contains(&format!("\"{word}")))
    };
    assert_eq!(
        accesses.iter().find(is_read),
        None,
        "an answer must not read"
    );
    // One transaction for each message, and one for each time that the room is finished.
    assert_eq!(transactions, QUESTIONS + answers + QUESTIONS);
    tab.server.end().await;
}
