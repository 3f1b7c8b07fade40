//! The objects on the wire.

use chrono::SecondsFormat;
use domain::{Activity, Agent, AgentConfig, Message, Room, Timestamp};
use serde::Serialize;

use crate::prompt::{events_text, system_prompt};

/// ISO 8601 in UTC with a `Z`.
pub(crate) fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// An agent but for its session, which is the room's.
#[derive(Serialize)]
pub(crate) struct AgentFields<'a> {
    id: i64,
    name: &'a str,
    group: Option<&'a str>,
    config_file: &'a str,
    profile_pic: Option<&'a str>,
    in_a_nutshell: &'a str,
    characteristics: &'a str,
    recent_events: String,
    is_critic: bool,
    interrupt_every_turn: bool,
    priority: i32,
    transparent: bool,
    system_prompt: String,
    created_at: String,
}

impl<'a> AgentFields<'a> {
    pub(crate) fn new(agent: &'a Agent, config: &'a AgentConfig) -> Self {
        Self {
            id: agent.id.0,
            name: agent.name.as_str(),
            group: agent.group.as_ref().map(domain::GroupName::as_str),
            config_file: &agent.config_file,
            profile_pic: config.profile_pic.as_deref(),
            in_a_nutshell: &config.in_a_nutshell,
            characteristics: &config.characteristics,
            recent_events: events_text(&config.recent_events),
            is_critic: config.is_critic,
            interrupt_every_turn: config.interrupt_every_turn,
            priority: config.priority,
            transparent: config.transparent,
            system_prompt: system_prompt(agent, config),
            created_at: time(agent.created_at),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct RoomFields {
    id: i64,
    name: String,
    owner_id: String,
    max_interactions: Option<u32>,
    is_paused: bool,
    is_finished: bool,
    created_at: String,
    last_activity_at: Option<String>,
    last_read_at: Option<String>,
    last_error: Option<String>,
}

impl RoomFields {
    pub(crate) fn new(room: &Room, activity: &Activity, last_read_at: Option<Timestamp>) -> Self {
        Self {
            id: room.id.0,
            name: room.name.to_string(),
            owner_id: room.owner.to_string(),
            max_interactions: room.max_interactions,
            is_paused: room.is_paused,
            is_finished: room.is_finished(activity),
            created_at: time(room.created_at),
            last_activity_at: activity.last_activity_at.map(time),
            last_read_at: last_read_at.map(time),
            last_error: room.last_error.clone(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct RoomSummary {
    #[serde(flatten)]
    pub(crate) fields: RoomFields,
    pub(crate) has_unread: bool,
}

/// A message but for its author's part and its image's bytes, which are joined when it is shown.
#[derive(Serialize)]
pub(crate) struct MessageFields<'a> {
    id: i64,
    room_id: i64,
    agent_id: Option<i64>,
    content: &'a str,
    role: &'static str,
    participant_type: Option<&'static str>,
    participant_name: Option<&'a str>,
    thinking: Option<&'a str>,
    anthropic_calls: Option<&'a [String]>,
    timestamp: String,
    image_media_type: Option<&'a str>,
    interrupted: bool,
}

impl<'a> MessageFields<'a> {
    pub(crate) fn new(message: &'a Message) -> Self {
        Self {
            id: message.id.0,
            room_id: message.room.0,
            agent_id: message.author.map(|author| author.0),
            content: &message.content,
            role: message.role.as_str(),
            participant_type: message.participant_type.map(domain::ParticipantType::as_str),
            participant_name: message.participant_name.as_deref(),
            thinking: message.thinking.as_deref(),
            anthropic_calls: message.anthropic_calls.as_deref(),
            timestamp: time(message.timestamp),
            image_media_type: message.image_media_type.as_deref(),
            interrupted: message.interrupted,
        }
    }
}
