//! Agents answer: who, when, and to what.

mod bounds;
mod stops;

use std::{future::Future, time::Duration};

use app::{AnswerSettings, Settings};
use domain::{AgentId, Composed, RoomId};
use serde_json::{Value, json};
use tests::{
    actors::{Actors, plays, says, silent, unanswered},
    server::{Client, Running},
};

use crate::stores::{Place, Store};

/// What takes longer does not come any more.
const PATIENCE: Duration = Duration::from_secs(20);

/// A room and its agents, with a server that has them answer.
struct Stage {
    /// Its files go with it.
    store: Option<Store>,
    server: Running,
    client: Client,
    room: i64,
    agents: Vec<i64>,
}

impl Stage {
    /// Agents with these fields besides their names, in a room of their own on SQLite.
    async fn new(actors: &Actors, agents: &[(&str, Value)]) -> Self {
        Self::with(actors, agents, |_| {}).await
    }

    async fn with(
        actors: &Actors,
        agents: &[(&str, Value)],
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let store = Place::sqlite().open().await;
        let server = Running::answering(store.r.clone(), actors.clone(), change).await;
        Self {
            store: Some(store),
            ..Self::in_room(server, agents).await
        }
    }

    async fn in_room(server: Running, agents: &[(&str, Value)]) -> Self {
        let client = server.client();
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let mut stage = Self {
            store: None,
            server,
            client,
            room,
            agents: Vec::new(),
        };
        for (name, fields) in agents {
            let mut body = fields.clone();
            body["name"] = json!(name);
            let agent = stage.client.post("/agents", body).await.ok()["id"]
                .as_i64()
                .unwrap();
            stage
                .client
                .post(&stage.path(&format!("/agents/{agent}")), Value::Null)
                .await
                .ok();
            stage.agents.push(agent);
        }
        stage
    }

    fn path(&self, rest: &str) -> String {
        format!("/rooms/{}{rest}", self.room)
    }

    async fn say(&self, content: &str) -> i64 {
        self.say_to(content, &[]).await
    }

    async fn say_to(&self, content: &str, mentioned: &[i64]) -> i64 {
        let body = json!({ "content": content, "role": "user", "mentioned_agent_ids": mentioned });
        self.client
            .post(&self.path("/messages/send"), body)
            .await
            .ok()["id"]
            .as_i64()
            .unwrap()
    }

    /// Until every conversation is over.
    async fn over(&self) {
        soon(
            "the conversation goes on",
            self.server.app().conversations.ended(),
        )
        .await;
    }

    /// Who said what, oldest first.
    async fn said(&self) -> Vec<(String, String)> {
        let messages = self
            .client
            .get(&self.path("/messages?limit=1000"))
            .await
            .ok();
        let text = |value: &Value| value.as_str().unwrap_or("user").to_owned();
        messages
            .as_array()
            .unwrap()
            .iter()
            .map(|message| (text(&message["agent_name"]), text(&message["content"])))
            .collect()
    }

    /// The names of those who spoke, in their order.
    async fn speakers(&self) -> Vec<String> {
        self.said()
            .await
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    async fn shown(&self) -> Value {
        self.client.get(&self.path("")).await.ok()
    }

    /// Waits until an agent's answer so far is shown as this.
    async fn composing(&self, agent: usize, text: &str) -> Value {
        let shown = async {
            loop {
                let chatting = self.client.get(&self.path("/chatting-agents")).await.ok();
                let found = chatting["chatting_agents"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|draft| {
                        draft["id"] == json!(self.agents[agent])
                            && draft["response_text"] == json!(text)
                    });
                if let Some(draft) = found {
                    return draft.clone();
                }
            }
        };
        soon(text, shown).await
    }

    async fn end(self) {
        self.server.end().await;
        drop(self.store);
    }
}

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("it does not come: {what}"))
}

fn plain() -> Value {
    json!({})
}

#[tokio::test]
async fn five_agents_answer_in_order_over_polls_and_the_event_stream_and_show_while_they_compose() {
    let names = ["Ada", "Bo", "Cy", "하늘", "Eve"];
    for place in Place::all("five agents on PostgreSQL").await {
        let store = place.open().await;
        let script = responders();
        let server = Running::answering(store.r.clone(), script, |_| {}).await;
        let agents = names.map(|name| {
            (
                name,
                json!({ "in_a_nutshell": format!("{name} mends umbrellas. {name} likes rain.") }),
            )
        });
        let stage = Stage::in_room(server, &agents).await;
        let mut events = stage.client.events(stage.room, Some(0)).await;
        let asked = stage.say("Good evening").await;
        let (mut composed, mut heard) = (std::collections::BTreeSet::new(), Vec::new());
        while !names
            .iter()
            .all(|name| heard.iter().any(|(_, by)| by == name))
        {
            let event = soon("an answer", events.next()).await.unwrap();
            let data: Value = serde_json::from_str(&event.data).unwrap();
            match event.name.as_str() {
                "chatting" => composed.extend(
                    data["chatting_agents"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|draft| draft["name"].as_str().unwrap().to_owned()),
                ),
                "message" => heard.push((
                    event.id.parse::<i64>().unwrap(),
                    data["agent_name"].as_str().unwrap_or_default().to_owned(),
                )),
                _ => {}
            }
        }
        stage.over().await;
        assert_eq!(
            composed,
            names.iter().map(|name| (*name).to_owned()).collect(),
            "each is shown while it composes"
        );
        let polled = stage
            .client
            .get(&stage.path(&format!("/messages/poll?since_id={asked}&limit=1000")))
            .await
            .ok();
        let polled: Vec<_> = polled
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["id"].as_i64().unwrap())
            .collect();
        assert!(polled.is_sorted() && polled.len() >= names.len());
        let streamed: Vec<_> = heard
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| *id > asked)
            .collect();
        assert_eq!(
            streamed,
            polled[..streamed.len()],
            "the stream tells the same in the same order"
        );
        for (name, text) in stage.said().await.iter().filter(|(name, _)| name != "user") {
            assert!(
                text.contains(name),
                "{name} does not speak in its own words: {text}"
            );
        }
        let room = stage.shown().await;
        assert_eq!(
            (&room["is_finished"], &room["last_error"]),
            (&json!(true), &Value::Null)
        );
        assert_eq!(
            stage.client.get(&stage.path("/chatting-agents")).await.ok(),
            json!({ "chatting_agents": [] })
        );
        stage.end().await;
    }
}

fn responders() -> responders::Scripted {
    responders::Scripted {
        pace: Duration::from_millis(15),
        ..responders::Scripted::default()
    }
}

#[tokio::test]
async fn the_mentioned_answer_first_then_by_priority_and_critics_last() {
    let actors = Actors::polite();
    let agents = [
        ("Ada", plain()),
        ("Bo", json!({ "priority": 5 })),
        ("Cy", json!({ "is_critic": true })),
        ("Di", json!({ "priority": 9 })),
        ("Eve", plain()),
    ];
    let stage = Stage::new(&actors, &agents).await;
    stage.say("one").await;
    stage.over().await;
    assert_eq!(
        stage.speakers().await,
        ["user", "Di", "Bo", "Ada", "Eve", "Cy"]
    );
    stage
        .say_to("two", &[stage.agents[4], stage.agents[0], 999])
        .await;
    stage.over().await;
    assert_eq!(
        stage.speakers().await[6..],
        ["user", "Eve", "Ada", "Di", "Bo", "Cy"]
    );
    let critics = stage.client.get(&stage.path("/critic-messages")).await.ok();
    assert_eq!(critics.as_array().unwrap().len(), 2);
    stage.end().await;
}

#[tokio::test]
async fn nobody_sees_what_transparent_agents_and_critics_say_but_critics_see_all() {
    let actors = Actors::polite();
    let agents = [
        ("Ada", json!({ "priority": 9, "transparent": true })),
        ("Bo", plain()),
        ("Cy", json!({ "is_critic": true })),
    ];
    let stage = Stage::new(&actors, &agents).await;
    stage.say("one").await;
    stage.over().await;
    stage.say("two").await;
    stage.over().await;
    assert_eq!(
        stage.speakers().await,
        ["user", "Ada", "Bo", "Cy", "user", "Ada", "Bo", "Cy"]
    );
    let seen = |name: &str| {
        actors
            .last_asked(name)
            .unwrap()
            .turns
            .into_iter()
            .map(|turn| turn.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(seen("Bo"), ["user", "Bo", "user"]);
    assert_eq!(seen("Cy"), ["user", "Ada", "Bo", "Cy", "user", "Ada", "Bo"]);
    stage.end().await;
}

#[tokio::test]
async fn who_interrupts_every_turn_speaks_after_each_of_the_others() {
    let actors = Actors::new(|prompt| {
        let is_ada = prompt.name.as_str() == "Ada";
        if is_ada || unanswered(prompt).is_some() {
            says(&format!("{} speaks", prompt.name))
        } else {
            silent()
        }
    });
    let agents = [
        ("Ada", json!({ "interrupt_every_turn": true })),
        ("Bo", json!({ "priority": 2 })),
        ("Cy", json!({ "priority": 1 })),
    ];
    let stage = Stage::with(&actors, &agents, |settings| {
        settings.answers.limits.follow_up_rounds = 0;
    })
    .await;
    stage.say("one").await;
    stage.over().await;
    assert_eq!(stage.speakers().await, ["user", "Bo", "Ada", "Cy", "Ada"]);
    stage.end().await;
}

#[tokio::test]
async fn an_agent_sees_what_was_said_since_it_joined_and_those_who_left_keep_their_names() {
    let actors = Actors::polite();
    let mut stage = Stage::new(&actors, &[("Ada", plain())]).await;
    stage.say("before").await;
    stage.over().await;
    let late = stage
        .client
        .post("/agents", json!({ "name": "Late" }))
        .await
        .ok()["id"]
        .as_i64()
        .unwrap();
    stage
        .client
        .post(&stage.path(&format!("/agents/{late}")), Value::Null)
        .await
        .ok();
    stage.agents.push(late);
    stage
        .client
        .delete(&stage.path(&format!("/agents/{}", stage.agents[0])))
        .await
        .ok();
    stage.over().await;
    stage.say("after").await;
    stage.over().await;
    let turns: Vec<_> = actors
        .last_asked("Late")
        .unwrap()
        .turns
        .into_iter()
        .map(|turn| (turn.name, turn.text))
        .collect();
    assert_eq!(
        turns,
        [
            ("system".into(), "Late joined the chat".to_owned()),
            ("user".into(), "after".into())
        ]
    );
    assert_eq!(stage.speakers().await.last().unwrap(), "Late");
    stage.end().await;
}

#[tokio::test]
async fn when_all_are_silent_the_room_is_finished_until_a_person_writes() {
    let actors = Actors::polite();
    let stage = Stage::new(&actors, &[("Ada", plain()), ("Bo", plain())]).await;
    assert_eq!(stage.shown().await["is_finished"], json!(false));
    for said in 1..4 {
        stage.say("hello").await;
        stage.over().await;
        assert_eq!(stage.shown().await["is_finished"], json!(true));
        assert_eq!(stage.speakers().await.len(), 3 * said, "each answers once");
    }
    stage.end().await;
}

#[tokio::test]
async fn agents_answer_each_other_as_long_as_the_settings_say_and_on_by_themselves_where_they_may()
{
    let chatty = Actors::new(|_| says("and so on"));
    let rounds = |follow_up_rounds: u32, go_on: bool| {
        let chatty = chatty.clone();
        async move {
            let stage = Stage::with(&chatty, &[("Ada", plain()), ("Bo", plain())], |settings| {
                let limits = &mut settings.answers.limits;
                (limits.follow_up_rounds, limits.go_on) = (follow_up_rounds, go_on);
                (limits.go_on_every, limits.go_on_for) =
                    (Duration::from_millis(10), Duration::from_millis(30));
            })
            .await;
            stage.say("go").await;
            stage.over().await;
            let answers = stage.speakers().await.len() - 1;
            stage.end().await;
            answers
        }
    };
    assert_eq!(rounds(0, false).await, 2);
    // Of two that answer at once, who stores last may have nothing left to answer: then they take turns.
    let (two, five) = (rounds(2, false).await, rounds(2, true).await);
    assert!((4..=6).contains(&two), "two more rounds: {two} answers");
    assert!(
        (7..=12).contains(&five),
        "three more, each after a pause: {five} answers"
    );
}

#[tokio::test]
async fn a_memory_is_kept_shows_in_the_next_prompt_and_is_recalled_by_its_title() {
    let actors = Actors::new(|prompt| match unanswered(prompt).as_deref() {
        Some("keep") => plays([
            Composed::Thinking("hm".into()),
            Composed::Memory("the red umbrella".into()),
            Composed::Text("kept".into()),
            Composed::Done,
        ]),
        Some("recall") if prompt.recalled.is_empty() => plays([
            Composed::Text("let me see".into()),
            Composed::Recall("garden".into()),
        ]),
        Some("recall") => says(&format!("I recall {}", prompt.recalled[0].text)),
        Some("unknown") => plays([Composed::Recall("nothing".into())]),
        _ => silent(),
    });
    let stage = Stage::new(&actors, &[("Ada", plain())]).await;
    let ports = &stage.server.app().cache.repositories;
    let ada = AgentId(stage.agents[0]);
    let mut config = (*ports.configs.find(ada).await.unwrap().unwrap()).clone();
    config.long_term_memories = vec![domain::LongTermMemory {
        title: "garden".into(),
        text: "roses".into(),
    }];
    ports.configs.save(ada, config).await.unwrap();
    stage.say("keep").await;
    stage.over().await;
    stage.say("recall").await;
    stage.over().await;
    assert!(
        actors
            .last_asked("Ada")
            .unwrap()
            .system
            .contains("the red umbrella")
    );
    let said: Vec<_> = stage
        .said()
        .await
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(said, ["keep", "kept", "recall", "I recall roses"]);
    let thought = stage
        .client
        .get(&stage.path("/messages?limit=3"))
        .await
        .ok()[0]["thinking"]
        .clone();
    assert_eq!(thought, json!("hm"));
    stage.say("unknown").await;
    stage.over().await;
    assert!(
        stage.shown().await["last_error"]
            .as_str()
            .unwrap()
            .contains("nothing")
    );
    stage.end().await;
}

#[tokio::test]
async fn a_room_may_have_a_responder_of_its_own_or_none() {
    let mut settings = AnswerSettings::silent();
    settings.rooms.insert(RoomId(2), "scripted".into());
    let found = app::build_responders(&settings).unwrap();
    assert!(found.default.is_none() && found.by_room[&RoomId(2)].is_some());
    settings.rooms.insert(RoomId(3), "nobody".into());
    let error = app::build_responders(&settings).unwrap_err().to_string();
    assert!(error.contains("nobody"));
}
