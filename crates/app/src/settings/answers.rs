//! How agents answer: by what, how much, how long.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use clap::Args;
use domain::{Responder, RoomId};
use responders::Scripted;
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
    seed: u64,
    pace: Option<Time>,
    limits: AnswerLimits,
}

/// How agents answer.
#[derive(Clone, Debug)]
pub struct AnswerSettings {
    /// The responder in rooms that are not named.
    pub responder: String,
    /// Responders by room.
    pub rooms: BTreeMap<RoomId, String>,
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
    pub max_chars: usize,
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
            max_chars: 16_384,
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
            responder: flags.responder.or(file.responder).unwrap_or_else(|| SCRIPTED.to_owned()),
            rooms: file.rooms.into_iter().map(|(room, name)| (RoomId(room), name)).collect(),
            seed: file.seed,
            pace: file.pace.map_or(Scripted::default().pace, |Time(pace)| pace),
            limits: file.limits,
        };
        settings.responders().map(|_| settings)
    }

    /// Agents keep silent.
    pub fn silent() -> Self {
        Self { responder: NONE.to_owned(), rooms: BTreeMap::new(), seed: 0, pace: Duration::ZERO, limits: AnswerLimits::default() }
    }

    /// The responders by room. The error is for people.
    pub fn responders(&self) -> Result<Responders, String> {
        let by_room = self.rooms.iter().map(|(room, name)| Ok((*room, self.responder(name)?))).collect::<Result<_, String>>()?;
        Ok(Responders { usual: self.responder(&self.responder)?, by_room })
    }

    fn responder(&self, name: &str) -> Result<Option<Arc<dyn Responder>>, String> {
        match name {
            NONE => Ok(None),
            SCRIPTED => Ok(Some(Arc::new(Scripted { seed: self.seed, pace: self.pace }))),
            other => Err(format!("answers: there is no responder {other}: it is {SCRIPTED}, {NONE}, or a name under answers.models")),
        }
    }
}
