//! The JSON form of the stored entities.
//!
//! Each row struct repeats the fields of an entity of `domain`, which knows no serialization. The
//! attribute `remote` makes serde read and write the entity itself, so a field that is missing here
//! does not compile. A field that is added later needs the attribute `default`, because stored rows
//! do not contain it.

use chrono::NaiveDate;
use domain::{
    Activity, Agent, AgentConfig, AgentId, AgentName, GroupName, Image, LongTermMemory, Member,
    Message, MessageId, ParticipantType, ReadPosition, RecentEvent, Role, Room, RoomId, RoomName,
    Seq, Timestamp, Usage, UsageRecord, UserId,
};
use serde::{Deserialize, Serialize};

use crate::fields::{long_term_memories, optional_text, recent_events, text};

/// An entity that can be stored as JSON.
pub(crate) trait Stored: Sized {
    fn to_json(&self) -> serde_json::Result<Vec<u8>>;
    fn from_json(json: &[u8]) -> serde_json::Result<Self>;
}

macro_rules! stored {
    ($($entity:ty: $row:ty;)*) => {$(
        impl Stored for $entity {
            fn to_json(&self) -> serde_json::Result<Vec<u8>> {
                let mut json = Vec::new();
                <$row>::serialize(self, &mut serde_json::Serializer::new(&mut json))?;
                Ok(json)
            }

            fn from_json(json: &[u8]) -> serde_json::Result<Self> {
                let mut reader = serde_json::Deserializer::from_slice(json);
                let entity = <$row>::deserialize(&mut reader)?;
                reader.end()?;
                Ok(entity)
            }
        }
    )*};
}

/// Stores rows that are no entities of `domain`.
macro_rules! stored_rows {
    ($($row:ty)*) => {$(
        impl Stored for $row {
            fn to_json(&self) -> serde_json::Result<Vec<u8>> {
                serde_json::to_vec(self)
            }

            fn from_json(json: &[u8]) -> serde_json::Result<Self> {
                serde_json::from_slice(json)
            }
        }
    )*};
}

stored_rows! { SentRow MemoriesRow }

/// The memories that an agent has of one owner's rooms, oldest first.
#[derive(Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct MemoriesRow {
    #[serde(with = "recent_events")]
    pub(crate) memories: Vec<RecentEvent>,
}

/// The use of a send key.
#[derive(Deserialize, Serialize)]
pub(crate) struct SentRow {
    pub(crate) digest: String,
    #[serde(with = "text")]
    pub(crate) room: RoomId,
    #[serde(with = "text")]
    pub(crate) message: MessageId,
    pub(crate) at: Timestamp,
}

stored! {
    Agent: AgentRow;
    AgentConfig: PersonaRow;
    Room: RoomRow;
    Activity: ActivityRow;
    Member: MemberRow;
    Message: MessageRow;
    Image: ImageRow;
    ReadPosition: ReadPositionRow;
    UsageRecord: UsageRecordRow;
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "UsageRecord")]
struct UsageRecordRow {
    day: NaiveDate,
    #[serde(with = "text")]
    owner: UserId,
    #[serde(with = "text")]
    room: RoomId,
    #[serde(with = "text")]
    agent: AgentId,
    model: String,
    #[serde(with = "UsageRow")]
    usage: Usage,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Usage")]
struct UsageRow {
    input: u64,
    output: u64,
    cached: u64,
    requests: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Agent")]
struct AgentRow {
    #[serde(with = "text")]
    id: AgentId,
    #[serde(with = "text")]
    name: AgentName,
    #[serde(with = "optional_text")]
    group: Option<GroupName>,
    config_file: String,
    created_at: Timestamp,
    deleted_at: Option<Timestamp>,
    version: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "AgentConfig")]
struct PersonaRow {
    in_a_nutshell: String,
    characteristics: String,
    #[serde(with = "recent_events")]
    recent_events: Vec<RecentEvent>,
    #[serde(with = "long_term_memories")]
    long_term_memories: Vec<LongTermMemory>,
    is_critic: bool,
    interrupt_every_turn: bool,
    priority: i32,
    transparent: bool,
    profile_pic: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Room")]
struct RoomRow {
    #[serde(with = "text")]
    id: RoomId,
    #[serde(with = "text")]
    owner: UserId,
    #[serde(with = "text")]
    name: RoomName,
    #[serde(with = "optional_text")]
    direct_agent: Option<AgentId>,
    max_interactions: Option<u32>,
    is_paused: bool,
    #[serde(with = "optional_text")]
    finished_seq: Option<Seq>,
    last_error: Option<String>,
    created_at: Timestamp,
    version: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Activity")]
struct ActivityRow {
    #[serde(with = "text")]
    last_seq: Seq,
    #[serde(with = "text")]
    last_message_seq: Seq,
    #[serde(with = "text")]
    last_user_seq: Seq,
    last_activity_at: Option<Timestamp>,
    #[serde(with = "text", default)]
    cleared_seq: Seq,
    #[serde(with = "text", default)]
    removed_seq: Seq,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Member")]
struct MemberRow {
    #[serde(with = "text")]
    agent: AgentId,
    #[serde(with = "text")]
    joined_after_seq: Seq,
    joined_at: Timestamp,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Message")]
struct MessageRow {
    #[serde(with = "text")]
    id: MessageId,
    #[serde(with = "text")]
    room: RoomId,
    #[serde(with = "text")]
    seq: Seq,
    #[serde(with = "optional_text")]
    author: Option<AgentId>,
    content: String,
    #[serde(with = "text")]
    role: Role,
    #[serde(with = "optional_text")]
    participant_type: Option<ParticipantType>,
    participant_name: Option<String>,
    thinking: Option<String>,
    anthropic_calls: Option<Vec<String>>,
    timestamp: Timestamp,
    image_media_type: Option<String>,
    interrupted: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Image")]
struct ImageRow {
    media_type: String,
    data: String,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "ReadPosition")]
struct ReadPositionRow {
    #[serde(with = "text")]
    room: RoomId,
    #[serde(with = "text")]
    read_seq: Seq,
    read_at: Timestamp,
    version: u64,
}
