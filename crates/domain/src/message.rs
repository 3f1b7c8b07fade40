//! Messages: the log of a room.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{AgentId, Error, MessageId, Result, RoomId, Seq, Timestamp};

/// One message. Its author's name and its image's bytes are joined by whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Rises in commit order within a room; never used twice.
    pub id: MessageId,
    /// Where it was said.
    pub room: RoomId,
    /// Its place in the room's log.
    pub seq: Seq,
    /// The agent who said it; none for users and the system.
    pub author: Option<AgentId>,
    /// The text.
    pub content: String,
    /// Whose turn it is in the conversation.
    pub role: Role,
    /// What kind of participant said it.
    pub participant_type: Option<ParticipantType>,
    /// The name a user gave.
    pub participant_name: Option<String>,
    /// What the agent thought.
    pub thinking: Option<String>,
    /// The tools that the agent called.
    pub anthropic_calls: Option<Vec<String>>,
    /// When it was stored.
    pub timestamp: Timestamp,
    /// The media type of its image, whose bytes [`crate::Messages::images`] gives.
    pub image_media_type: Option<String>,
    /// Whether the answer was cut off.
    pub interrupted: bool,
}

/// The end of a room's log, in one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// The last place taken, by a message or a clear; 0 before the first.
    pub last_seq: Seq,
    /// The newest messages, oldest first.
    pub messages: Vec<Arc<Message>>,
}

/// How often agents have answered in a room, in one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// The last place taken in the log.
    pub last_seq: Seq,
    /// Messages that stand in the room, by agent; those who said nothing are left out.
    pub by_agent: BTreeMap<AgentId, u64>,
}

/// A message to store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is the field of the same name in `Message`"
)]
pub struct NewMessage {
    pub room: RoomId,
    pub author: Option<AgentId>,
    pub content: String,
    pub role: Role,
    pub participant_type: Option<ParticipantType>,
    pub participant_name: Option<String>,
    pub thinking: Option<String>,
    pub anthropic_calls: Option<Vec<String>>,
    pub image: Option<Image>,
    pub interrupted: bool,
}

impl NewMessage {
    /// What a user says.
    pub fn from_user(room: RoomId, content: impl Into<String>) -> Self {
        Self {
            room,
            author: None,
            content: content.into(),
            role: Role::User,
            participant_type: Some(ParticipantType::User),
            participant_name: None,
            thinking: None,
            anthropic_calls: None,
            image: None,
            interrupted: false,
        }
    }

    /// What an agent answers.
    pub fn from_agent(room: RoomId, agent: AgentId, content: impl Into<String>) -> Self {
        Self {
            author: Some(agent),
            role: Role::Assistant,
            participant_type: Some(ParticipantType::Agent),
            ..Self::from_user(room, content)
        }
    }

    /// What the system notes.
    pub fn from_system(room: RoomId, content: impl Into<String>) -> Self {
        Self {
            participant_type: Some(ParticipantType::System),
            ..Self::from_user(room, content)
        }
    }
}

macro_rules! said_by {
    ($($type:ident)*) => {$(
        impl $type {
            /// Whether a person said it: an agent's and the system's messages do not begin a round.
            pub fn is_from_user(&self) -> bool {
                self.role == Role::User && self.participant_type != Some(ParticipantType::System)
            }

            /// Whether it counts as activity of the room.
            pub fn is_activity(&self) -> bool {
                self.participant_type != Some(ParticipantType::System)
            }
        }
    )*};
}

said_by! { Message NewMessage }

/// A message's image, as the wire carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `image/png` and its like.
    pub media_type: String,
    /// Base64.
    pub data: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident $what:literal { $($(#[$case_doc:meta])* $case:ident = $word:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$case_doc])* $case,)*
        }

        impl $name {
            /// The word on the wire and in the store.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $word,)*
                }
            }

            /// The value of a word.
            pub fn parse(word: &str) -> Result<Self> {
                match word {
                    $($word => Ok(Self::$case),)*
                    _ => Err(Error::Invalid(format!(concat!($what, " is one of", $(" ", $word,)* ", not {:?}"), word))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Whose turn a message is.
    Role "role" {
        /// A user's or the system's.
        User = "user"
        /// An agent's.
        Assistant = "assistant"
    }
}
words! {
    /// What kind of participant says something.
    ParticipantType "participant_type" {
        /// A person as themselves.
        User = "user"
        /// An agent.
        Agent = "agent"
        /// A person in the role of a character.
        Character = "character"
        /// A person who sets the scene.
        SituationBuilder = "situation_builder"
        /// The program.
        System = "system"
    }
}
