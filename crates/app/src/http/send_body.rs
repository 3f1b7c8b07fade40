//! The body of a message that is sent.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{AgentId, NewMessage, ParticipantType, Role, RoomId, names::MAX_ROOM_NAME_CHARS};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use utoipa::ToSchema;

use super::{
    body::RequestBody,
    error::{ApiError, ApiResult},
    images,
};
use crate::{settings::Limits, state::App};

/// The maximum number of agents that one message may mention. Rooms usually have fewer agents; the
/// limit bounds the work for a request.
const MOST_MENTIONED: usize = 100;
#[derive(Deserialize, ToSchema)]
#[schema(as = NewMessage)]
pub(super) struct NewMessageBody {
    content: String,
    /// Must be `user`.
    role: String,
    /// One of null, `user`, `character` or `situation_builder`.
    #[serde(default)]
    participant_type: Option<String>,
    #[serde(default)]
    participant_name: Option<String>,
    /// Base64, with `image_media_type`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub(super) image_data: Option<DecodedBase64>,
    #[serde(default)]
    pub(super) image_media_type: Option<String>,
    /// Agents that answer first, in this order.
    #[serde(default, deserialize_with = "deserialize_mentioned")]
    mentioned_agent_ids: Option<Vec<i64>>,
}

impl RequestBody for NewMessageBody {
    /// A message may have an image.
    fn max_bytes(app: &App) -> usize {
        app.max_body_bytes
    }
}

impl NewMessageBody {
    pub(super) fn take_mentioned(&mut self) -> Vec<AgentId> {
        let ids = self.mentioned_agent_ids.take().unwrap_or_default();
        ids.into_iter().map(AgentId).collect()
    }

    /// Converts the body to a message without its image.
    pub(super) fn into_message(self, room: RoomId, limits: &Limits) -> ApiResult<NewMessage> {
        let most = limits.message_chars;
        if self.content.chars().count() > most {
            let detail = format!("`content` must have at most {most} characters");
            return Err(ApiError::field("content", detail));
        }
        let name = self.participant_name;
        let is_too_long = |name: &String| name.chars().count() > MAX_ROOM_NAME_CHARS;
        if name.as_ref().is_some_and(is_too_long) {
            let detail =
                format!("`participant_name` must have at most {MAX_ROOM_NAME_CHARS} characters");
            return Err(ApiError::field("participant_name", detail));
        }
        // Some programs show the last two as the end of a line.
        let ends_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        if name.as_ref().is_some_and(|name| name.contains(ends_line)) {
            let detail = "`participant_name` must not contain control characters or ends of lines";
            return Err(ApiError::field("participant_name", detail));
        }
        if Role::parse(&self.role).ok() != Some(Role::User) {
            return Err(ApiError::field("role", "`role` must be \"user\""));
        }
        Ok(NewMessage {
            participant_type: parse_participant_type(self.participant_type.as_deref())?,
            participant_name: name,
            ..NewMessage::from_user(room, self.content)
        })
    }
}

/// Deserializes the mentioned agents. Ends at the first one above [`MOST_MENTIONED`], so that a
/// long list takes no more memory than a short one.
fn deserialize_mentioned<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<i64>>, D::Error> {
    let ids: Option<Mentioned> = Option::deserialize(deserializer)?;
    Ok(ids.map(|Mentioned(ids)| ids))
}

/// Bytes that are decoded while the body is parsed, so that their text is not copied.
pub(super) struct DecodedBase64(Vec<u8>);

impl<'de> Deserialize<'de> for DecodedBase64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64Visitor)
    }
}

struct Base64Visitor;

impl Visitor<'_> for Base64Visitor {
    type Value = DecodedBase64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DecodedBase64, E> {
        let decoded = STANDARD.decode(text);
        let decoded = decoded.map_err(|_| E::custom("the text must be Base64"))?;
        Ok(DecodedBase64(decoded))
    }
}

struct Mentioned(Vec<i64>);

impl<'de> Deserialize<'de> for Mentioned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(MentionedVisitor)
    }
}

struct MentionedVisitor;

impl<'de> Visitor<'de> for MentionedVisitor {
    type Value = Mentioned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST_MENTIONED} ids")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Mentioned, A::Error> {
        let mut ids = Vec::new();
        while let Some(id) = list.next_element()? {
            if ids.len() == MOST_MENTIONED {
                return Err(de::Error::invalid_length(MOST_MENTIONED + 1, &self));
            }
            ids.push(id);
        }
        Ok(Mentioned(ids))
    }
}

fn parse_participant_type(word: Option<&str>) -> ApiResult<Option<ParticipantType>> {
    match word.map(ParticipantType::parse).transpose() {
        Err(_) | Ok(Some(ParticipantType::Agent | ParticipantType::System)) => {
            Err(ApiError::field(
                "participant_type",
                "`participant_type` must be null, \"user\", \"character\" or \
                 \"situation_builder\"",
            ))
        }
        Ok(parsed) => Ok(parsed),
    }
}

/// Checks an uploaded image. Returns `None` if there is none.
pub(super) fn check_image(
    data: Option<DecodedBase64>,
    media_type: Option<String>,
    limits: &Limits,
) -> ApiResult<Option<Vec<u8>>> {
    let (bytes, media_type) = match (data, media_type) {
        (None, None) => return Ok(None),
        (Some(DecodedBase64(bytes)), Some(media_type)) => (bytes, media_type),
        _ => {
            return Err(ApiError::field(
                "image_data",
                "`image_data` and `image_media_type` must be given together",
            ));
        }
    };
    let actual = images::check(&bytes, limits.image_pixels);
    let actual = actual.map_err(|error| error.in_field("image_data"))?;
    if actual != media_type {
        let detail = format!("`image_media_type` must be the image's type, \"{actual}\"");
        return Err(ApiError::field("image_media_type", detail));
    }
    Ok(Some(bytes))
}
