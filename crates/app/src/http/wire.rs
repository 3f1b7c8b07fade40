//! The objects on the wire.

use chrono::SecondsFormat;
use domain::{Activity, Agent, AgentConfig, Image, Message, Room, Timestamp};
use serde::Serialize;

use crate::prompt::{events_text, system_prompt};

/// ISO 8601 in UTC with a `Z`.
pub(crate) fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[derive(Serialize)]
pub(crate) struct AgentView {
    id: i64,
    name: String,
    group: Option<String>,
    config_file: String,
    profile_pic: Option<String>,
    in_a_nutshell: String,
    characteristics: String,
    recent_events: String,
    is_critic: bool,
    interrupt_every_turn: bool,
    priority: i32,
    transparent: bool,
    system_prompt: String,
    session_id: Option<String>,
    created_at: String,
}

impl AgentView {
    pub(crate) fn new(agent: &Agent, config: &AgentConfig, session_id: Option<String>) -> Self {
        Self {
            id: agent.id.0,
            name: agent.name.to_string(),
            group: agent.group.as_ref().map(ToString::to_string),
            config_file: agent.config_file.clone(),
            profile_pic: config.profile_pic.clone(),
            in_a_nutshell: config.in_a_nutshell.clone(),
            characteristics: config.characteristics.clone(),
            recent_events: events_text(&config.recent_events),
            is_critic: config.is_critic,
            interrupt_every_turn: config.interrupt_every_turn,
            priority: config.priority,
            transparent: config.transparent,
            system_prompt: system_prompt(agent, config),
            session_id,
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

#[derive(Serialize)]
pub(crate) struct RoomView {
    #[serde(flatten)]
    pub(crate) fields: RoomFields,
    pub(crate) agents: Vec<AgentView>,
    pub(crate) messages: Vec<MessageView>,
}

#[derive(Serialize)]
pub(crate) struct MessageView {
    id: i64,
    room_id: i64,
    agent_id: Option<i64>,
    content: String,
    role: &'static str,
    participant_type: Option<&'static str>,
    participant_name: Option<String>,
    thinking: Option<String>,
    anthropic_calls: Option<Vec<String>>,
    timestamp: String,
    agent_name: Option<String>,
    agent_profile_pic: Option<String>,
    image_data: Option<String>,
    image_media_type: Option<String>,
    interrupted: bool,
}

impl MessageView {
    /// `author` is the agent's name and picture.
    pub(crate) fn new(message: &Message, author: Option<(String, Option<String>)>, image: Option<&Image>) -> Self {
        let (agent_name, agent_profile_pic) = author.map_or((None, None), |(name, picture)| (Some(name), picture));
        Self {
            id: message.id.0,
            room_id: message.room.0,
            agent_id: message.author.map(|author| author.0),
            content: message.content.clone(),
            role: message.role.as_str(),
            participant_type: message.participant_type.map(domain::ParticipantType::as_str),
            participant_name: message.participant_name.clone(),
            thinking: message.thinking.clone(),
            anthropic_calls: message.anthropic_calls.clone(),
            timestamp: time(message.timestamp),
            agent_name,
            agent_profile_pic,
            image_data: image.map(|image| image.data.clone()),
            image_media_type: message.image_media_type.clone(),
            interrupted: message.interrupted,
        }
    }
}
