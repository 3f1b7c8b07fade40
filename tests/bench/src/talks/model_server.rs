//! A model server that refuses some requests, and that compares each prompt with the one before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tests::random::Random;
use tokio::{net::TcpListener, task::AbortHandle};

/// The part of the requests that is refused, in percent.
pub(super) const REFUSED_PERCENT: usize = 20;
/// The answer to every prompt.
const ANSWER: &str =
    "I remember that umbrella. It rained for three days, and nobody came back for it.";

/// A server that speaks the protocol of OpenAI. Dropping it stops it.
pub(super) struct ModelServer {
    pub(super) base_url: String,
    state: Arc<Mutex<Asked>>,
    task: AbortHandle,
}

/// The prompts that the server got.
struct Asked {
    random: Random,
    /// The newest prompt of each agent in each room.
    newest: HashMap<String, String>,
    figures: Figures,
}

/// The figures of all requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) requests: u32,
    pub(super) refused: u32,
    /// For each prompt, the part of its bytes that it shares with the prompt before, in percent.
    pub(super) shared: Vec<f64>,
    /// The bytes of each prompt.
    pub(super) bytes: Vec<f64>,
}

impl ModelServer {
    /// Starts a server that refuses [`REFUSED_PERCENT`] of the requests.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let state = Arc::new(Mutex::new(Asked {
            random: Random::new(1),
            newest: HashMap::new(),
            figures: Figures::default(),
        }));
        let app = Router::new()
            .route("/v1/chat/completions", post(answer))
            .with_state(state.clone());
        let serving = async move { axum::serve(listener, app).await };
        Self {
            base_url: format!("http://{address}/v1"),
            state,
            task: tokio::spawn(serving).abort_handle(),
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let asked = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        asked.figures.clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(state): State<Arc<Mutex<Asked>>>, Json(body): Json<Value>) -> Response {
    let prompt = text_of(&body);
    let is_refused = {
        let mut asked = state.lock().unwrap_or_else(PoisonError::into_inner);
        asked.record(&prompt)
    };
    if is_refused {
        let error = json!({ "error": { "message": "the server is overloaded" } });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response();
    }
    let words = ANSWER.split_inclusive(' ');
    let text = |word: &str| json!({ "choices": [{ "delta": { "content": word } }] });
    let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] });
    // A token of English has four bytes.
    let usage = json!({ "choices": [], "usage": {
        "prompt_tokens": prompt.len() / 4, "completion_tokens": ANSWER.len() / 4,
    } });
    let events = words.map(text).chain([end, usage]);
    let events: Vec<_> = events.map(|event| format!("data: {event}\n\n")).collect();
    let head = [(header::CONTENT_TYPE, "text/event-stream")];
    (head, events.concat() + "data: [DONE]\n\n").into_response()
}

/// Returns the texts of a request in the order in which a model reads them.
fn text_of(body: &Value) -> String {
    let messages = body["messages"].as_array().into_iter().flatten();
    let texts = messages.filter_map(|message| message["content"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

impl Asked {
    /// Records a prompt. Returns `true` if it is to be refused.
    fn record(&mut self, prompt: &str) -> bool {
        self.figures.requests += 1;
        if self.random.percent(REFUSED_PERCENT) {
            self.figures.refused += 1;
            return true;
        }
        let before = self.newest.entry(speaker_and_room(prompt)).or_default();
        if !before.is_empty() {
            let shared = before.bytes().zip(prompt.bytes());
            let shared = shared.take_while(|(one, other)| one == other).count();
            self.figures
                .shared
                .push(100.0 * ratio(shared, prompt.len()));
        }
        self.figures.bytes.push(ratio(prompt.len(), 1));
        prompt.clone_into(before);
        false
    }
}

/// Returns the beginning of a prompt, which names the agent, and the room that the first message
/// names.
fn speaker_and_room(prompt: &str) -> String {
    let speaker = prompt.lines().next().unwrap_or_default();
    let room = prompt.split_once("room ").map_or("", |(_, rest)| rest);
    let room = room.split(':').next().unwrap_or_default();
    format!("{speaker} in room {room}")
}

#[expect(clippy::cast_precision_loss, reason = "prompts are short")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
