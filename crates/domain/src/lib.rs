//! What Greenroom talks about: agents, rooms, messages, and the ports through which they are stored.
//!
//! | module | holds |
//! |---|---|
//! | [`ids`] | typed ids: one newtype over `i64` for each entity, and [`Seq`] |
//! | [`names`] | names that were parsed once and are valid since |
//! | [`agent`], [`room`], [`message`] | the entities and what a caller may change of them |
//! | [`page`] | messages that were read together |
//! | [`ports`] | the repository traits and their bundle, [`Repositories`] |
//! | [`responder`] | the port behind which agents find words |
//! | [`error`] | one error type, whose variants callers treat differently |
//! | `contract` | (feature `contract`) the laws that any backend can run, and an in-memory backend |
//!
//! ```
//! use domain::AgentName;
//! assert!(AgentName::parse("하늘").is_ok());
//! assert!(AgentName::parse("../etc").is_err());
//! ```

pub mod agent;
pub mod context;
#[cfg(feature = "contract")]
pub mod contract;
pub mod error;
pub mod group;
pub mod ids;
pub mod memo;
pub mod message;
pub mod names;
pub mod page;
pub mod ports;
pub mod responder;
pub mod room;

pub use agent::{
    Agent, AgentChange, AgentConfig, ConfigFile, ConfigProblem, LongTermMemory, NewAgent, Picture,
    RecentEvent,
};
pub use context::Context;
pub use error::{Effect, Error, Result};
pub use group::GroupDefaults;
pub use ids::{AgentId, MessageId, RoomId, Seq};
pub use memo::{Made, Memo};
pub use message::{AnswerCounts, Image, LogEnd, Message, NewMessage, ParticipantType, Role};
pub use names::{AgentName, GroupName, RoomName, UserId};
pub use page::Page;
pub use ports::{
    AgentConfigs, Agents, Health, Messages, ReadPositions, Repositories, Rooms, Sessions, Settle,
};
#[cfg(feature = "mocks")]
pub use ports::{
    MockAgentConfigs, MockAgents, MockHealth, MockMessages, MockReadPositions, MockRooms,
    MockSessions, MockSettle,
};
#[cfg(feature = "mocks")]
pub use responder::MockResponder;
pub use responder::{Composed, Composing, Failure, Prompt, Responder, Turn};
pub use room::{Activity, Added, Member, NewRoom, ReadPosition, Room, RoomChange, Session};

/// Wall-clock time, for display only: order and freshness are decided by [`Seq`] and a monotonic clock.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
