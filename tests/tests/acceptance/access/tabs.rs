//! Fifty open tabs of one account, as a front end keeps them.

use std::time::{Duration, Instant};

use app::Limits;
use reqwest::Method;
use serde_json::{Value, json};
use tests::server::{Client, Running};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

const TABS: usize = 50;

/// How fast, and for how long.
#[derive(Clone, Copy)]
struct Pace {
    times: u32,
    lasts: Duration,
}

impl Pace {
    /// Five real minutes under `GREENROOM_PROOF`.
    fn of_this_run() -> Self {
        match std::env::var_os("GREENROOM_PROOF") {
            Some(_) => Self {
                times: 1,
                lasts: Duration::from_mins(5),
            },
            None => Self {
                times: 10,
                lasts: Duration::from_secs(30),
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_open_tabs_of_one_account_get_no_error() {
    let pace = Pace::of_this_run();
    let default = Limits::default();
    let limits = Limits {
        requests_per_second: default.requests_per_second * pace.times,
        request_burst: default.request_burst * pace.times,
        ..default
    };
    let server = Running::start(|settings| settings.limits = limits).await;
    let client = server.client();
    let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
        .as_i64()
        .unwrap();
    let agent = client
        .post("/agents", json!({ "name": "Ada", "in_a_nutshell": "calm" }))
        .await
        .ok()["id"]
        .as_i64()
        .unwrap();
    client
        .post(&format!("/rooms/{room}/agents/{agent}"), Value::Null)
        .await
        .ok();
    let until = Instant::now() + pace.lasts;
    let mut tabs = JoinSet::new();
    for _ in 0..TABS {
        // One account: all have the same token.
        let client = server.stranger().with_token(client.token());
        tabs.spawn(async move {
            Tab {
                client,
                room,
                asked: 0,
                last: 0,
            }
            .stay(pace, until)
            .await
        });
    }
    let mut sent = 0;
    let mut between = interval(Duration::from_secs(10) / pace.times);
    while Instant::now() < until {
        between.tick().await;
        client
            .post(
                &format!("/rooms/{room}/messages/send"),
                json!({ "content": "hello", "role": "user" }),
            )
            .await
            .ok();
        sent += 1;
    }
    let asked: usize = tabs.join_all().await.into_iter().sum();
    let line = format!(
        "{TABS} open tabs asked {asked} times in {} s beside {sent} messages, and got no error",
        pace.lasts.as_secs()
    );
    tests::report("tabs.txt", &line);
    server.end().await;
}

struct Tab {
    client: Client,
    room: i64,
    asked: usize,
    last: i64,
}

impl Tab {
    async fn stay(mut self, pace: Pace, until: Instant) -> usize {
        let every = |millis: u64| {
            let mut interval = interval(Duration::from_millis(millis) / pace.times);
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            interval
        };
        let (mut polls, mut chatting, mut rooms, mut agents) =
            (every(2_000), every(1_500), every(5_000), every(10_000));
        while Instant::now() < until {
            tokio::select! {
                _ = polls.tick() => self.poll().await,
                _ = chatting.tick() => drop(self.get(&format!("/rooms/{}/chatting-agents", self.room)).await),
                _ = rooms.tick() => drop(self.get("/rooms").await),
                _ = agents.tick() => drop(self.get("/agents").await),
            }
        }
        self.asked
    }

    async fn poll(&mut self) {
        let found = self
            .get(&format!(
                "/rooms/{}/messages/poll?since_id={}",
                self.room, self.last
            ))
            .await;
        let Some(last) = found.as_array().unwrap().last() else {
            return;
        };
        self.last = last["id"].as_i64().unwrap();
        self.ask(Method::POST, &format!("/rooms/{}/mark-read", self.room))
            .await;
    }

    async fn get(&mut self, path: &str) -> Value {
        self.ask(Method::GET, path).await
    }

    /// As a page of another origin asks: permission first, and a content type with everything.
    async fn ask(&mut self, method: Method, path: &str) -> Value {
        if self.asked.is_multiple_of(50) {
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
        self.asked += 1;
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
