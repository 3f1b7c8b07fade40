//! Fifty browser tabs of one account, which poll as the front end does.

use std::time::{Duration, Instant};

use app::Limits;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{client::Client, response::id_of, server::TestServer};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

const TABS: usize = 50;

/// The speed and the duration of a run.
#[derive(Clone, Copy)]
struct Pace {
    /// The factor by which each tab polls faster than a tab of the front end.
    speed: u32,
    duration: Duration,
}

impl Pace {
    /// Returns five minutes at the speed of the front end if `GREENROOM_PROOF` is set. Otherwise
    /// returns 30 seconds at ten times this speed, so that each tab sends as many requests.
    fn of_this_run() -> Self {
        match std::env::var_os("GREENROOM_PROOF") {
            Some(_) => Self {
                speed: 1,
                duration: Duration::from_mins(5),
            },
            None => Self {
                speed: 10,
                duration: Duration::from_secs(30),
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_open_tabs_of_one_account_get_no_error() {
    let pace = Pace::of_this_run();
    let default = Limits::default();
    let limits = Limits {
        requests_per_second: default.requests_per_second * pace.speed,
        request_burst: default.request_burst * pace.speed,
        ..default
    };
    let server = TestServer::start(|settings| settings.limits = limits).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let agent = client
        .create_agent_with("Ada", json!({ "in_a_nutshell": "calm" }))
        .await;
    client.add_member(room, agent).await;
    let end = Instant::now() + pace.duration;
    let mut tabs = JoinSet::new();
    for _ in 0..TABS {
        // All tabs of one account have the same token.
        let client = server.stranger().with_token(client.token());
        tabs.spawn(async move {
            PollingTab {
                client,
                room,
                requests: 0,
                last_message: 0,
            }
            .run(pace, end)
            .await
        });
    }
    let mut sent = 0;
    let mut ticks = interval(Duration::from_secs(10) / pace.speed);
    while Instant::now() < end {
        ticks.tick().await;
        client.send_message(room, "hello").await;
        sent += 1;
    }
    let requests: usize = tabs.join_all().await.into_iter().sum();
    let line = format!(
        "{TABS} open tabs sent {requests} requests in {} s beside {sent} messages and got no error",
        pace.duration.as_secs()
    );
    tests::report("tabs.txt", &line);
    server.end().await;
}

/// A browser tab, which sends the requests of the front end at their usual intervals.
struct PollingTab {
    client: Client,
    room: i64,
    requests: usize,
    /// The id of the newest message that the tab has received.
    last_message: i64,
}

impl PollingTab {
    /// Polls until `end` and returns the number of requests.
    async fn run(mut self, pace: Pace, end: Instant) -> usize {
        let every = |millis: u64| {
            let mut interval = interval(Duration::from_millis(millis) / pace.speed);
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            interval
        };
        let (mut polls, mut chatting, mut rooms, mut agents) =
            (every(2_000), every(1_500), every(5_000), every(10_000));
        let chatting_path = format!("/rooms/{}/chatting-agents", self.room);
        while Instant::now() < end {
            tokio::select! {
                _ = polls.tick() => self.poll().await,
                _ = chatting.tick() => drop(self.get(&chatting_path).await),
                _ = rooms.tick() => drop(self.get("/rooms").await),
                _ = agents.tick() => drop(self.get("/agents").await),
            }
        }
        self.requests
    }

    async fn poll(&mut self) {
        let found = self
            .get(&format!(
                "/rooms/{}/messages/poll?since_id={}",
                self.room, self.last_message
            ))
            .await;
        let Some(last) = found.as_array().unwrap().last() else {
            return;
        };
        self.last_message = id_of(last);
        self.send(Method::POST, &format!("/rooms/{}/mark-read", self.room))
            .await;
    }

    async fn get(&mut self, path: &str) -> Value {
        self.send(Method::GET, path).await
    }

    /// Sends a request as a page of another origin does: every fiftieth time after a preflight, and
    /// with a content type even for a GET.
    async fn send(&mut self, method: Method, path: &str) -> Value {
        // Browsers cache the result of a preflight, so few requests need one.
        if self.requests.is_multiple_of(50) {
            let preflight = self
                .client
                .request(Method::OPTIONS, path)
                .header("origin", "http://localhost:5173");
            let preflight = preflight.header("access-control-request-method", method.as_str());
            let preflight = preflight.header(
                "access-control-request-headers",
                "content-type,ngrok-skip-browser-warning,x-api-key",
            );
            assert_eq!(preflight.send().await.unwrap().status(), 200, "{path}");
        }
        self.requests += 1;
        let request = self
            .client
            .request(method, path)
            .header("origin", "http://localhost:5173");
        let request = request
            .header("content-type", "application/json")
            .header("ngrok-skip-browser-warning", "true");
        self.client.send(path, request).await.ok()
    }
}
