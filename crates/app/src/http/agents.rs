//! Agents over HTTP.

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Agent, AgentChange, AgentConfig, AgentName, Error, GroupName, NewAgent, Picture, RecentEvent};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    error::{Answer, ApiError},
    extract::{Access, Body, Ids, tell_source},
    rooms::present,
    views,
};
use crate::prompt::parse_events;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    name: Option<String>,
    #[serde(deserialize_with = "present")]
    group: Option<Option<String>>,
    profile_pic: Option<String>,
    in_a_nutshell: Option<String>,
    characteristics: Option<String>,
    recent_events: Option<String>,
    is_critic: Option<bool>,
    interrupt_every_turn: Option<bool>,
    priority: Option<i32>,
    transparent: Option<bool>,
    config_file: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Memory {
    text: String,
}

impl Fields {
    fn change(self) -> Answer<AgentChange> {
        let group = self.group.map(|group| group.map(|group| GroupName::parse(&group)).transpose());
        Ok(AgentChange {
            name: self.name.as_deref().map(AgentName::parse).transpose()?,
            group: group.transpose()?,
            in_a_nutshell: self.in_a_nutshell,
            characteristics: self.characteristics,
            recent_events: self.recent_events.as_deref().map(parse_events),
            is_critic: self.is_critic,
            interrupt_every_turn: self.interrupt_every_turn,
            priority: self.priority,
            transparent: self.transparent,
            picture: self.profile_pic.as_deref().map(picture).transpose()?,
        })
    }
}

/// A picture from its data URL. What its bytes are decides, not what it claims to be.
fn picture(url: &str) -> Answer<Picture> {
    let refuse = || ApiError::fields("profile_pic is a data URL of a PNG, JPEG, GIF or WebP picture");
    let (_, data) = url.strip_prefix("data:").and_then(|url| url.split_once(";base64,")).ok_or_else(refuse)?;
    let bytes = STANDARD.decode(data).map_err(|_| refuse())?;
    let media_type = media_type(&bytes).ok_or_else(refuse)?.to_owned();
    Ok(Picture { media_type, bytes })
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

async fn shown(access: &Access, agent: Arc<Agent>) -> Answer {
    Ok(views::agent(access.ports(), agent).await?.into_response())
}

async fn living(access: &Access, ids: &Ids) -> Answer<Arc<Agent>> {
    access.ports().agents.find(ids.agent()?).await?.ok_or_else(|| ApiError::missing("agent"))
}

pub(crate) async fn list(access: Access, headers: HeaderMap) -> Response {
    tell_source(async {
        let agents = access.ports().agents.list().await?;
        Ok(views::agents(access.ports(), &agents, None).await?.tagged(&headers))
    })
    .await
}

pub(crate) async fn get(access: Access, ids: Ids) -> Response {
    tell_source(async { shown(&access, living(&access, &ids).await?).await }).await
}

pub(crate) async fn create(access: Access, Body(fields): Body<Fields>) -> Answer {
    access.admin()?;
    if let Some(path) = &fields.config_file {
        let agent = access.ports().agents.adopt(path).await?;
        return shown(&access, agent).await;
    }
    let change = fields.change()?;
    let mut config = AgentConfig::default();
    change.apply_to(&mut config);
    let name = change.name.ok_or_else(|| ApiError::fields("missing field `name`"))?;
    let new = NewAgent { name, group: change.group.flatten(), config, picture: change.picture };
    let agent = access.ports().agents.create(new).await?;
    shown(&access, agent).await
}

pub(crate) async fn update(access: Access, ids: Ids, Body(fields): Body<Fields>) -> Answer {
    access.admin()?;
    let agent = access.ports().agents.update(ids.agent()?, fields.change()?).await?;
    shown(&access, agent).await
}

pub(crate) async fn delete(access: Access, ids: Ids) -> Answer<Json<Value>> {
    access.admin()?;
    access.ports().agents.delete(ids.agent()?).await?;
    Ok(Json(json!({ "message": "agent deleted" })))
}

pub(crate) async fn reload(access: Access, ids: Ids) -> Answer {
    access.admin()?;
    let agent = living(&access, &ids).await?;
    access.ports().configs.reload(agent.id).await.map_err(|error| match error {
        Error::Invalid(why) => ApiError::new(StatusCode::BAD_REQUEST, why),
        Error::Missing { .. } => ApiError::new(StatusCode::BAD_REQUEST, "the agent's files are missing"),
        other => other.into(),
    })?;
    shown(&access, agent).await
}

pub(crate) async fn append_memory(access: Access, ids: Ids, Body(memory): Body<Memory>) -> Answer<Json<Value>> {
    access.admin()?;
    if memory.text.trim().is_empty() {
        return Err(ApiError::fields("text must not be empty"));
    }
    let event = RecentEvent { date: Some(chrono::Utc::now().date_naive()), text: memory.text.trim().to_owned() };
    access.ports().configs.append_memory(ids.agent()?, event).await?;
    Ok(Json(json!({ "message": "memory appended" })))
}

pub(crate) async fn configs(access: Access) -> Answer<Json<Value>> {
    let files = access.ports().configs.list().await?;
    let configs: Map<String, Value> = files.into_iter().map(|file| (file.name.to_string(), file.path.into())).collect();
    Ok(Json(json!({ "configs": configs })))
}

pub(crate) async fn direct_room(access: Access, ids: Ids) -> Answer {
    let agent = ids.agent()?;
    let room = match access.ports().rooms.find_direct(&access.user, agent).await? {
        Some(room) => room,
        None => access.ports().rooms.create_direct(access.user.clone(), agent).await?,
    };
    Ok(views::room(access.ports(), &access.user, &room).await?.into_response())
}

/// By name, as the interface has it; the name of no living agent is no picture.
pub(crate) async fn profile_pic(access: Access, headers: HeaderMap, ids: Ids) -> Answer {
    let missing = || ApiError::missing("picture");
    let name = AgentName::parse(ids.text("agent")).map_err(|_| missing())?;
    let agents = access.ports().agents.list().await?;
    let agent = agents.iter().find(|agent| agent.name == name).ok_or_else(missing)?;
    let bytes = access.ports().configs.picture(agent.id).await?.ok_or_else(missing)?;
    let media_type = media_type(&bytes).ok_or_else(missing)?;
    let tag = format!("\"{:016x}\"", hash(&bytes));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
    let is_known =
        known.flat_map(|known| known.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*");
    let about = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::ETAG, HeaderValue::try_from(tag).expect("digits in quotes are a header's value")),
        // Whatever it claims to be elsewhere, it is no script.
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    Ok((about, bytes.to_vec()).into_response())
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
