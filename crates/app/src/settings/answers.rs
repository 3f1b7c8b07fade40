//! Settings of the agents' answers: responders, models and limits.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use domain::RoomId;
use serde::Deserialize;

use super::{error::SettingsError, models::ModelOptions, value, value::SettingValue};

/// The name of the built-in responder, which needs no model server.
pub(crate) const SCRIPTED: &str = "scripted";
/// The responder name that keeps agents silent.
pub(crate) const NONE: &str = "none";

/// Answer settings of one source. The command line and the environment only set the responder.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Answers")]
#[serde(default, deny_unknown_fields)]
pub struct AnswerFlags {
    /// The responder that composes answers: scripted, none, or a model that the settings file
    /// defines under answers.models [default: scripted]
    #[arg(
        long,
        env = "GREENROOM_RESPONDER",
        value_name = "NAME",
        global = true,
        value_parser = String::flag_parser()
    )]
    #[serde(deserialize_with = "value::optional")]
    pub responder: Option<String>,
    /// Responders by room id.
    #[arg(skip)]
    pub rooms: BTreeMap<i64, String>,
    /// Models by name.
    #[arg(skip)]
    pub models: BTreeMap<String, ModelOptions>,
    /// The seed of the scripted responder.
    #[arg(skip)]
    #[serde(deserialize_with = "value::required")]
    pub seed: u64,
    /// The scripted responder's pause between two words.
    #[arg(skip)]
    #[serde(deserialize_with = "value::optional")]
    pub pace: Option<Duration>,
    /// The owner of what agents learn in guests' rooms.
    #[arg(skip)]
    pub memories: MemoryMode,
    /// Limits on the number, length, time and cost of answers.
    #[arg(skip)]
    pub limits: AnswerLimits,
}

/// The owner of what agents learn in guests' rooms. What they learn in the administrator's rooms
/// belongs to all, unless they learn nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum MemoryMode {
    /// The room's owner. An agent uses it in that owner's rooms alone.
    #[default]
    Owner,
    /// Everybody. It becomes part of the agent's files.
    Shared,
    /// No one. Agents learn nothing.
    Off,
}

/// The settings in force for the agents' answers.
#[derive(Clone, Debug)]
pub struct AnswerSettings {
    /// The responder of all rooms that are not in `rooms`.
    pub responder: String,
    /// Responders by room.
    pub rooms: BTreeMap<RoomId, String>,
    /// Models by name.
    pub models: BTreeMap<String, ModelOptions>,
    /// The seed of the scripted responder.
    pub seed: u64,
    /// The scripted responder's pause between two words. `None` is the responder's default.
    pub pace: Option<Duration>,
    /// The owner of what agents learn in guests' rooms.
    pub memories: MemoryMode,
    /// Limits on the number, length, time and cost of answers.
    pub limits: AnswerLimits,
}

/// Limits on the number, length, time and cost of answers.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerLimits {
    /// The maximum number of answers composed at the same time, in all rooms together.
    #[serde(deserialize_with = "value::required")]
    pub at_once: usize,
    /// The maximum number of answers composed at the same time in one room.
    #[serde(deserialize_with = "value::required")]
    pub at_once_per_room: usize,
    /// The maximum time to compose one answer.
    #[serde(deserialize_with = "value::required")]
    pub time_limit: Duration,
    /// The maximum length of an answer, in bytes. A longer answer is cut.
    #[serde(deserialize_with = "value::required")]
    pub max_bytes: usize,
    /// The maximum number of messages that a prompt contains.
    #[serde(deserialize_with = "value::required")]
    pub history: usize,
    /// The maximum size of these messages, in bytes.
    #[serde(deserialize_with = "value::required")]
    pub history_bytes: usize,
    /// The time without a message of a person after which agents begin to answer.
    #[serde(deserialize_with = "value::required")]
    pub quiet_time: Duration,
    /// The maximum number of rounds in which agents answer each other after a user message.
    #[serde(deserialize_with = "value::required")]
    pub follow_up_rounds: u32,
    /// `true` if agents keep answering each other after `follow_up_rounds`, without a new user
    /// message.
    pub go_on: bool,
    /// The maximum number of rooms in which agents keep answering each other at the same time.
    #[serde(deserialize_with = "value::required")]
    pub go_on_rooms: usize,
    /// The maximum time for which the agents of a room keep answering each other.
    #[serde(deserialize_with = "value::required")]
    pub go_on_for: Duration,
    /// The pause before each round after `follow_up_rounds`.
    #[serde(deserialize_with = "value::required")]
    pub go_on_every: Duration,
    /// The number of memories that an agent keeps of the rooms of one guest, the newest.
    #[serde(deserialize_with = "value::required")]
    pub memories: usize,
    /// The maximum number of prompts after one message of a person; 0 for no limit.
    #[serde(deserialize_with = "value::required")]
    pub asks_per_message: u32,
    /// The maximum number of prompts in a minute for the rooms of one guest; 0 for no limit.
    #[serde(deserialize_with = "value::required")]
    pub guest_asks_per_minute: u32,
    /// The number of tokens a day after which agents are not asked in the rooms of one guest; 0 for
    /// no limit.
    #[serde(deserialize_with = "value::required")]
    pub guest_tokens_per_day: u64,
    /// The number of tokens a day after which agents are not asked in any room; 0 for no limit.
    #[serde(deserialize_with = "value::required")]
    pub tokens_per_day: u64,
    /// The highest `max_interactions` of a guest's room, also of one without a limit; 0 for no
    /// limit.
    #[serde(deserialize_with = "value::required")]
    pub guest_interactions: u32,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self {
            at_once: 16,
            at_once_per_room: 5,
            time_limit: Duration::from_mins(10),
            max_bytes: 16_384,
            history: 100,
            history_bytes: 98_304,
            quiet_time: Duration::from_millis(300),
            follow_up_rounds: 2,
            go_on: false,
            go_on_rooms: 5,
            go_on_for: Duration::from_mins(10),
            go_on_every: Duration::from_secs(5),
            memories: 100,
            asks_per_message: 100,
            guest_asks_per_minute: 60,
            guest_tokens_per_day: 2_000_000,
            tokens_per_day: 0,
            guest_interactions: 0,
        }
    }
}

impl AnswerLimits {
    fn check(&self) -> Result<(), SettingsError> {
        for (name, is_zero) in [
            ("at_once", self.at_once == 0),
            ("at_once_per_room", self.at_once_per_room == 0),
            ("max_bytes", self.max_bytes == 0),
            ("history", self.history == 0),
            ("history_bytes", self.history_bytes == 0),
            ("memories", self.memories == 0),
            ("time_limit", self.time_limit.is_zero()),
        ] {
            if is_zero {
                return Err(SettingsError::ZeroLimit { name });
            }
        }
        Ok(())
    }
}

impl AnswerSettings {
    /// Merges the settings. Only the responder can come from `flags`; all others come from `file`.
    pub(super) fn new(flags: AnswerFlags, file: AnswerFlags) -> Result<Self, SettingsError> {
        let responder = flags.responder.or(file.responder);
        let rooms = file.rooms.into_iter();
        let settings = Self {
            responder: responder.unwrap_or_else(|| SCRIPTED.to_owned()),
            rooms: rooms.map(|(room, name)| (RoomId(room), name)).collect(),
            models: file.models,
            seed: file.seed,
            pace: file.pace,
            memories: file.memories,
            limits: file.limits,
        };
        settings.limits.check()?;
        for name in settings.rooms.values().chain([&settings.responder]) {
            settings.check_responder(name)?;
        }
        Ok(settings)
    }

    /// Returns settings that keep agents silent in all rooms.
    pub fn silent() -> Self {
        Self {
            responder: NONE.to_owned(),
            rooms: BTreeMap::new(),
            models: BTreeMap::new(),
            seed: 0,
            pace: None,
            memories: MemoryMode::default(),
            limits: AnswerLimits::default(),
        }
    }

    /// Checks that a responder in use exists and is complete. Models that no room uses may be
    /// incomplete.
    fn check_responder(&self, name: &str) -> Result<(), SettingsError> {
        if [SCRIPTED, NONE].contains(&name) {
            return Ok(());
        }
        let model = self.model(name)?;
        model.check(name)?;
        model.key(name)?;
        Ok(())
    }

    /// Returns the model with this name. Fails if the settings do not define it.
    pub(crate) fn model(&self, name: &str) -> Result<&ModelOptions, SettingsError> {
        self.models
            .get(name)
            .ok_or_else(|| SettingsError::UnknownResponder {
                name: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AnswerSettings, String> {
        let file = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        AnswerSettings::new(AnswerFlags::default(), file).map_err(|error| error.to_string())
    }

    #[test]
    fn by_default_the_script_answers_in_all_rooms() {
        let settings = read("{}").unwrap();
        assert_eq!(settings.responder, "scripted");
        assert!(settings.rooms.is_empty());
        assert_eq!(settings.limits, AnswerLimits::default());
    }

    #[test]
    fn rooms_choose_among_models_by_name() {
        let model = "{protocol: openai, base_url: 'http://127.0.0.1:11434/v1', model: llama}";
        let settings = read(&format!(
            "models: {{local: {model}}}\nresponder: none\nrooms: {{7: local, 8: scripted}}\n"
        ))
        .unwrap();
        assert_eq!(settings.responder, "none");
        assert_eq!(settings.rooms[&RoomId(7)], "local");
        assert_eq!(settings.rooms[&RoomId(8)], "scripted");
        assert_eq!(settings.memories, MemoryMode::Owner);
        assert_eq!(read("memories: off").unwrap().memories, MemoryMode::Off);
        let limits = read("limits: {at_once: 2, time_limit: 5s, go_on: true}")
            .unwrap()
            .limits;
        assert_eq!(limits.at_once, 2);
        assert_eq!(limits.time_limit, Duration::from_secs(5));
        assert!(limits.go_on);
    }

    #[test]
    fn an_error_names_the_setting() {
        for (text, named) in [
            ("responder: local", "local"),
            ("rooms: {7: local}", "local"),
            ("limits: {at_onse: 2}", "at_onse"),
            ("limits: {history: 0}", "history"),
            ("memories: mine", "memories"),
            (
                "limits: {time_limit: 30}",
                "limits.time_limit: must be a duration such as `30s`, got 30",
            ),
            (
                "responder: m\nmodels: {m: {protocol: openai, model: x}}",
                "base_url",
            ),
            (
                "responder: m\nmodels: {m: {protocol: anthropic, model: x, key_env: NOT_SET}}",
                "model `m`: environment variable NOT_SET is not set",
            ),
            ("models: {m: {protocol: smoke, model: x}}", "smoke"),
            (
                "models: {m: {protocol: openai, model: x, key: secret}}",
                "key",
            ),
            (
                "models: {m: {protocol: openai, model: x, max_tokens: many}}",
                "models.m.max_tokens: must be a whole number, got many",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(named), "{named} is not in {error}");
        }
    }
}
