//! Statements that the driver sends, and files that are read, for polls and for an open tab: none, once warm.

use std::{
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use app::Settings;
use cache_adapter::Preset;
use cache_core::{Clock, ManualClock};
use domain::{AgentId, Image, NewMessage, RoomId};
use serde_json::{Value, json};
use tests::{
    driver::{Done, Driver},
    server::{Client, Running},
};
use tracing_subscriber::layer::SubscriberExt;

const POLLS: usize = 1_000;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LAST: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What the driver tells; what the probe looks at is no read.
fn told(done: Done, text: &str) {
    if done != Done::Hashed {
        COUNT.fetch_add(1, Ordering::SeqCst);
        LAST.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text.to_owned());
    }
}

/// The statements that `work` ran and the files that it read, background ones among them.
async fn statements<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clear();
    COUNT.store(0, Ordering::SeqCst);
    let done = work.await;
    let said = std::mem::take(&mut *LAST.lock().unwrap_or_else(PoisonError::into_inner));
    assert_eq!(said.len(), COUNT.load(Ordering::SeqCst));
    (done, said)
}

struct Tab {
    server: Running,
    client: Client,
    hand: ManualClock,
    room: i64,
    agent: i64,
}

impl Tab {
    /// A room with two agents, messages and an image, as an open tab keeps it warm.
    async fn open(change: impl FnOnce(&mut Settings)) -> Self {
        static SUBSCRIBE: Once = Once::new();
        SUBSCRIBE.call_once(|| {
            tracing::subscriber::set_global_default(
                tracing_subscriber::registry().with(Driver(told)),
            )
            .expect("nobody else subscribes here");
        });
        let (clock, hand) = Clock::manual();
        let server = Running::start_at(clock, |settings| {
            settings.cache.preset = Preset::Coherent;
            change(settings);
        })
        .await;
        let client = server.client();
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let mut agent = 0;
        for name in ["Ada", "Bob"] {
            agent = client
                .post("/agents", json!({ "name": name, "in_a_nutshell": "calm" }))
                .await
                .ok()["id"]
                .as_i64()
                .unwrap();
            client
                .post(&format!("/rooms/{room}/agents/{agent}"), Value::Null)
                .await
                .ok();
        }
        let image = Image {
            media_type: "image/png".into(),
            data: "aGVsbG8=".into(),
        };
        let ports = &server.app().cache.repositories;
        for n in 0..50 {
            let said = NewMessage::from_agent(RoomId(room), AgentId(agent), format!("message {n}"));
            ports
                .messages
                .append(NewMessage {
                    image: (n % 10 == 0).then(|| image.clone()),
                    ..said
                })
                .await
                .unwrap();
        }
        Self {
            server,
            client,
            hand,
            room,
            agent,
        }
    }

    fn poll(&self, since: i64) -> String {
        format!("/rooms/{}/messages/poll?since_id={since}", self.room)
    }

    async fn newest(&self) -> i64 {
        let found = self
            .client
            .get(&format!("/rooms/{}/messages/poll?limit=1", self.room))
            .await
            .ok();
        found[0]["id"].as_i64().unwrap()
    }

    async fn polls(&self) {
        let newest = self.newest().await;
        self.client.get(&self.poll(0)).await.ok();
        let ((), said) = statements(async {
            for _ in 0..POLLS {
                assert_eq!(self.client.get(&self.poll(newest)).await.ok(), json!([]));
            }
        })
        .await;
        assert_eq!(said, [""; 0], "empty polls");
        let mut since = newest;
        for n in 0..POLLS {
            let said =
                NewMessage::from_agent(RoomId(self.room), AgentId(self.agent), format!("new {n}"));
            self.server
                .app()
                .cache
                .repositories
                .messages
                .append(said)
                .await
                .unwrap();
            let (found, said) = statements(self.client.get(&self.poll(since))).await;
            let found = found.ok();
            assert_eq!(
                (found.as_array().unwrap().len(), said),
                (1, Vec::new()),
                "a poll that gets a new message"
            );
            since = found[0]["id"].as_i64().unwrap();
        }
        let (_, said) = statements(self.client.get_past(&self.poll(since))).await;
        assert!(
            said.len() >= 2,
            "a poll past the cache is counted: {said:?}"
        );
        let (_, said) = statements(
            self.client
                .post(&format!("/rooms/{}/mark-read", self.room), Value::Null),
        )
        .await;
        assert!(
            said.iter().any(|statement| statement.contains("BEGIN")),
            "so is a BEGIN: {said:?}"
        );
    }

    /// A minute of what an open tab asks, the background jobs running beside it.
    async fn idle(&self) {
        let since = self.newest().await;
        let calls = [
            (4, self.poll(since)),
            (3, format!("/rooms/{}/chatting-agents", self.room)),
            (10, "/rooms".to_owned()),
            (20, "/agents".to_owned()),
        ];
        let mut warm = Vec::new();
        for (_, path) in &calls {
            self.client.get(path).await.ok();
            warm.push(self.client.get(path).await.body);
        }
        let (asked, said) = statements(async {
            let mut asked = 0;
            // Half seconds.
            for tick in 0..120 {
                for ((every, path), warm) in calls.iter().zip(&warm) {
                    if tick % every == 0 {
                        let answer = self.client.get(path).await;
                        assert_eq!(
                            (&answer.body, answer.is_hit()),
                            (warm, Some(true)),
                            "{path}"
                        );
                        asked += 1;
                    }
                }
                self.hand.advance(Duration::from_millis(500));
                tokio::task::yield_now().await;
            }
            asked
        })
        .await;
        assert_eq!((asked, said), (30 + 40 + 12 + 6, Vec::new()), "an idle tab");
        // What is counted would be seen.
        let (_, said) = statements(self.client.get_past("/agents")).await;
        assert!(
            said.iter().any(|said| said.contains("a file")),
            "reads of files are counted: {said:?}"
        );
    }
}

async fn nothing_is_asked(change: impl FnOnce(&mut Settings)) {
    let tab = Tab::open(change).await;
    tab.polls().await;
    tab.idle().await;
    tab.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_an_idle_tab_run_no_statement_on_sqlite() {
    let _alone = crate::alone().await;
    nothing_is_asked(|_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_an_idle_tab_run_no_statement_on_postgres() {
    let _alone = crate::alone().await;
    if let Some(database) = tests::postgres::database("statements on PostgreSQL").await {
        nothing_is_asked(|settings| settings.database = database).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_needs_runs_no_statement() {
    let _alone = crate::alone().await;
    let tab = Tab::open(|_| {}).await;
    let ports = &tab.server.app().cache.repositories;
    let (room, agent) = (RoomId(tab.room), AgentId(tab.agent));
    ports.sessions.save(room, agent, "s1".into()).await.unwrap();
    ports
        .context(room, agent, 100)
        .await
        .unwrap()
        .expect("it is in the room");
    for n in 0..100 {
        let heard = ports
            .messages
            .append(NewMessage::from_user(room, format!("question {n}")))
            .await
            .unwrap();
        let (context, said) = statements(ports.context(room, agent, 100)).await;
        assert_eq!(said, [""; 0], "a warm context");
        let context = context.unwrap().unwrap();
        assert_eq!((context.messages, context.answers), (vec![heard], 50 + n));
        assert_eq!(
            (context.session_id.as_deref(), context.members.len()),
            (Some("s1"), 2)
        );
        let past = tab.server.app().cache.bypassing.context(room, agent, 100);
        let (past, said) = statements(past).await;
        assert_eq!(past.unwrap().unwrap().answers, 50 + n);
        assert!(said.len() >= 5, "past the cache it is counted: {said:?}");
        ports
            .messages
            .append(NewMessage::from_agent(room, agent, "answer"))
            .await
            .unwrap();
    }
    tab.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persona_that_has_left_memory_is_looked_at_and_runs_no_statement() {
    let _alone = crate::alone().await;
    let tab = Tab::open(|_| {}).await;
    let (cache, agent) = (&tab.server.app().cache, AgentId(tab.agent));
    // Files younger than two seconds would be read.
    for file in ["agent.yaml", "memory.yaml"] {
        let file = std::fs::File::options()
            .write(true)
            .open(tab.server.folder().join("agents/Bob").join(file))
            .unwrap();
        file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_mins(1))
            .unwrap();
    }
    cache.manager.clear();
    let (first, said) = statements(cache.repositories.configs.find(agent)).await;
    assert!(
        said.iter().any(|said| said == "a file"),
        "their times are others: {said:?}"
    );
    for _ in 0..10 {
        cache.manager.clear();
        let (again, said) = statements(cache.repositories.configs.find(agent)).await;
        assert_eq!(said, [""; 0], "found again");
        assert_eq!(again, first);
    }
    let (past, said) = statements(cache.bypassing.configs.find(agent)).await;
    assert!(
        said.len() >= 2 && said.iter().any(|said| said == "a file"),
        "past the cache it is read: {said:?}"
    );
    assert_eq!(past, first);
    tab.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_answer_runs_only_its_writes() {
    let _alone = crate::alone().await;
    let tab = Tab::open(|settings| settings.answers.responder = "scripted".into()).await;
    let conversations = &tab.server.app().conversations;
    let say = async |n: u32| {
        let body = json!({ "content": format!("question {n}"), "role": "user" });
        tab.client
            .post(&format!("/rooms/{}/messages/send", tab.room), body)
            .await
            .ok();
        conversations.ended().await;
    };
    say(0).await;
    let before = tab.newest().await;
    let ((), said) = statements(async {
        for n in 1..=50 {
            say(n).await;
        }
    })
    .await;
    let answers = tab
        .client
        .get(&format!(
            "/rooms/{}/messages/poll?since_id={before}&limit=1000",
            tab.room
        ))
        .await
        .ok();
    let answers = answers
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| !message["agent_id"].is_null())
        .count();
    let writes = said
        .iter()
        .filter(|statement| statement.contains("BEGIN"))
        .count();
    tests::report(
        "answers.txt",
        &format!(
            "{answers} answers to 50 messages: {writes} transactions, {} statements, no read",
            said.len()
        ),
    );
    assert!(answers >= 100, "both answered each: {answers}");
    let reads = |statement: &&String| {
        !["BEGIN", "INSERT", "UPDATE", "COMMIT"]
            .iter()
            .any(|word| statement.contains(&format!("\"{word}")))
    };
    assert_eq!(said.iter().find(reads), None, "a read");
    // A message each, and that the room is finished.
    assert_eq!(writes, 50 + answers + 50);
    tab.server.end().await;
}
