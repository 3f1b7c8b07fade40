//! The JSON objects of the HTTP interface. Objects that are rendered in pieces have a type here
//! only for the OpenAPI document.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use domain::{Activity, Agent, AgentConfig, AgentId, Message, Room, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    conversation::Draft,
    prompt::{events_text, system_prompt},
};

/// Formats a time as ISO 8601 in UTC, with microseconds and a `Z`.
pub(crate) fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The fields of an agent without `session_id`, which belongs to a room.
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

/// The fields of a room that a list and the room itself have in common.
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
        room: &'a Room,
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
#[expect(dead_code, reason = "it describes what is written in pieces")]
pub(crate) struct RoomSummary {
    #[serde(flatten)]
    fields: RoomFields<'static>,
    /// True if there are messages that the caller has not marked as read.
    has_unread: bool,
}

/// The fields of a message without its author's and without its image's data.
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
    /// The path of the image; null without an image.
    #[schema(required)]
    image_url: Option<String>,
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
            participant_type: message
                .participant_type
                .map(domain::ParticipantType::as_str),
            participant_name: message.participant_name.as_deref(),
            thinking: message.thinking.as_deref(),
            anthropic_calls: message.anthropic_calls.as_deref(),
            timestamp: time(message.timestamp),
            image_media_type: message.image_media_type.as_deref(),
            image_url: message
                .image_media_type
                .as_ref()
                .map(|_| format!("/rooms/{}/messages/{}/image", message.room, message.id)),
            interrupted: message.interrupted,
        }
    }
}

/// An agent. In a list of a room's agents, `session_id` is the agent's session in the room;
/// elsewhere it is null.
#[derive(ToSchema)]
#[schema(as = Agent)]
#[expect(dead_code, reason = "it describes what is written in pieces")]
pub(crate) struct AgentObject {
    #[serde(flatten)]
    fields: AgentFields<'static>,
    #[schema(required)]
    session_id: Option<String>,
}

/// A message. A deleted author's name and id are still shown.
#[derive(ToSchema)]
#[schema(as = Message)]
#[expect(dead_code, reason = "it describes what is written in pieces")]
pub(crate) struct MessageObject {
    #[serde(flatten)]
    fields: MessageFields<'static>,
    #[schema(required)]
    agent_name: Option<String>,
    #[schema(required)]
    agent_profile_pic: Option<String>,
    /// The image in Base64. Null without an image, and for older images in an answer with more than
    /// 8 MiB of them: clients then use `image_url`.
    #[schema(required)]
    image_data: Option<String>,
}

/// A room with its agents and its newest 200 messages, oldest first.
#[derive(ToSchema)]
#[schema(as = Room)]
#[expect(dead_code, reason = "it describes what is written in pieces")]
pub(crate) struct RoomObject {
    #[serde(flatten)]
    fields: RoomFields<'static>,
    agents: Vec<AgentObject>,
    messages: Vec<MessageObject>,
}

/// The agents that are composing an answer now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Chatting {
    pub(crate) chatting_agents: Vec<ComposingAgent>,
}

/// An agent that is composing an answer, with the text so far.
#[derive(Serialize, ToSchema)]
#[schema(as = Composing)]
pub(crate) struct ComposingAgent {
    id: i64,
    name: String,
    #[schema(required)]
    profile_pic: Option<String>,
    thinking_text: String,
    response_text: String,
    /// `true` while the agent waits for its place; it is left out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    waiting: bool,
}

/// The text that was added to an agent's draft since the last event.
#[derive(Serialize)]
pub(crate) struct DraftDelta<'a> {
    pub(crate) agent_id: i64,
    pub(crate) thinking_text: &'a str,
    pub(crate) response_text: &'a str,
}

impl ComposingAgent {
    pub(crate) fn new(agent: AgentId, draft: &Draft) -> Self {
        Self {
            id: agent.0,
            name: draft.name.clone(),
            profile_pic: draft.profile_pic.clone(),
            thinking_text: draft.thinking.clone(),
            response_text: draft.text.clone(),
            waiting: draft.is_waiting,
        }
    }
}

/// The statistics of the cache in all and by region.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written in pieces")]
pub(crate) struct CacheStats {
    #[serde(flatten)]
    totals: Counters,
    regions: BTreeMap<String, RegionStats>,
}

/// The statistics of one region.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written in pieces")]
pub(crate) struct RegionStats {
    #[serde(flatten)]
    counters: Counters,
    ttl_seconds: f64,
    capacity: u64,
}

/// Counters of the cache. `total_requests` is hits and misses; `hit_rate` is in percent.
#[derive(ToSchema)]
#[schema(as = Counted)]
#[expect(dead_code, reason = "it describes what is written in pieces")]
pub(crate) struct Counters {
    hits: u64,
    misses: u64,
    total_requests: u64,
    hit_rate: f64,
    size: u64,
    /// Entries removed by writes or by hand.
    invalidations: u64,
    loads: u64,
    refreshes: u64,
    joins: u64,
    past_loads: u64,
    too_heavy: u64,
    bypasses: u64,
    load_failures: u64,
    refused_stores: u64,
    stale_served: u64,
    evictions: Evictions,
    open_windows: u64,
    unknown_windows: u64,
    open_creates: u64,
    unknown_creates: u64,
    weight: u64,
}

/// Entries removed because the region was full or they had expired.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written in pieces")]
pub(crate) struct Evictions {
    capacity: u64,
    expiry: u64,
}
