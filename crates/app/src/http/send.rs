//! The endpoint that sends a message.

use std::{fmt, sync::Arc};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderValue, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    Agent, AgentId, Error, Image, Message, NewMessage, ParticipantType, Role, RoomId, SendKey,
    Sent, names::MAX_ROOM_NAME_CHARS,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    body::{BodyBytes, RequestBody, parse, read},
    error::{ApiError, ApiResult},
    ids::{Ids, RoomPath},
    images,
    openapi::{BodyRefusals, Refusal, Refusals, RoomRefusals},
    rendered::json_response,
    wire,
};
use crate::{
    bounds::{BodyPermit, OwnerLock, hold},
    conversation::Trigger,
    settings::Limits,
    state::App,
};

/// The maximum number of agents that one message may mention. Rooms usually have fewer agents; the
/// limit bounds the work for a request.
const MOST_MENTIONED: usize = 100;
/// The maximum length of an `Idempotency-Key`. Clients usually send a UUID.
const MOST_KEY_BYTES: usize = 255;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(send))
}

#[derive(Deserialize, ToSchema)]
#[schema(as = NewMessage)]
struct NewMessageBody {
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
    image_data: Option<DecodedBase64>,
    #[serde(default)]
    image_media_type: Option<String>,
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
    fn take_mentioned(&mut self) -> Vec<AgentId> {
        let ids = self.mentioned_agent_ids.take().unwrap_or_default();
        ids.into_iter().map(AgentId).collect()
    }

    /// Converts the body to a message without its image.
    fn into_message(self, room: RoomId, limits: &Limits) -> ApiResult<NewMessage> {
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
        if name
            .as_ref()
            .is_some_and(|name| name.chars().any(char::is_control))
        {
            let detail = "`participant_name` must not contain control characters";
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
struct DecodedBase64(Vec<u8>);

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
fn check_image(
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

/// Fails if a person writes under the name of an agent of the room.
async fn refuse_name_of_agent(access: &Access, room: RoomId, name: Option<&str>) -> ApiResult<()> {
    let Some(name) = name else {
        return Ok(());
    };
    let ports = access.ports();
    let members = ports.rooms.members(room).await?;
    let members: Vec<_> = members.iter().map(|member| member.agent).collect();
    let agents = ports.agents.find_many(&members).await?;
    let is_same = |agent: &Arc<Agent>| is_same_name(agent.name.as_str(), name);
    if agents.iter().any(is_same) || is_same_name("system", name) {
        let detail = "`participant_name` must not be `system` or the name of an agent in the room";
        return Err(ApiError::field("participant_name", detail));
    }
    Ok(())
}

/// Returns `true` if a model would take two names for the same: only letters and digits count, and
/// no capitals.
fn is_same_name(one: &str, other: &str) -> bool {
    let letters = |name: &str| -> String {
        let folded = name.nfkc().flat_map(char::to_lowercase);
        folded
            .filter(|character| character.is_alphanumeric())
            .collect()
    };
    letters(one) == letters(other)
}

/// Fails if a guest's images would exceed their quota. The administrator has no quota. The caller's
/// images do not increase until the returned lock is dropped.
async fn reserve_image(access: &Access, image: &Image) -> ApiResult<Option<OwnerLock>> {
    if access.is_admin() {
        return Ok(None);
    }
    let lock = access.app.bounds.owners.lock(access.user()).await;
    let most = access.app.limits().image_bytes_per_guest;
    let stored = access.ports().messages.image_bytes(access.user()).await?;
    if stored + image.bytes() <= most {
        return Ok(Some(lock));
    }
    let detail = format!("the images of a guest may have at most {most} bytes; delete some first");
    Err(ApiError::new(StatusCode::FORBIDDEN, detail))
}

/// A request to send a message: the body, and the key under which the client sends it.
struct SendRequest {
    body: NewMessageBody,
    key: Option<IdempotencyKey>,
    _permit: BodyPermit,
}

/// The key of a request, and a digest of its body.
#[derive(Clone)]
struct IdempotencyKey {
    key: String,
    digest: String,
}

impl FromRequest<Arc<App>> for SendRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let key = request.headers().get("idempotency-key").cloned();
        let path = request.uri().path().to_owned();
        let BodyBytes { bytes, permit } = read::<NewMessageBody>(request, app).await?;
        let key = key.map(|key| IdempotencyKey::new(&key, &path, &bytes));
        Ok(Self {
            body: parse(&bytes)?,
            key: key.transpose()?,
            _permit: permit,
        })
    }
}

impl IdempotencyKey {
    fn new(key: &HeaderValue, path: &str, body: &[u8]) -> ApiResult<Self> {
        let key = key.to_str().ok();
        let key = key.filter(|key| (1..=MOST_KEY_BYTES).contains(&key.len()));
        let key = key.ok_or_else(|| {
            ApiError::unprocessable(format!(
                "`Idempotency-Key` must have 1 to {MOST_KEY_BYTES} visible ASCII characters"
            ))
        })?;
        let mut digest = Sha256::new();
        // A path contains no NUL, so the path and the body cannot be shifted against each other.
        digest.update(path);
        digest.update([0]);
        digest.update(body);
        Ok(Self {
            key: key.to_owned(),
            digest: STANDARD.encode(digest.finalize()),
        })
    }

    /// Returns the message that was sent with this key, if there is one. Fails with 409 if it was
    /// another message, or if it was deleted since.
    async fn sent(&self, access: &Access) -> ApiResult<Option<Arc<Message>>> {
        let conflict = |detail| ApiError::new(StatusCode::CONFLICT, detail);
        let messages = &access.ports().messages;
        let sent = messages.find_sent(access.user(), &self.key).await?;
        match sent {
            Some(sent) if sent.digest != self.digest => Err(conflict(
                "this `Idempotency-Key` was used for another request",
            )),
            Some(Sent {
                message: Some(message),
                ..
            }) => Ok(Some(message)),
            Some(_) => Err(conflict(
                "the message with this `Idempotency-Key` was deleted",
            )),
            None => Ok(None),
        }
    }
}

/// Sends a message. The response is sent once the message is stored; agents then answer in the
/// background.
///
/// A client that does not know the outcome of a request sends it again with the same
/// `Idempotency-Key`. Within 24 hours, the response then has the same message.
#[utoipa::path(
    post, path = "/rooms/{room}/messages/send", tag = "messages",
    params(RoomPath, ("Idempotency-Key" = Option<String>, Header, max_length = 255)),
    request_body = NewMessageBody,
    responses(
        (status = 200, body = wire::MessageObject),
        (status = 409, body = Refusal, description = "The key was used for another message"),
        Refusals, RoomRefusals, BodyRefusals
    )
)]
async fn send(access: Access, ids: Ids, request: SendRequest) -> ApiResult {
    let SendRequest { mut body, key, .. } = request;
    let room = access.room(ids.room()?).await?.id;
    if let Some(key) = &key
        && let Some(message) = key.sent(&access).await?
    {
        return respond(&access, room, message).await;
    }
    let limits = access.app.limits();
    let mentioned = body.take_mentioned();
    let (data, media_type) = (body.image_data.take(), body.image_media_type.take());
    let image = check_image(data, media_type, &limits)?;
    let mut new = body.into_message(room, &limits)?;
    if new.content.trim().is_empty() && image.is_none() {
        return Err(ApiError::field(
            "content",
            "`content` must not be blank without an image",
        ));
    }
    refuse_name_of_agent(&access, room, new.participant_name.as_deref()).await?;
    let mut lock = None;
    if let Some(bytes) = image {
        let image = images::encode(&access, bytes).await;
        let image = image.map_err(|error| error.in_field("image_data"))?;
        lock = reserve_image(&access, &image).await?;
        new.image = Some(image);
    }
    new.send_key = key.clone().map(|key| SendKey {
        user: access.user().clone(),
        key: key.key,
        digest: key.digest,
    });
    let messages = access.ports().messages.clone();
    let write = async move {
        // Held until the message is stored, also if the caller is cancelled.
        let _lock = lock;
        messages.append(new).await
    };
    let cause = Trigger::Said { mentioned };
    let sent = access.app.conversations.write(room, cause, write).await;
    let message = match (sent, &key) {
        // Only a used key is a conflict.
        (Err(error @ Error::Conflict(_)), Some(key)) => key.sent(&access).await?.ok_or(error)?,
        (sent, _) => sent?,
    };
    respond(&access, room, message).await
}

async fn respond(access: &Access, room: RoomId, message: Arc<Message>) -> ApiResult {
    let (text, permit) = access.renderer().messages(room, &[message]).await?;
    let text = Bytes::from(text);
    // The list has one message, which the response has without the brackets.
    let text = text.slice(1..text.len() - 1);
    Ok(json_response(hold(text, permit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_to_a_model_are_the_same() {
        for (name, same) in [
            (" ada", true),
            ("Ada:", true),
            ("A:da", true),
            ("Ada\u{200d}", true),
            ("\u{ff21}da", true),
            ("Adam", false),
            ("Adé", false),
        ] {
            assert_eq!(is_same_name("Ada", name), same, "{name:?}");
        }
    }
}
