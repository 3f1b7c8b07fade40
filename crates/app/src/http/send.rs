//! The endpoint that sends a message.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderValue, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Agent, Error, Image, Message, RoomId, SendKey, Sent};
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    body::{BodyBytes, parse, read},
    error::{ApiError, ApiResult},
    ids::{Ids, RoomPath},
    images,
    openapi::{BodyRefusals, Refusal, Refusals, RoomRefusals},
    rendered::json_response,
    send_body::{NewMessageBody, check_image},
    wire,
};
use crate::{
    bounds::{BodyPermit, OwnerLock, hold},
    conversation::Trigger,
    state::AppHandle,
    traces::TraceCause,
};

/// The maximum length of an `Idempotency-Key`. Clients usually send a UUID.
const MOST_KEY_BYTES: usize = 255;

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new().routes(routes!(send))
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

impl FromRequest<AppHandle> for SendRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppHandle) -> Result<Self, ApiError> {
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
    let trigger = Trigger::Said {
        mentioned,
        cause: TraceCause::current(),
    };
    let sent = access.app.conversations.write(room, trigger, write).await;
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
