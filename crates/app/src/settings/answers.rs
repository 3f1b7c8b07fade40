//! How agents answer: by what, how much, how long.

use std::{collections::BTreeMap, env, sync::Arc, time::Duration};

use clap::Args;
use domain::{Responder, RoomId};
use responders::{Model, ModelSettings, Scripted};
use secrecy::SecretString;
use serde::Deserialize;

use super::Time;
use crate::conversation::Responders;

/// The responder that needs nothing else.
const SCRIPTED: &str = "scripted";
/// Agents keep silent.
const NONE: &str = "none";

/// What flags and environment say of answers.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Answers")]
pub struct AnswerFlags {
    /// Who finds the agents' words: scripted, none, or a model that the settings file names under answers.models [default: scripted]
    #[arg(long, env = "GREENROOM_RESPONDER", value_name = "NAME", global = true)]
    pub responder: Option<String>,
}

/// The section `answers` of the settings file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AnswersFromFile {
    responder: Option<String>,
    /// Responders by the room's id.
    rooms: BTreeMap<i64, String>,
    models: BTreeMap<String, ModelFromFile>,
    seed: u64,
    pace: Option<Time>,
    limits: AnswerLimits,
}

/// A model that answers, under the name by which it is chosen. Its key comes from the environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFromFile {
    protocol: ProtocolName,
    model: String,
    #[serde(default)]
    base_url: Option<String>,
    /// The variable that holds the key.
    #[serde(default)]
    key_env: Option<String>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    thinking_budget: Option<u32>,
    #[serde(default)]
    first_byte_timeout: Option<Time>,
    #[serde(default)]
    idle_timeout: Option<Time>,
    #[serde(default)]
    attempts: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProtocolName {
    Anthropic,
    OpenAi,
}

impl ModelFromFile {
    fn settings(&self, name: &str) -> Result<ModelSettings, String> {
        let key = |variable: &str| {
            env::var(variable)
                .ok()
                .filter(|key| !key.trim().is_empty())
                .map(SecretString::from)
        };
        let model = self.model.clone();
        let mut settings = match self.protocol {
            ProtocolName::Anthropic => {
                let variable = self.key_env.as_deref().unwrap_or("ANTHROPIC_API_KEY");
                let key = key(variable).ok_or_else(|| {
                    format!(
                        "answers: model {name}: the environment variable {variable} holds its key"
                    )
                })?;
                let of = ModelSettings::anthropic(model, key);
                ModelSettings {
                    base_url: self.base_url.clone().unwrap_or(of.base_url),
                    ..of
                }
            }
            ProtocolName::OpenAi => {
                let base_url = self.base_url.clone().ok_or_else(|| {
                    format!("answers: model {name}: base_url says where its server is")
                })?;
                let missing = |variable: &String| {
                    format!(
                        "answers: model {name}: the environment variable {variable} holds its key"
                    )
                };
                let key = self
                    .key_env
                    .as_ref()
                    .map(|variable| key(variable).ok_or_else(|| missing(variable)))
                    .transpose()?;
                ModelSettings::open_ai(base_url, model, key)
            }
        };
        settings.max_tokens = self.max_tokens.unwrap_or(settings.max_tokens);
        settings.thinking_budget = self.thinking_budget;
        settings.first_byte_timeout = self
            .first_byte_timeout
            .map_or(settings.first_byte_timeout, |Time(time)| time);
        settings.idle_timeout = self
            .idle_timeout
            .map_or(settings.idle_timeout, |Time(time)| time);
        settings.attempts = self.attempts.unwrap_or(settings.attempts);
        Ok(settings)
    }
}

/// How agents answer.
#[derive(Clone, Debug)]
pub struct AnswerSettings {
    /// The responder in rooms that are not named.
    pub responder: String,
    /// Responders by room.
    pub rooms: BTreeMap<RoomId, String>,
    /// Models by name.
    pub models: BTreeMap<String, ModelFromFile>,
    /// The script's seed.
    pub seed: u64,
    /// Between two words of the script.
    pub pace: Duration,
    /// How much and how long.
    pub limits: AnswerLimits,
}

/// Bounds of answers.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerLimits {
    /// Answers that are composed at the same time, in all rooms.
    pub at_once: usize,
    /// The same in one room.
    pub at_once_per_room: usize,
    /// How long one may take.
    pub time_limit: Time,
    /// The longest answer in bytes; what is longer is cut off there.
    pub max_bytes: usize,
    /// Messages of the conversation that an agent is told.
    pub history: usize,
    /// Rounds in which agents answer each other after a person spoke.
    pub follow_up_rounds: u32,
    /// Whether agents go on by themselves after that.
    pub go_on: bool,
    /// In how many rooms at the same time.
    pub go_on_rooms: usize,
    /// How long after a person spoke, at most.
    pub go_on_for: Time,
    /// Between two rounds without a person.
    pub go_on_every: Time,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        let secs = |secs| Time(Duration::from_secs(secs));
        Self {
            at_once: 16,
            at_once_per_room: 5,
            time_limit: secs(120),
            max_bytes: 16_384,
            history: 100,
            follow_up_rounds: 2,
            go_on: false,
            go_on_rooms: 5,
            go_on_for: secs(600),
            go_on_every: secs(5),
        }
    }
}

impl AnswerSettings {
    /// Flags and environment before the file before the defaults.
    pub(super) fn of(flags: AnswerFlags, file: AnswersFromFile) -> Result<Self, String> {
        let settings = Self {
            responder: flags
                .responder
                .or(file.responder)
                .unwrap_or_else(|| SCRIPTED.to_owned()),
            rooms: file
                .rooms
                .into_iter()
                .map(|(room, name)| (RoomId(room), name))
                .collect(),
            models: file.models,
            seed: file.seed,
            pace: file
                .pace
                .map_or(Scripted::default().pace, |Time(pace)| pace),
            limits: file.limits,
        };
        let limits = &settings.limits;
        for (name, is_nought) in [
            ("at_once", limits.at_once == 0),
            ("at_once_per_room", limits.at_once_per_room == 0),
            ("max_bytes", limits.max_bytes == 0),
            ("history", limits.history == 0),
            ("time_limit", limits.time_limit.0.is_zero()),
        ] {
            if is_nought {
                return Err(format!(
                    "answers: limits: {name} is above nought; responder: {NONE} keeps agents silent"
                ));
            }
        }
        settings.responders().map(|_| settings)
    }

    /// Agents keep silent.
    pub fn silent() -> Self {
        Self {
            responder: NONE.to_owned(),
            rooms: BTreeMap::new(),
            models: BTreeMap::new(),
            seed: 0,
            pace: Duration::ZERO,
            limits: AnswerLimits::default(),
        }
    }

    /// The responders by room. The error is for people.
    pub fn responders(&self) -> Result<Responders, String> {
        let by_room = self
            .rooms
            .iter()
            .map(|(room, name)| Ok((*room, self.responder(name)?)))
            .collect::<Result<_, String>>()?;
        Ok(Responders {
            usual: self.responder(&self.responder)?,
            by_room,
        })
    }

    fn responder(&self, name: &str) -> Result<Option<Arc<dyn Responder>>, String> {
        match name {
            NONE => Ok(None),
            SCRIPTED => Ok(Some(Arc::new(Scripted {
                seed: self.seed,
                pace: self.pace,
            }))),
            other if self.models.contains_key(other) => {
                let model = Model::new(self.models[other].settings(other)?)
                    .map_err(|error| format!("answers: model {other}: {error}"))?;
                Ok(Some(Arc::new(model)))
            }
            other => Err(format!(
                "answers: there is no responder {other}: it is {SCRIPTED}, {NONE}, or a name under answers.models"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AnswerSettings, String> {
        let file = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        AnswerSettings::of(AnswerFlags::default(), file)
    }

    #[test]
    fn without_a_word_the_script_answers_everywhere() {
        let settings = read("{}").unwrap();
        assert_eq!(
            (settings.responder.as_str(), &settings.limits),
            ("scripted", &AnswerLimits::default())
        );
        assert!(settings.responders().unwrap().of(RoomId(1)).is_some());
    }

    #[test]
    fn rooms_choose_among_models_by_name() {
        let local = "models: {local: {protocol: openai, base_url: 'http://127.0.0.1:11434/v1', model: llama}}\n";
        let settings = read(&format!(
            "{local}responder: none\nrooms: {{7: local, 8: scripted}}\n"
        ))
        .unwrap();
        let found = settings.responders().unwrap();
        assert!(
            found.of(RoomId(1)).is_none()
                && found.of(RoomId(7)).is_some()
                && found.of(RoomId(8)).is_some()
        );
        let limits = read("limits: {at_once: 2, time_limit: 5s, go_on: true}")
            .unwrap()
            .limits;
        assert_eq!(
            (limits.at_once, limits.time_limit.0, limits.go_on),
            (2, Duration::from_secs(5), true)
        );
    }

    #[test]
    fn what_is_wrong_is_told_by_name() {
        for (text, named) in [
            ("responder: local", "local"),
            ("rooms: {7: local}", "local"),
            ("limits: {at_onse: 2}", "at_onse"),
            ("limits: {history: 0}", "history"),
            (
                "responder: m\nmodels: {m: {protocol: openai, model: x}}",
                "base_url",
            ),
            (
                "responder: m\nmodels: {m: {protocol: anthropic, model: x, key_env: NO_SUCH_VARIABLE_HERE}}",
                "NO_SUCH_VARIABLE_HERE",
            ),
            ("models: {m: {protocol: smoke, model: x}}", "smoke"),
            (
                "models: {m: {protocol: openai, model: x, key: secret}}",
                "key",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(named), "{named} is not in {error}");
        }
    }
}
