//! Agents answer: who, when, to what, and what becomes of it when it is interrupted.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use app::{AnswerSettings, Settings};
use domain::{AgentId, Composed, RoomId};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tests::{
    actors::{self, Actors, begins, fails, plays, says, silent, unanswered},
    decorate::{Around, decorate},
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

    async fn with(actors: &Actors, agents: &[(&str, Value)], change: impl FnOnce(&mut Settings)) -> Self {
        let store = Place::sqlite().open().await;
        let server = Running::answering(store.r.clone(), actors.clone(), change).await;
        Self { store: Some(store), ..Self::in_room(server, agents).await }
    }

    async fn in_room(server: Running, agents: &[(&str, Value)]) -> Self {
        let client = server.client();
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let mut stage = Self { store: None, server, client, room, agents: Vec::new() };
        for (name, fields) in agents {
            let mut body = fields.clone();
            body["name"] = json!(name);
            let agent = stage.client.post("/agents", body).await.ok()["id"].as_i64().unwrap();
            stage.client.post(&stage.path(&format!("/agents/{agent}")), Value::Null).await.ok();
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
        self.client.post(&self.path("/messages/send"), body).await.ok()["id"].as_i64().unwrap()
    }

    /// Until every conversation is over.
    async fn over(&self) {
        soon("the conversation goes on", self.server.app().conversations.ended()).await;
    }

    /// Who said what, oldest first.
    async fn said(&self) -> Vec<(String, String)> {
        let messages = self.client.get(&self.path("/messages?limit=1000")).await.ok();
        let text = |value: &Value| value.as_str().unwrap_or("user").to_owned();
        messages.as_array().unwrap().iter().map(|message| (text(&message["agent_name"]), text(&message["content"]))).collect()
    }

    /// The names of those who spoke, in their order.
    async fn speakers(&self) -> Vec<String> {
        self.said().await.into_iter().map(|(name, _)| name).collect()
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
                    .find(|draft| draft["id"] == json!(self.agents[agent]) && draft["response_text"] == json!(text));
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
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("it does not come: {what}"))
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
        let agents = names.map(|name| (name, json!({ "in_a_nutshell": format!("{name} mends umbrellas. {name} likes rain.") })));
        let stage = Stage::in_room(server, &agents).await;
        let mut events = stage.client.events(stage.room, Some(0)).await;
        let asked = stage.say("Good evening").await;
        let (mut composed, mut heard) = (std::collections::BTreeSet::new(), Vec::new());
        while !names.iter().all(|name| heard.iter().any(|(_, by)| by == name)) {
            let event = soon("an answer", events.next()).await.unwrap();
            let data: Value = serde_json::from_str(&event.data).unwrap();
            match event.name.as_str() {
                "chatting" => composed
                    .extend(data["chatting_agents"].as_array().unwrap().iter().map(|draft| draft["name"].as_str().unwrap().to_owned())),
                "message" => heard.push((event.id.parse::<i64>().unwrap(), data["agent_name"].as_str().unwrap_or_default().to_owned())),
                _ => {}
            }
        }
        stage.over().await;
        assert_eq!(composed, names.iter().map(|name| (*name).to_owned()).collect(), "each is shown while it composes");
        let polled = stage.client.get(&stage.path(&format!("/messages/poll?since_id={asked}&limit=1000"))).await.ok();
        let polled: Vec<_> = polled.as_array().unwrap().iter().map(|message| message["id"].as_i64().unwrap()).collect();
        assert!(polled.is_sorted() && polled.len() >= names.len());
        let streamed: Vec<_> = heard.iter().map(|(id, _)| *id).filter(|id| *id > asked).collect();
        assert_eq!(streamed, polled[..streamed.len()], "the stream tells the same in the same order");
        for (name, text) in stage.said().await.iter().filter(|(name, _)| name != "user") {
            assert!(text.contains(name), "{name} does not speak in its own words: {text}");
        }
        let room = stage.shown().await;
        assert_eq!((&room["is_finished"], &room["last_error"]), (&json!(true), &Value::Null));
        assert_eq!(stage.client.get(&stage.path("/chatting-agents")).await.ok(), json!({ "chatting_agents": [] }));
        stage.end().await;
    }
}

fn responders() -> responders::Scripted {
    responders::Scripted { pace: Duration::from_millis(15), ..responders::Scripted::default() }
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
    assert_eq!(stage.speakers().await, ["user", "Di", "Bo", "Ada", "Eve", "Cy"]);
    stage.say_to("two", &[stage.agents[4], stage.agents[0], 999]).await;
    stage.over().await;
    assert_eq!(stage.speakers().await[6..], ["user", "Eve", "Ada", "Di", "Bo", "Cy"]);
    let critics = stage.client.get(&stage.path("/critic-messages")).await.ok();
    assert_eq!(critics.as_array().unwrap().len(), 2);
    stage.end().await;
}

#[tokio::test]
async fn nobody_sees_what_transparent_agents_and_critics_say_but_critics_see_all() {
    let actors = Actors::polite();
    let agents = [("Ada", json!({ "priority": 9, "transparent": true })), ("Bo", plain()), ("Cy", json!({ "is_critic": true }))];
    let stage = Stage::new(&actors, &agents).await;
    stage.say("one").await;
    stage.over().await;
    stage.say("two").await;
    stage.over().await;
    assert_eq!(stage.speakers().await, ["user", "Ada", "Bo", "Cy", "user", "Ada", "Bo", "Cy"]);
    let seen = |name: &str| actors.last_asked(name).unwrap().turns.into_iter().map(|turn| turn.name).collect::<Vec<_>>();
    assert_eq!(seen("Bo"), ["user", "Bo", "user"]);
    assert_eq!(seen("Cy"), ["user", "Ada", "Bo", "Cy", "user", "Ada", "Bo"]);
    stage.end().await;
}

#[tokio::test]
async fn who_interrupts_every_turn_speaks_after_each_of_the_others() {
    let actors = Actors::new(|prompt| {
        let is_ada = prompt.name.as_str() == "Ada";
        if is_ada || unanswered(prompt).is_some() { says(&format!("{} speaks", prompt.name)) } else { silent() }
    });
    let agents = [("Ada", json!({ "interrupt_every_turn": true })), ("Bo", json!({ "priority": 2 })), ("Cy", json!({ "priority": 1 }))];
    let stage = Stage::with(&actors, &agents, |settings| settings.answers.limits.follow_up_rounds = 0).await;
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
    let late = stage.client.post("/agents", json!({ "name": "Late" })).await.ok()["id"].as_i64().unwrap();
    stage.client.post(&stage.path(&format!("/agents/{late}")), Value::Null).await.ok();
    stage.agents.push(late);
    stage.client.delete(&stage.path(&format!("/agents/{}", stage.agents[0]))).await.ok();
    stage.over().await;
    stage.say("after").await;
    stage.over().await;
    let turns: Vec<_> = actors.last_asked("Late").unwrap().turns.into_iter().map(|turn| (turn.name, turn.text)).collect();
    assert_eq!(turns, [("system".into(), "Late joined the chat".to_owned()), ("user".into(), "after".into())]);
    assert_eq!(stage.speakers().await.last().unwrap(), "Late");
    stage.end().await;
}

#[tokio::test]
async fn a_persons_word_interrupts_and_what_there_is_of_the_answers_is_kept() {
    let actors = Actors::new(|prompt| match unanswered(prompt).as_deref() {
        Some("one") => begins("well, as for me "),
        Some(other) => says(&format!("as to {other}")),
        None => silent(),
    });
    let stage = Stage::new(&actors, &[("Ada", plain())]).await;
    stage.say("one").await;
    stage.composing(0, "well, as for me ").await;
    stage.say("two").await;
    stage.over().await;
    let said: Vec<_> = stage.said().await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(said, ["one", "two", "well, as for me", "as to two"]);
    let messages = stage.client.get(&stage.path("/messages?limit=10")).await.ok();
    let interrupted: Vec<_> = messages.as_array().unwrap().iter().map(|message| message["interrupted"].as_bool().unwrap()).collect();
    assert_eq!(interrupted, [false, false, true, false]);
    stage.end().await;
}

#[tokio::test]
async fn a_pause_stops_agents_within_a_tenth_of_a_second_and_they_go_on_when_it_ends() {
    let actors = Actors::new(|prompt| match unanswered(prompt).as_deref() {
        Some("one") => begins("well, "),
        Some(other) => says(&format!("as to {other}")),
        None => silent(),
    });
    let stage = Stage::new(&actors, &[("Ada", plain())]).await;
    stage.say("one").await;
    stage.composing(0, "well, ").await;
    let began = std::time::Instant::now();
    assert_eq!(stage.client.post(&stage.path("/pause"), Value::Null).await.ok()["is_paused"], json!(true));
    stage.over().await;
    let took = began.elapsed();
    tests::report("answers.txt", &format!("a pause ended an answer after {took:?}, its request and the stored rest included"));
    assert!(took < Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 100 }), "{took:?}");
    assert_eq!(stage.client.get(&stage.path("/chatting-agents")).await.ok(), json!({ "chatting_agents": [] }));
    stage.say("two").await;
    stage.over().await;
    assert_eq!(stage.speakers().await, ["user", "Ada", "user"], "a paused room keeps silent");
    stage.client.post(&stage.path("/resume"), Value::Null).await.ok();
    stage.over().await;
    assert_eq!(stage.said().await.last().unwrap().1, "as to two");
    stage.end().await;
}

#[tokio::test]
async fn the_limit_of_answers_is_exact_even_when_many_answer_at_once() {
    let actors = Actors::new(|_| says("again"));
    let agents: Vec<_> = ["A", "B", "C", "D", "E"].map(|name| (name, plain())).into();
    let stage = Stage::with(&actors, &agents, |settings| settings.answers.limits.follow_up_rounds = 100).await;
    stage.client.patch(&stage.path(""), json!({ "max_interactions": 7 })).await.ok();
    stage.say("go").await;
    stage.over().await;
    assert_eq!(stage.speakers().await.len(), 8);
    stage.say("on").await;
    stage.over().await;
    assert_eq!(stage.speakers().await.len(), 9, "the limit holds for all that was ever said");
    stage.client.patch(&stage.path(""), json!({ "max_interactions": 10 })).await.ok();
    stage.over().await;
    assert_eq!(stage.speakers().await.iter().filter(|name| *name != "user").count(), 10);
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
async fn agents_answer_each_other_as_long_as_the_settings_say_and_on_by_themselves_where_they_may() {
    let chatty = Actors::new(|_| says("and so on"));
    let rounds = |follow_up_rounds: u32, go_on: bool| {
        let chatty = chatty.clone();
        async move {
            let stage = Stage::with(&chatty, &[("Ada", plain()), ("Bo", plain())], |settings| {
                let limits = &mut settings.answers.limits;
                (limits.follow_up_rounds, limits.go_on) = (follow_up_rounds, go_on);
                (limits.go_on_every.0, limits.go_on_for.0) = (Duration::from_millis(10), Duration::from_millis(30));
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
    assert!((7..=12).contains(&five), "three more, each after a pause: {five} answers");
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
        Some("recall") if prompt.recalled.is_empty() => plays([Composed::Text("let me see".into()), Composed::Recall("garden".into())]),
        Some("recall") => says(&format!("I recall {}", prompt.recalled[0].text)),
        Some("unknown") => plays([Composed::Recall("nothing".into())]),
        _ => silent(),
    });
    let stage = Stage::new(&actors, &[("Ada", plain())]).await;
    let ports = &stage.server.app().cache.repositories;
    let ada = AgentId(stage.agents[0]);
    let mut config = (*ports.configs.find(ada).await.unwrap().unwrap()).clone();
    config.long_term_memories = vec![domain::LongTermMemory { title: "garden".into(), text: "roses".into() }];
    ports.configs.save(ada, config).await.unwrap();
    stage.say("keep").await;
    stage.over().await;
    stage.say("recall").await;
    stage.over().await;
    assert!(actors.last_asked("Ada").unwrap().system.contains("the red umbrella"));
    let said: Vec<_> = stage.said().await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(said, ["keep", "kept", "recall", "I recall roses"]);
    let thought = stage.client.get(&stage.path("/messages?limit=3")).await.ok()[0]["thinking"].clone();
    assert_eq!(thought, json!("hm"));
    stage.say("unknown").await;
    stage.over().await;
    assert!(stage.shown().await["last_error"].as_str().unwrap().contains("nothing"));
    stage.end().await;
}

#[tokio::test]
async fn a_failing_provider_shows_in_the_room_silences_nobody_else_and_is_forgotten_when_it_answers_again() {
    let actors = Actors::new(|prompt| match (prompt.name.as_str(), unanswered(prompt).as_deref()) {
        ("Ada", Some("one")) => fails("the model server is overloaded"),
        ("Bo", Some("one")) => Box::pin(futures_util::stream::iter([Ok(Composed::Text("cut".into()))])),
        (_, Some(said)) => says(said),
        _ => silent(),
    });
    let stage = Stage::new(&actors, &[("Ada", json!({ "priority": 2 })), ("Bo", json!({ "priority": 1 })), ("Cy", plain())]).await;
    stage.say("one").await;
    stage.over().await;
    assert_eq!(stage.speakers().await, ["user", "Cy"]);
    assert!(actors.asked().len() < 9, "it is not asked again and again: {} times", actors.asked().len());
    let error = stage.shown().await["last_error"].as_str().unwrap().to_owned();
    assert!(error == "Bo: the answer was cut off" || error == "Ada: the model server is overloaded", "{error}");
    stage.say("two").await;
    stage.over().await;
    assert_eq!(stage.shown().await["last_error"], Value::Null);
    assert_eq!(stage.speakers().await.len(), 6);
    stage.end().await;
}

#[tokio::test]
async fn answers_are_bounded_in_length_and_time() {
    let actors = Actors::new(|prompt| match unanswered(prompt).as_deref() {
        Some("long") => says(&"달".repeat(1_000)),
        Some("slow") => begins("well"),
        _ => silent(),
    });
    let stage = Stage::with(&actors, &[("Ada", plain())], |settings| {
        settings.answers.limits.max_chars = 100;
        settings.answers.limits.time_limit.0 = Duration::from_millis(50);
    })
    .await;
    stage.say("long").await;
    stage.over().await;
    let messages = stage.client.get(&stage.path("/messages?limit=1")).await.ok();
    assert_eq!((messages[0]["content"].as_str().unwrap().len(), &messages[0]["interrupted"]), (99, &json!(false)));
    stage.say("slow").await;
    stage.over().await;
    assert_eq!(stage.shown().await["last_error"], json!("Ada: the answer took too long"));
    assert_eq!(stage.speakers().await.len(), 3);
    stage.end().await;
}

#[tokio::test]
async fn no_more_answers_are_composed_at_once_than_the_settings_say() {
    let actors = Actors::new(|prompt| if unanswered(prompt).is_some() { begins("well") } else { silent() });
    let agents: Vec<_> = ["A", "B", "C", "D", "E"].map(|name| (name, plain())).into();
    let stage = Stage::with(&actors, &agents, |settings| settings.answers.limits.at_once_per_room = 2).await;
    stage.say("go").await;
    stage.composing(0, "well").await;
    stage.composing(1, "well").await;
    assert_eq!(actors.asked().len(), 2);
    stage.client.delete(&stage.path("")).await.ok();
    stage.over().await;
    assert_eq!(actors.asked().len(), 2, "a deleted room asks nobody");
    stage.end().await;
}

#[tokio::test]
async fn cleared_messages_take_what_is_composed_with_them() {
    let actors = Actors::new(|prompt| if unanswered(prompt).is_some() { begins("well") } else { silent() });
    let stage = Stage::new(&actors, &[("Ada", plain())]).await;
    stage.say("go").await;
    stage.composing(0, "well").await;
    stage.client.delete(&stage.path("/messages")).await.ok();
    stage.over().await;
    assert_eq!(stage.speakers().await, Vec::<String>::new());
    stage.end().await;
}

#[tokio::test]
async fn a_room_may_have_a_responder_of_its_own_or_none() {
    let mut settings = AnswerSettings::silent();
    settings.rooms.insert(RoomId(2), "scripted".into());
    let found = settings.responders().unwrap();
    assert!(found.usual.is_none() && found.by_room[&RoomId(2)].is_some());
    settings.rooms.insert(RoomId(3), "nobody".into());
    assert!(settings.responders().unwrap_err().contains("nobody"));
}

#[tokio::test]
async fn what_was_not_answered_when_the_program_ended_is_answered_after_the_next_start_and_once() {
    let store = Place::sqlite().open().await;
    let slow = Actors::new(|prompt| match prompt.name.as_str() {
        "Ada" => actors::says("Ada answers"),
        _ => begins("Bo be"),
    });
    let server = Running::answering(store.r.clone(), slow, |_| {}).await;
    let stage = Stage::in_room(server, &[("Ada", json!({ "priority": 1 })), ("Bo", plain())]).await;
    stage.say("hello").await;
    stage.composing(1, "Bo be").await;
    let (room, agents) = (stage.room, stage.agents.clone());
    stage.end().await;
    let polite = Actors::polite();
    let server = Running::answering(store.r.clone(), polite, |_| {}).await;
    let client = server.client();
    let stage = Stage { store: None, server, client, room, agents };
    stage.over().await;
    let said: Vec<_> = stage.said().await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(said, ["hello", "Ada answers", "Bo heard hello"]);
    stage.end().await;
}

#[tokio::test]
async fn what_was_begun_comes_before_what_is_yet_to_be_answered() {
    let actors = Actors::new(|prompt| match unanswered(prompt).as_deref() {
        Some("one") => begins("well, "),
        Some(other) => says(&format!("to {other}")),
        None => silent(),
    });
    let stage = Stage::new(&actors, &[("Ada", plain())]).await;
    stage.say("one").await;
    stage.composing(0, "well, ").await;
    stage.say("two").await;
    stage.over().await;
    let turns: Vec<_> = actors.last_asked("Ada").unwrap().turns.into_iter().map(|turn| turn.text).collect();
    assert_eq!(turns, ["well,", "one", "two"], "a model that is asked sees last what it is to answer");
    stage.end().await;
}

#[tokio::test]
async fn who_was_silent_or_failed_is_not_asked_again_about_the_same() {
    let actors = Actors::new(|prompt| match prompt.name.as_str() {
        "Ada" => silent(),
        "Bo" => fails("no"),
        _ if unanswered(prompt).is_some() => says("I do"),
        _ => silent(),
    });
    let agents = [("Ada", plain()), ("Bo", plain()), ("Cy", json!({ "transparent": true, "priority": 3 }))];
    let stage = Stage::with(&actors, &agents, |settings| settings.answers.limits.follow_up_rounds = 5).await;
    stage.say("one").await;
    stage.over().await;
    assert_eq!(actors.asked().len(), 3, "each once: what the transparent one says is not seen");
    stage.end().await;
}

#[tokio::test]
async fn a_limit_that_one_does_not_use_is_left_to_the_others() {
    let actors = Actors::new(|prompt| match (prompt.name.as_str(), unanswered(prompt)) {
        ("Ada", _) => fails("no"),
        (_, Some(_)) => says("I do"),
        _ => silent(),
    });
    let stage = Stage::new(&actors, &[("Ada", plain()), ("Bo", plain())]).await;
    stage.client.patch(&stage.path(""), json!({ "max_interactions": 1 })).await.ok();
    stage.say("one").await;
    stage.over().await;
    assert_eq!(stage.speakers().await, ["user", "Bo"]);
    stage.end().await;
}

/// A store of which one write fails: the one that comes after so many.
struct FailsOnce(AtomicUsize);

impl Around for FailsOnce {
    async fn read<'a, T: Send + 'a>(&'a self, read: BoxFuture<'a, domain::Result<T>>) -> domain::Result<T> {
        read.await
    }

    async fn write<T: Send + 'static>(&self, write: BoxFuture<'static, domain::Result<T>>) -> domain::Result<T> {
        match self.0.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(domain::Error::unavailable("planted")),
            _ => write.await,
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_does_not_pass_for_silence() {
    let store = Place::sqlite().open().await;
    let fails = Arc::new(FailsOnce(AtomicUsize::new(1_000)));
    let server = Running::answering(decorate(store.r.clone(), fails.clone()), Actors::polite(), |_| {}).await;
    let stage = Stage { store: Some(store), ..Stage::in_room(server, &[("Ada", plain())]).await };
    // The person's message is stored, the answer is not.
    fails.0.store(1, Ordering::SeqCst);
    stage.say("one").await;
    stage.over().await;
    assert!(fails.0.load(Ordering::SeqCst) > 1_000, "it has failed: the count went below nought");
    assert_eq!(stage.speakers().await, ["user", "Ada"], "it is tried again");
    assert_eq!((stage.shown().await["last_error"].clone(), stage.shown().await["is_finished"].clone()), (Value::Null, json!(true)));
    stage.end().await;
}
