//! The objects on the wire.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use domain::{Activity, AgentConfig, AgentId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    conversation::Draft,
    prompt::{events_text, system_prompt},
};

/// ISO 8601 in UTC with a `Z`.
pub(crate) fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// An agent but for its session, which is the room's.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgentFields<'a> {
    id: i64,
    name: &'a str,
    #[schema(required)]
    group: Option<&'a str>,
    config_file: &'a str,
    #[schema(required)]
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
    pub(crate) fn new(agent: &'a domain::Agent, config: &'a AgentConfig) -> Self {
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

/// A room but for what it is shown with.
#[derive(Serialize, ToSchema)]
pub(crate) struct RoomFields<'a> {
    id: i64,
    name: &'a str,
    owner_id: &'a str,
    #[schema(required)]
    max_interactions: Option<u32>,
    is_paused: bool,
    is_finished: bool,
    created_at: String,
    #[schema(required)]
    last_activity_at: Option<String>,
    #[schema(required)]
    last_read_at: Option<String>,
    #[schema(required)]
    last_error: Option<&'a str>,
}

impl<'a> RoomFields<'a> {
    pub(crate) fn new(
        room: &'a domain::Room,
        activity: &Activity,
        last_read_at: Option<Timestamp>,
    ) -> Self {
        Self {
            id: room.id.0,
            name: room.name.as_str(),
            owner_id: room.owner.as_str(),
            max_interactions: room.max_interactions,
            is_paused: room.is_paused,
            is_finished: room.is_finished(activity),
            created_at: time(room.created_at),
            last_activity_at: activity.last_activity_at.map(time),
            last_read_at: last_read_at.map(time),
            last_error: room.last_error.as_deref(),
        }
    }
}

/// A room in a list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written part by part")]
pub(crate) struct RoomSummary {
    #[serde(flatten)]
    fields: RoomFields<'static>,
    /// Whether there are messages beyond what this caller has marked read.
    has_unread: bool,
}

/// A message but for its author's part and its image's bytes, which are joined when it is shown.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageFields<'a> {
    id: i64,
    room_id: i64,
    #[schema(required)]
    agent_id: Option<i64>,
    content: &'a str,
    role: &'static str,
    #[schema(required)]
    participant_type: Option<&'static str>,
    #[schema(required)]
    participant_name: Option<&'a str>,
    #[schema(required)]
    thinking: Option<&'a str>,
    #[schema(required)]
    anthropic_calls: Option<&'a [String]>,
    timestamp: String,
    #[schema(required)]
    image_media_type: Option<&'a str>,
    interrupted: bool,
}

impl<'a> MessageFields<'a> {
    pub(crate) fn new(message: &'a domain::Message) -> Self {
        Self {
            id: message.id.0,
            room_id: message.room.0,
            agent_id: message.author.map(|author| author.0),
            content: &message.content,
            role: message.role.as_str(),
            participant_type: message
                .participant_type
                .map(domain::ParticipantType::as_str),
            participant_name: message.participant_name.as_deref(),
            thinking: message.thinking.as_deref(),
            anthropic_calls: message.anthropic_calls.as_deref(),
            timestamp: time(message.timestamp),
            image_media_type: message.image_media_type.as_deref(),
            interrupted: message.interrupted,
        }
    }
}

/// An agent. `session_id` is the session in the room where it is listed in one.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written part by part")]
pub(crate) struct Agent {
    #[serde(flatten)]
    fields: AgentFields<'static>,
    #[schema(required)]
    session_id: Option<String>,
}

/// A message. An author who was deleted keeps name and id here.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written part by part")]
pub(crate) struct Message {
    #[serde(flatten)]
    fields: MessageFields<'static>,
    #[schema(required)]
    agent_name: Option<String>,
    #[schema(required)]
    agent_profile_pic: Option<String>,
    /// Base64.
    #[schema(required)]
    image_data: Option<String>,
}

/// A room with its agents and its newest 200 messages, oldest first.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written part by part")]
pub(crate) struct Room {
    #[serde(flatten)]
    fields: RoomFields<'static>,
    agents: Vec<Agent>,
    messages: Vec<Message>,
}

/// Who is composing an answer now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Chatting {
    pub(crate) chatting_agents: Vec<Composing>,
}

/// What an agent has composed so far.
#[derive(Serialize, ToSchema)]
pub(crate) struct Composing {
    id: i64,
    name: String,
    #[schema(required)]
    profile_pic: Option<String>,
    thinking_text: String,
    response_text: String,
}

impl Composing {
    pub(crate) fn new(agent: AgentId, draft: Draft) -> Self {
        let Draft {
            name,
            profile_pic,
            thinking,
            text,
        } = draft;
        Self {
            id: agent.0,
            name,
            profile_pic,
            thinking_text: thinking,
            response_text: text,
        }
    }
}

/// What the cache has counted, in all and by region.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written part by part")]
pub(crate) struct CacheStats {
    #[serde(flatten)]
    totals: Counted,
    regions: BTreeMap<String, RegionStats>,
}

/// What one region has counted.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written part by part")]
pub(crate) struct RegionStats {
    #[serde(flatten)]
    counted: Counted,
    ttl_seconds: f64,
    capacity: u64,
}

/// `total_requests` is hits and misses; `hit_rate` is in percent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written part by part")]
pub(crate) struct Counted {
    hits: u64,
    misses: u64,
    total_requests: u64,
    hit_rate: f64,
    size: u64,
    /// Entries removed by writes or by hand.
    invalidations: u64,
    loads: u64,
    joins: u64,
    past_loads: u64,
    bypasses: u64,
    load_failures: u64,
    refused_stores: u64,
    stale_served: u64,
    evictions: Evictions,
    open_windows: u64,
    unknown_windows: u64,
    weight: u64,
}

/// Entries removed for want of room or time.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written part by part")]
pub(crate) struct Evictions {
    capacity: u64,
    expiry: u64,
}
