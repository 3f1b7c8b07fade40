//! Messages, the entries of a room's log.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{AgentId, Error, MessageId, Result, RoomId, Seq, Timestamp, UserId};

/// A message. Its author's name and its image are read separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The id. Ids increase in commit order within a room and are never reused.
    pub id: MessageId,
    /// The room.
    pub room: RoomId,
    /// The sequence number in the room's log.
    pub seq: Seq,
    /// The agent who wrote the message; `None` for users and the system.
    pub author: Option<AgentId>,
    /// The text.
    pub content: String,
    /// The side of the conversation: a user or an agent.
    pub role: Role,
    /// The kind of participant who wrote the message.
    pub participant_type: Option<ParticipantType>,
    /// The name under which a user wrote the message.
    pub participant_name: Option<String>,
    /// The agent's thoughts.
    pub thinking: Option<String>,
    /// The tool calls of the agent.
    pub anthropic_calls: Option<Vec<String>>,
    /// The time at which the message was stored.
    pub timestamp: Timestamp,
    /// The media type of the image, if there is one; see [`crate::Messages::images`].
    pub image_media_type: Option<String>,
    /// `true` if the answer was cut off.
    pub interrupted: bool,
}

/// The newest part of a room's log, read in one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// The log's last sequence number, of a message, a removal or a clear. 0 if the log never had
    /// an entry.
    pub last_seq: Seq,
    /// The newest messages, oldest first.
    pub messages: Vec<Arc<Message>>,
}

/// The number of messages of each agent in a room, read in one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// The log's last sequence number.
    pub last_seq: Seq,
    /// The number of each agent's messages in the current log. Agents without messages are left
    /// out.
    pub by_agent: BTreeMap<AgentId, u64>,
}

/// The key under which a user sends a message. Sending the message again under the same key does
/// not store it a second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendKey {
    /// The sender. Each user has keys of its own.
    pub user: UserId,
    /// The key, which the sender chose.
    pub key: String,
    /// A digest of the request, by which a second request with another content is recognized.
    pub digest: String,
}

/// The first use of a [`SendKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The digest of the request that used the key.
    pub digest: String,
    /// The stored message; `None` if it was deleted since.
    pub message: Option<Arc<Message>>,
}

/// The removal of one message from a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The sequence number that the removal took.
    pub seq: Seq,
    /// The removed message.
    pub message: MessageId,
}

/// The values from which a message is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is described in `Message`")]
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
    /// The key under which the message is sent, if the sender chose one.
    pub send_key: Option<SendKey>,
}

impl NewMessage {
    /// Returns a user's message without an image.
    ///
    /// ```
    /// # use domain::{NewMessage, RoomId};
    /// assert!(NewMessage::from_user(RoomId(7), "hello").is_from_user());
    /// ```
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
            send_key: None,
        }
    }

    /// Returns an agent's message.
    ///
    /// ```
    /// # use domain::{AgentId, NewMessage, RoomId};
    /// let new = NewMessage::from_agent(RoomId(7), AgentId(3), "hello");
    /// assert_eq!(new.author, Some(AgentId(3)));
    /// ```
    pub fn from_agent(room: RoomId, agent: AgentId, content: impl Into<String>) -> Self {
        Self {
            author: Some(agent),
            role: Role::Assistant,
            participant_type: Some(ParticipantType::Agent),
            ..Self::from_user(room, content)
        }
    }

    /// Returns a message of the system, such as an announcement.
    ///
    /// ```
    /// # use domain::{NewMessage, RoomId};
    /// assert!(!NewMessage::from_system(RoomId(7), "Ada joined the chat").is_activity());
    /// ```
    pub fn from_system(room: RoomId, content: impl Into<String>) -> Self {
        Self {
            participant_type: Some(ParticipantType::System),
            ..Self::from_user(room, content)
        }
    }
}

// Both types have the same methods, because messages are classified before and after they are
// stored.
macro_rules! impl_kinds {
    ($($type:ident)*) => {$(
        impl $type {
            /// Returns `true` if a person wrote the message. Only messages of persons begin a
            /// round.
            pub fn is_from_user(&self) -> bool {
                self.role == Role::User && self.participant_type != Some(ParticipantType::System)
            }

            /// Returns `true` unless the system wrote the message. System messages do not count as
            /// activity.
            pub fn is_activity(&self) -> bool {
                self.participant_type != Some(ParticipantType::System)
            }
        }
    )*};
}

impl_kinds! { Message NewMessage }

/// A message's image, encoded in Base64 as in the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The media type, such as `image/png`.
    pub media_type: String,
    /// The bytes in Base64.
    pub data: String,
}

impl Image {
    /// Returns the size of the image without its encoding, in bytes.
    ///
    /// ```
    /// let image = domain::Image { media_type: "image/png".into(), data: "aGVsbG8=".into() };
    /// assert_eq!(image.bytes(), 6);
    /// ```
    pub fn bytes(&self) -> u64 {
        // Four characters of Base64 stand for three bytes; padding counts as bytes.
        self.data.len() as u64 / 4 * 3
    }
}

// Defines an enum in which each variant has a fixed word, for the HTTP API and the store.
macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident $field:literal { $($(#[$case_doc:meta])* $case:ident = $word:literal)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$case_doc])* $case,)*
        }

        impl $name {
            /// Returns the word used in the HTTP API and in the store.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $word,)*
                }
            }

            /// Returns the value of a word. Fails with `Invalid` for any other text.
            ///
            #[doc = concat!("```\nassert!(domain::", stringify!($name), "::parse(\"\").is_err());")]
            #[doc = concat!("let value = domain::", stringify!($name), "::parse(\"user\")?;")]
            /// assert_eq!(value.as_str(), "user");
            /// # Ok::<_, domain::Error>(())
            /// ```
            pub fn parse(word: &str) -> Result<Self> {
                match word {
                    $($word => Ok(Self::$case),)*
                    _ => Err(Error::Invalid(format!(
                        concat!("`", $field, "` must be one of", $(" ", $word,)* ", got {:?}"),
                        word
                    ))),
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
    /// The side of the conversation that a message is on.
    Role "role" {
        /// A user or the system.
        User = "user"
        /// An agent.
        Assistant = "assistant"
    }
}
words! {
    /// The kind of participant who writes a message.
    ParticipantType "participant_type" {
        /// A person, under their own name.
        User = "user"
        /// An agent.
        Agent = "agent"
        /// A person in the role of a character.
        Character = "character"
        /// A person who describes the situation.
        SituationBuilder = "situation_builder"
        /// The program.
        System = "system"
    }
}
