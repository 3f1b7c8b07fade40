//! The composition of one answer by a responder.

use domain::{Composed, Failure, FailureKind, LongTermMemory, Prompt, Responder, Room};
use futures_util::{StreamExt, future::BoxFuture};
use tracing::{Instrument as _, Span, field::Empty, info_span};

use super::{
    drafts::DraftWriter,
    engine::Engine,
    spending::{TurnUsage, spend},
    stop::StopSignals,
};
use crate::traces;

/// The maximum number of memories that an agent may recall for one answer. Each recall costs
/// another prompt.
const MAX_RECALLS: usize = 3;
/// The maximum length of an unknown title in a prompt, in bytes.
const MAX_TITLE_BYTES: usize = 100;
/// The maximum number of memories that one answer may add. All later prompts contain them.
const MAX_MEMORIES: usize = 3;
/// The maximum length of a memory, in bytes: about five sentences. A longer memory is cut, because
/// all later prompts contain it.
const MAX_MEMORY_BYTES: usize = 1_000;

/// An answer that an agent composed, with the agent's thinking and new memories.
#[derive(Debug, Default)]
pub(super) struct Composition {
    pub(super) thinking: String,
    /// Empty if the agent keeps silent.
    pub(super) text: String,
    pub(super) memories: Vec<String>,
    /// `false` if the composition was interrupted.
    pub(super) is_complete: bool,
    /// `true` if the answer ended at a limit of its length.
    pub(super) is_cut: bool,
}

/// The result of composing an answer.
pub(super) enum ComposeResult {
    Composed(Composition),
    /// The failure, and the answer so far.
    Failed(Failure, Composition),
    Discarded,
    /// A budget forbids the prompt after a recall.
    WithoutBudget(&'static str),
}

/// The outcome of reading a responder's stream.
enum StreamEnd {
    Result(ComposeResult),
    /// The agent recalls the long-term memory with this title. It must be prompted again with the
    /// memory.
    Recall(String),
}

/// The composition of one answer. The text composed so far is shown as a draft.
pub(super) struct Composer<'a> {
    pub(super) engine: &'a Engine,
    pub(super) room: &'a Room,
    pub(super) responder: &'a dyn Responder,
    pub(super) draft: &'a DraftWriter,
    pub(super) stop: &'a StopSignals,
}

impl Composer<'_> {
    /// Composes the answer until it is complete, fails or is stopped. Prompts again after each
    /// recall.
    pub(super) async fn compose(
        &self,
        mut prompt: Prompt,
        usage: &mut TurnUsage<'_>,
    ) -> domain::Result<ComposeResult> {
        // The time limit is for the whole answer, including the prompts after recalls.
        let mut timeout = self.engine.clock.sleep(self.engine.limits.time_limit);
        loop {
            let span = self.span();
            prompt.traceparent = traces::traceparent(&span);
            let reading = self.read_stream(prompt.clone(), &mut timeout, usage, &span);
            let title = match reading.instrument(span.clone()).await {
                StreamEnd::Result(result) => return Ok(result),
                StreamEnd::Recall(title) => title,
            };
            if prompt.recalled.len() >= MAX_RECALLS {
                let reason = format!("the answer recalled more than {MAX_RECALLS} memories");
                return Ok(failed(FailureKind::Other, reason, Composition::default()));
            }
            if let Err(reason) = spend(self.engine, self.room).await? {
                return Ok(ComposeResult::WithoutBudget(reason));
            }
            let memory = recall(&prompt, &title);
            prompt.recalled.push(memory);
        }
    }

    /// Returns the span of one ask. Its fields have the names of OpenTelemetry's conventions.
    fn span(&self) -> Span {
        let model = self.responder.model();
        info_span!(
            target: "conversation",
            "ask",
            otel.name = format_args!("chat {model}"),
            otel.kind = "client",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = self.responder.provider(),
            gen_ai.request.model = model,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            error.type = Empty,
            otel.status_code = Empty,
        )
    }

    async fn read_stream(
        &self,
        prompt: Prompt,
        timeout: &mut BoxFuture<'static, ()>,
        turn_usage: &mut TurnUsage<'_>,
        span: &Span,
    ) -> StreamEnd {
        let (room, agent) = (prompt.room, prompt.agent);
        turn_usage.begin_ask();
        let model = self.responder.model();
        let price = self.engine.responders.load().prices.get(model).cloned();
        let mut ask = self.engine.figures.begin(model, price, span.clone());
        let mut stream = self.responder.respond(prompt);
        let mut answer = Composition::default();
        let result = loop {
            let next = tokio::select! {
                // Polled in order, so that a stop signal precedes text that has already arrived.
                biased;
                () = self.stop.discard.cancelled() => break ComposeResult::Discarded,
                () = self.stop.keep.cancelled() => break ComposeResult::Composed(answer),
                () = &mut *timeout => {
                    let text = "the answer took too long";
                    // Not counted as an outage: the same prompt would take as long again.
                    break failed(FailureKind::Other, text, answer);
                }
                next = stream.next() => next,
            };
            if let Some(Ok(Composed::Thinking(_) | Composed::Text(_))) = &next {
                ask.begin_answer();
            }
            match next {
                Some(Ok(Composed::Thinking(more))) => {
                    let more = self.fitting(&answer.thinking, &more);
                    answer.thinking.push_str(more);
                    self.draft.change(|draft| draft.thinking.push_str(more));
                }
                Some(Ok(Composed::Text(more))) => {
                    let fitting = self.fitting(&answer.text, &more);
                    answer.text.push_str(fitting);
                    self.draft.change(|draft| draft.text.push_str(fitting));
                    if fitting.len() < more.len() {
                        tracing::warn!(
                            %room,
                            %agent,
                            "answer cut off: it is longer than `answers.limits.max_bytes`"
                        );
                        break answer.cut();
                    }
                }
                Some(Ok(Composed::Memory(text))) => {
                    if answer.memories.len() < MAX_MEMORIES {
                        let memory = cut(&text, MAX_MEMORY_BYTES).to_owned();
                        answer.memories.push(memory);
                    }
                }
                Some(Ok(Composed::Recall(title))) => {
                    // After the next prompt, the agent composes the answer from the beginning.
                    self.draft.begin_anew();
                    return StreamEnd::Recall(title);
                }
                Some(Ok(Composed::Silent)) => {
                    answer.text.clear();
                    break answer.complete();
                }
                Some(Ok(Composed::Done)) => break answer.complete(),
                Some(Ok(Composed::Cut)) => break answer.cut(),
                Some(Ok(Composed::Usage(usage))) => {
                    ask.set_usage(usage);
                    turn_usage.set(usage);
                }
                Some(Err(failure)) => break ComposeResult::Failed(failure, answer),
                None => break failed(FailureKind::Other, "the answer was cut off", answer),
            }
        };
        if let ComposeResult::Failed(failure, _) = &result {
            ask.fail(failure.kind);
        }
        StreamEnd::Result(result)
    }

    /// Returns the beginning of `more` that can be appended to `so_far` within the maximum length.
    fn fitting<'a>(&self, so_far: &str, more: &'a str) -> &'a str {
        let max_bytes = self.engine.limits.max_bytes;
        cut(more, max_bytes.saturating_sub(so_far.len()))
    }
}

impl Composition {
    fn complete(self) -> ComposeResult {
        ComposeResult::Composed(Self {
            is_complete: true,
            ..self
        })
    }

    fn cut(self) -> ComposeResult {
        Self {
            is_cut: true,
            ..self
        }
        .complete()
    }
}

fn failed(kind: FailureKind, reason: impl Into<String>, answer: Composition) -> ComposeResult {
    ComposeResult::Failed(Failure::new(kind, reason), answer)
}

/// Returns the agent's memory with this title, or a text that says that there is none.
fn recall(prompt: &Prompt, title: &str) -> LongTermMemory {
    let memories = &prompt.persona.long_term_memories;
    let is_same = |memory: &&LongTermMemory| comparable(&memory.title) == comparable(title);
    let memory = memories.iter().find(is_same).cloned();
    memory.unwrap_or_else(|| LongTermMemory {
        title: cut(title, MAX_TITLE_BYTES).to_owned(),
        text: "(You have no such memory. Answer without it.)".to_owned(),
    })
}

/// Returns a title without what models change when they repeat it: capitals, and quotes and full
/// stops at its ends.
fn comparable(title: &str) -> String {
    let is_dropped = |character: char| !character.is_alphanumeric();
    title.trim_matches(is_dropped).to_lowercase()
}

/// Returns at most the first `max_bytes` of a text, without splitting a character.
fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}
