//! The entities of Greenroom, and the ports through which they are stored.
//!
//! | module | contents |
//! |---|---|
//! | [`ids`] | typed ids: one newtype over `i64` for each entity, and [`Seq`] |
//! | [`names`] | names that are validated when they are parsed |
//! | [`agent`], [`room`], [`message`] | the entities, and the changes that callers can make |
//! | [`page`] | a list of messages that is shared without copying |
//! | [`change`] | the changes that a store names in its log |
//! | [`ports`] | the repository traits and their bundle, [`Repositories`] |
//! | [`context`] | the input of an agent's answer |
//! | [`responder`] | the port that composes agents' answers |
//! | [`error`] | the error type of all ports |
//!
//! The crate depends on no runtime, store, cache, HTTP library or serialization format. The crate
//! `contract` tests that a store implements the ports correctly.
//!
//! ```
//! use domain::AgentName;
//! assert!(AgentName::parse("하늘").is_ok());
//! assert!(AgentName::parse("../etc").is_err());
//! ```
//!
//! The [glossary] explains the project's words, such as persona, law and turn.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

pub mod agent;
pub mod change;
pub mod context;
pub mod error;
pub mod group;
pub mod ids;
pub mod message;
pub mod names;
pub mod page;
pub mod ports;
pub mod responder;
pub mod room;
pub mod time;
pub mod usage;

pub use agent::{
    Agent, AgentChange, AgentConfig, ConfigFile, ConfigProblem, LongTermMemory, MAX_RECENT_BYTES,
    MAX_RECENT_EVENTS, NewAgent, Picture, RecentEvent,
};
pub use change::Change;
pub use context::Context;
pub use error::{Effect, Error, Result};
pub use group::GroupDefaults;
pub use ids::{AgentId, MessageId, RoomId, Seq};
pub use message::{
    AnswerCounts, Image, LogEnd, Message, NewMessage, ParticipantType, Removal, Role, SendKey, Sent,
};
pub use names::{AgentName, GroupName, RoomName, UserId};
pub use page::Page;
pub use ports::{
    AgentConfigs, AgentFiles, Agents, Began, Changes, Health, LIST_LIMIT, Memories, Messages,
    NoFiles, ReadPositions, Repositories, Rooms, Sessions, Settle, UsageLog,
};
#[cfg(feature = "mocks")]
pub use ports::{
    MockAgentConfigs, MockAgentFiles, MockAgents, MockChanges, MockHealth, MockMemories,
    MockMessages, MockReadPositions, MockRooms, MockSessions, MockSettle, MockUsageLog,
};
#[cfg(feature = "mocks")]
pub use responder::MockResponder;
pub use responder::{Composed, Composing, Failure, FailureKind, Prompt, Responder, Turn};
pub use room::{Activity, Added, Member, NewRoom, ReadPosition, Room, RoomChange, Session};
pub use time::Timestamp;
pub use usage::{Usage, UsageKey, UsageRecord, UsageSum};
